//! The agent platform contract. Its error body also answers for paths that no contract owns.

mod agents;
mod audit_log;
mod dialect;
mod users;

use super::Contract;
use crate::{auth::Gate, middleware::budgets};
use salvo::{Router, http::StatusCode};

pub(super) const CONTRACT: Contract = Contract {
    name: "platform",
    about: "Agent platform: agents, users and the audit log",
    paths: &["/api/auth/users", "/api/auth/audit-log", "/api/admin/agents"],
    invalid_status: StatusCode::UNPROCESSABLE_ENTITY,
    error_body: dialect::error_body,
    error_schema: dialect::error_schema,
    routes,
};

fn routes() -> Router {
    Router::with_path("api").push(people()).push(agents())
}

fn agents() -> Router {
    Router::with_path("admin/agents")
        .hoop(Gate { budget: budgets::platform })
        .get(agents::list_agents)
        .post(agents::post_agent)
        .push(Router::with_path("reload-cache").post(agents::reload_cache))
        .push(Router::with_path("{agent_id}").get(agents::get_agent).put(agents::put_agent).delete(agents::delete_agent))
}

fn people() -> Router {
    Router::with_path("auth")
        .hoop(Gate { budget: budgets::platform })
        .push(Router::with_path("users").get(users::list_users).post(users::post_user))
        .push(Router::with_path("users/{user_id}").get(users::get_user).patch(users::patch_user).delete(users::delete_user))
        .push(Router::with_path("audit-log").get(audit_log::list_audit_log))
}
