//! The WhatsApp business contract.

pub(crate) mod dialect;

use super::Contract;
use crate::App;
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

fn routes(_app: &App) -> Router {
    Router::new()
}
