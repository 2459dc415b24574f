//! The published contracts, as their frontends use them.

mod analytics;
mod channels;
mod contacts;
mod conversation_lists;
mod conversations;
mod desk;
mod idempotency;
mod manners;
mod messages;
mod nexus;
mod openid;
mod operators;
mod platform;
mod settings;
mod sign_in;
mod tenancy;
mod users;

use crate::harness::{App, User, text_to};

/// The channel of the tenant that [`inbox`] makes.
const NUMBER: &str = "106540352242922";

/// A tenant with a WhatsApp channel, whose owner is signed in.
async fn inbox(app: &App) -> User {
    let user = app.register("ann").await;
    app.whatsapp_channel(&user, NUMBER).await;
    user
}

/// Lets `phone` write to the channel.
async fn receive(app: &App, phone: &str, id: &str, text: &str) {
    assert_eq!(app.webhook(&text_to(NUMBER, phone, id, text, 60)).await, 200);
    app.drain().await;
}
