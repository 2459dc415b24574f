//! The operator console's contract.

mod dialect;

use super::Contract;
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
    Router::new()
}
