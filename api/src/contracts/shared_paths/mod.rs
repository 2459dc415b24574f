//! Paths that more than one contract documents: registering, signing in and who am I (cloud, omnichat, platform), and the lists of
//! conversations (cloud, desk), where the token says which contract is spoken.

mod conversations;
mod dialect;
mod jwks;
mod sign_in;
mod wire;

use super::Contract;
use crate::{auth::Gate, middleware::budgets};
use salvo::{Router, http::StatusCode};

pub(super) const CONTRACT: Contract = Contract {
    name: "shared",
    about: "Paths that several contracts share",
    paths: &["/api/auth/register", "/api/auth/login", "/api/conversations", "/.well-known"],
    invalid_status: StatusCode::BAD_REQUEST,
    error_body: dialect::error_body,
    error_schema: dialect::error_schema,
    routes,
};

fn routes() -> Router {
    Router::new()
        .push(Router::with_path(".well-known/jwks.json").get(jwks::get_jwks))
        .push(Router::with_path("api/auth/register").post(sign_in::register))
        .push(Router::with_path("api/auth/login").post(sign_in::login))
        .push(
            Router::with_path("api")
                .hoop(Gate { budget: budgets::user })
                .push(Router::with_path("auth/me").get(sign_in::me))
                .push(Router::with_path("conversations").get(conversations::list))
                .push(Router::with_path("conversations/{id}").get(conversations::get)),
        )
}

pub(crate) use wire::Session;
