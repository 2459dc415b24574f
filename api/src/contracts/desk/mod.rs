//! The helpdesk contract.

pub(crate) mod conversations;
pub(crate) mod dialect;
mod events;
mod login;
mod summary;
mod tickets;
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
        .push(Router::with_path("summary").get(summary::summary))
        .push(Router::with_path("tickets").get(tickets::list_tickets).post(tickets::post_ticket))
        .push(Router::with_path("tickets/{ticket_id}").get(tickets::get_ticket).patch(tickets::patch_ticket).delete(tickets::delete_ticket))
        .push(Router::with_path("events").get(events::list_events).post(events::post_event))
        .push(Router::with_path("events/{event_id}").get(events::get_event).patch(events::patch_event).delete(events::delete_event))
        .push(Router::with_path("users").get(users::list_users).post(users::post_user))
        .push(Router::with_path("users/{user_id}").get(users::get_user).patch(users::patch_user).delete(users::delete_user))
        .push(Router::with_path("conversations/{id}/messages").get(conversations::list_messages).post(conversations::create_message));
    Router::with_path("api").push(Router::with_path("login").post(login::login)).push(private)
}
