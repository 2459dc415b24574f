//! The helpdesk contract.

pub(crate) mod conversations;
pub(crate) mod dialect;
mod login;
mod users;

use super::Contract;
use crate::{auth::Gate, middleware::budgets};
use salvo::{Router, http::StatusCode};

pub(super) const CONTRACT: Contract = Contract {
    name: "desk",
    about: "Helpdesk: tickets, calendar, users, conversations",
    paths: &["/api/login", "/api/summary", "/api/events", "/api/tickets", "/api/users", "/api/conversations/{}/messages"],
    invalid_status: StatusCode::BAD_REQUEST,
    error_body: dialect::error_body,
    error_schema: dialect::error_schema,
    routes,
};

fn routes() -> Router {
    let private = Router::new()
        .hoop(Gate { budget: budgets::user })
        .push(Router::with_path("conversations/{id}/messages").get(conversations::list_messages).post(conversations::create_message));
    Router::with_path("api").push(Router::with_path("login").post(login::login)).push(private)
}
