//! The agent platform contract. Its error body also answers for paths that no contract owns.

mod agents;
mod audit_log;
mod chat;
mod chat_users;
mod dialect;
mod escalations;
mod knowledge;
mod model;
mod output_formats;
mod runs;
mod sessions;
mod supporter;
mod teams;
mod tenants;
mod tool_callbacks;
mod tools;
mod users;
mod widgets;

use super::Contract;
use crate::{
    auth::{AdministratorGate, Gate},
    chat::ChatGate,
    middleware::budgets,
};
use salvo::{Router, http::StatusCode};

pub(super) const CONTRACT: Contract = Contract {
    name: "platform",
    about: "Agent platform: agents, teams, output formats, tools, knowledge, chat, sessions, escalations, tenants, users and the audit log",
    paths: &[
        "/api/auth/users",
        "/api/auth/audit-log",
        "/api/admin/agents",
        "/api/admin/escalation",
        "/api/admin/knowledge",
        "/api/admin/widgets",
        "/api/admin/tools",
        "/api/admin/output-formats",
        "/api/admin/teams",
        "/api/tools/callbacks",
        "/api/admin/tenants",
        "/api/admin/sessions",
        "/api/{}/session",
        "/api/{}/chat-users",
        "/api/{}/supporter",
        "/api/{}/chat",
        "/api/public/widgets",
    ],
    invalid_status: StatusCode::UNPROCESSABLE_ENTITY,
    error_body: dialect::error_body,
    error_schema: dialect::error_schema,
    routes,
};

fn routes() -> Router {
    Router::with_path("api")
        .push(people())
        .push(agents())
        .push(knowledge())
        .push(escalation())
        .push(supporter())
        .push(public_widgets())
        .push(chat())
        .push(widgets())
        .push(tools())
        .push(Router::with_path("tools/callbacks/{tenant_id}/{call_id}").post(tool_callbacks::post_callback))
        .push(output_formats())
        .push(teams())
        .push(tenants())
        .push(sessions())
        .push(chat_users())
}

fn tools() -> Router {
    let one = Router::with_path("{tool_id}").get(tools::get_tool).put(tools::put_tool).delete(tools::delete_tool);
    Router::with_path("admin/tools").hoop(Gate { budget: budgets::platform }).get(tools::list_tools).post(tools::post_tool).push(one)
}

fn output_formats() -> Router {
    let one = Router::with_path("{format_id}")
        .get(output_formats::get_format)
        .put(output_formats::put_format)
        .delete(output_formats::delete_format);
    Router::with_path("admin/output-formats")
        .hoop(Gate { budget: budgets::platform })
        .get(output_formats::list_formats)
        .post(output_formats::post_format)
        .push(one)
}

fn teams() -> Router {
    let one = Router::with_path("{team_id}").get(teams::get_team).put(teams::put_team).delete(teams::delete_team);
    Router::with_path("admin/teams").hoop(Gate { budget: budgets::platform }).get(teams::list_teams).post(teams::post_team).push(one)
}

fn tenants() -> Router {
    let permissions = Router::with_path("permissions").get(tenants::get_permissions).put(tenants::put_permissions);
    let model = Router::with_path("model").get(model::get_model).put(model::put_model);
    let usage = Router::with_path("usage").get(model::get_usage);
    let one = Router::with_path("{tenant_id}").get(tenants::get_tenant).put(tenants::put_tenant).push(permissions).push(model).push(usage);
    Router::with_path("admin/tenants").hoop(AdministratorGate).get(tenants::list_tenants).post(tenants::post_tenant).push(one)
}

fn sessions() -> Router {
    let gate = Gate { budget: budgets::platform };
    let one = Router::with_path("{session_id}").get(sessions::get_session).delete(sessions::delete_session);
    let own = Router::with_path("{tenant_id}/session").hoop(gate).get(sessions::list_sessions).push(one);
    let runs = Router::with_path("runs").get(runs::list_runs);
    let any = Router::with_path("{session_id}").get(sessions::get_any_session).push(runs);
    Router::new().push(Router::with_path("admin/sessions").hoop(gate).get(sessions::list_all_sessions).push(any)).push(own)
}

fn chat_users() -> Router {
    let one =
        Router::with_path("{user_id}").get(chat_users::get_chat_user).put(chat_users::put_chat_user).delete(chat_users::delete_chat_user);
    Router::with_path("{tenant_id}/chat-users")
        .hoop(Gate { budget: budgets::platform })
        .get(chat_users::list_chat_users)
        .post(chat_users::post_chat_user)
        .push(one)
}

fn knowledge() -> Router {
    let documents = Router::with_path("documents")
        .get(knowledge::list_documents)
        .delete(knowledge::delete_documents)
        .push(Router::with_path("{document_id}").get(knowledge::get_document));
    Router::with_path("admin/knowledge")
        .hoop(Gate { budget: budgets::platform })
        .push(Router::with_path("upload").post(knowledge::upload))
        .push(Router::with_path("ingest").post(knowledge::ingest))
        .push(Router::with_path("stats").get(knowledge::get_stats))
        .push(documents)
}

fn escalation() -> Router {
    let session = Router::with_path("{session_id}")
        .push(Router::with_path("escalate").post(escalations::escalate))
        .push(Router::with_path("assign").post(escalations::assign))
        .push(Router::with_path("resolve").post(escalations::resolve));
    Router::with_path("admin/escalation")
        .hoop(Gate { budget: budgets::platform })
        .push(Router::with_path("queue").get(escalations::list_queue))
        .push(Router::with_path("staff").get(escalations::list_staff).post(escalations::post_staff))
        .push(session)
}

fn supporter() -> Router {
    Router::with_path("{tenant_id}/supporter")
        .hoop(Gate { budget: budgets::platform })
        .push(Router::with_path("sessions").get(supporter::list_sessions))
        .push(Router::with_path("message").post(supporter::post_message))
}

fn chat() -> Router {
    Router::with_path("{tenant_id}/chat").hoop(ChatGate { people: true }).post(chat::post_chat)
}

fn widgets() -> Router {
    Router::with_path("admin/widgets/{tenant_id}")
        .hoop(Gate { budget: budgets::platform })
        .get(widgets::get_widget)
        .put(widgets::put_widget)
}

fn public_widgets() -> Router {
    let visitors = Router::new()
        .hoop(ChatGate { people: false })
        .push(Router::with_path("chat").post(chat::post_public_chat))
        .push(Router::with_path("messages").get(widgets::list_public_messages))
        .push(Router::with_path("events").get(widgets::watch_public));
    Router::with_path("public/widgets/{tenant_id}").push(Router::with_path("config").get(widgets::get_public_config)).push(visitors)
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
