//! Whole paths through the product: a signed webhook in, rows in Postgres out.

mod changes;
mod ingest;
mod merging;
mod order;
mod outages;
mod people;
mod recorded;
mod refusals;
mod replay;
mod shapes;

use crate::harness::App;

/// Sends a body and waits until it is processed.
async fn deliver(app: &App, body: &str) {
    assert_eq!(app.webhook(body).await, 200, "{body:.300}");
    app.drain().await;
}
