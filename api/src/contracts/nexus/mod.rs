//! The operator console's contract, and services that post messages.

mod chats;
mod dialect;
mod env;
mod inbound;
mod payload;
mod replies;
mod status;
mod tenants;

use super::Contract;
use crate::auth::{OperatorGate, ServiceGate};
use salvo::{Router, http::StatusCode};

pub(super) const CONTRACT: Contract = Contract {
    name: "nexus",
    about: "Operator console and services",
    paths: &["/admin", "/internal", "/env.js"],
    invalid_status: StatusCode::BAD_REQUEST,
    error_body: dialect::error_body,
    error_schema: dialect::error_schema,
    routes,
};

fn routes() -> Router {
    let admin = Router::with_path("admin")
        .hoop(OperatorGate)
        .push(Router::with_path("tenants").get(tenants::list_tenants))
        .push(Router::with_path("chats").get(chats::list_chats))
        .push(Router::with_path("chats/summary").get(chats::summary))
        .push(Router::with_path("chats/{conversation_id}/messages").get(chats::list_messages))
        .push(Router::with_path("stats").get(status::stats))
        .push(Router::with_path("health").get(status::health));
    let internal = Router::with_path("internal")
        .hoop(ServiceGate)
        .push(Router::with_path("inbound").post(inbound::post_inbound))
        .push(Router::with_path("messages").post(replies::post_reply));
    Router::new().push(admin).push(internal).push(Router::with_path("env.js").get(env::script))
}
