//! The WhatsApp business contract.

mod analytics;
pub(crate) mod conversations;
pub(crate) mod dialect;
mod message_view;
mod messages;
pub(crate) mod wire;

use super::Contract;
use crate::{auth::Gate, middleware::budgets};
use salvo::{Router, http::StatusCode};

pub(super) const CONTRACT: Contract = Contract {
    name: "cloud",
    about: "WhatsApp business: messages, conversations, templates, contacts, analytics, settings",
    paths: &[
        "/api/webhook",
        "/api/messages",
        "PATCH /api/conversations/{}",
        "POST /api/conversations/{}/read",
        "/api/templates",
        "/api/analytics",
        "/api/settings",
        "/api/contacts",
    ],
    invalid_status: StatusCode::BAD_REQUEST,
    error_body: dialect::error_body,
    error_schema: dialect::error_schema,
    routes,
};

fn routes() -> Router {
    Router::with_path("api")
        .hoop(Gate { budget: budgets::user })
        .push(Router::with_path("analytics/overview").get(analytics::get))
        .push(Router::with_path("messages").get(messages::list).post(messages::create))
        .push(Router::with_path("messages/{id}").get(messages::get))
        .push(Router::with_path("conversations/{id}").patch(conversations::update))
        .push(Router::with_path("conversations/{id}/read").post(conversations::mark_read))
}
