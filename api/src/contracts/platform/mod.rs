//! The agent platform contract. Its error body also answers for paths that no contract owns.

mod dialect;

use super::Contract;
use salvo::{Router, http::StatusCode};

pub(super) const CONTRACT: Contract = Contract {
    name: "platform",
    about: "Agent platform: users",
    paths: &["/api/auth/users"],
    invalid_status: StatusCode::UNPROCESSABLE_ENTITY,
    error_body: dialect::error_body,
    error_schema: dialect::error_schema,
    routes,
};

fn routes() -> Router {
    Router::new()
}
