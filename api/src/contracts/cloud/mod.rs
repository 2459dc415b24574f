//! The WhatsApp business contract.

mod analytics;
mod contact_files;
mod contacts;
pub(crate) mod conversations;
pub(crate) mod dialect;
pub(crate) mod message_view;
mod messages;
mod settings;
mod templates;
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
        "POST /api/conversations/{}/release",
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
        .push(Router::with_path("conversations/{id}/release").post(conversations::release))
        .push(Router::with_path("contacts").get(contacts::list_contacts).post(contacts::post_contact))
        .push(Router::with_path("contacts/export").get(contact_files::export_contacts))
        .push(Router::with_path("contacts/import").get(contact_files::list_imports))
        .push(Router::with_path("contacts/import/csv").post(contact_files::import_contacts_csv))
        .push(Router::with_path("contacts/import/{id}").get(contact_files::get_import))
        .push(Router::with_path("contacts/{id}").get(contacts::get_contact).patch(contacts::patch_contact).delete(contacts::delete_contact))
        .push(Router::with_path("templates").get(templates::list_templates).post(templates::post_template))
        .push(Router::with_path("templates/sync").post(templates::sync_templates))
        .push(Router::with_path("templates/{id}").get(templates::get_template).delete(templates::delete_template))
        .push(Router::with_path("settings").get(settings::get_settings).patch(settings::patch_settings))
}
