//! Whole paths through the product: a signed webhook in, rows in Postgres out.

pub(crate) mod agents;
mod changes;
mod chat;
mod escalations;
mod given_up;
mod hostile_documents;
mod ingest;
mod interactive;
mod knowledge;
mod lanes;
mod lost_connections;
mod media;
mod merging;
mod messenger;
mod models;
mod order;
mod outages;
mod pace;
mod people;
mod realtime;
mod recorded;
mod refusals;
mod replay;
pub(crate) mod sending;
mod shapes;
mod teams;
mod telegram;
mod templates;
mod tools;
mod widget;

use crate::harness::App;

/// Sends a body and waits until it is processed.
async fn deliver(app: &App, body: &str) {
    assert_eq!(app.webhook(body).await, 200, "{body:.300}");
    app.drain().await;
}

/// Everything that was made of webhooks.
async fn state(app: &App) -> Vec<String> {
    let mut state = Vec::new();
    for table in ["customers", "customer_identities", "chat_conversations", "chat_messages"] {
        state.extend(app.db.texts(&format!("SELECT '{table} ' || to_jsonb(t)::text FROM {table} t ORDER BY 1")).await);
    }
    state
}
