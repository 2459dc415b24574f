//! The omnichannel inbox contract: refreshing and signing out, channels, sending.

mod auth;
mod dialect;

use super::Contract;
use crate::{auth::Gate, middleware::budgets};
use salvo::{Router, http::StatusCode};

pub(super) const CONTRACT: Contract = Contract {
    name: "omnichat",
    about: "Omnichannel inbox: sign-in, channels, sending",
    paths: &["/api/auth", "/api/channels", "/api/telegram", "/api/facebook", "/api/messages/send"],
    invalid_status: StatusCode::BAD_REQUEST,
    error_body: dialect::error_body,
    error_schema: dialect::error_schema,
    routes,
};

fn routes() -> Router {
    let gate = Gate { budget: budgets::user };
    Router::with_path("api")
        .push(Router::with_path("auth/refresh").post(auth::refresh))
        .push(Router::new().hoop(gate).push(Router::with_path("auth/logout").post(auth::logout)))
}
