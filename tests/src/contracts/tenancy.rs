//! No tenant sees, changes, counts or guesses another's rows: every table and every route.

use super::{inbox, receive};
use crate::harness::{App, Database};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

/// Tables without rows of tenants.
const OF_NOBODY: &[&str] = &[
    "job_workers",
    "job_leader",
    "job_pauses",
    "job_queues",
    "operator_acts",
    "operator_sessions",
    "platform_operators",
    "processes",
    "queue_samples",
    "error_samples",
    "paced_acts",
    "_sqlx_migrations",
];

#[tokio::test]
async fn every_table_with_rows_of_tenants_forces_row_level_security() {
    let db = Database::create().await;
    let tables = db
        .texts(
            "SELECT c.relname || ' ' || c.relrowsecurity || ' ' || c.relforcerowsecurity || ' '
                    || (SELECT count(*) FROM pg_policies p WHERE p.tablename = c.relname AND p.roles = '{switchboard_api}' AND p.qual LIKE '%current_tenant%')
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1",
        )
        .await;
    let open: Vec<_> = tables
        .iter()
        .filter(|line| !line.ends_with(" true true 1") && !OF_NOBODY.iter().any(|table| line.starts_with(&format!("{table} "))))
        .collect();
    assert!(open.is_empty(), "{open:#?}");
    let reachable = db
        .texts(&format!(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v') AND has_table_privilege('switchboard_api', c.oid, 'SELECT')
               AND (c.relispartition OR c.relname = ANY('{{{}}}'))",
            OF_NOBODY.join(",")
        ))
        .await;
    assert!(reachable.is_empty(), "the api's role may read {reachable:?} without a policy");
    let bypass = db.text("SELECT (rolbypassrls OR rolsuper)::text FROM pg_roles WHERE rolname = 'switchboard_api'").await;
    assert_eq!(bypass, "false");
}

#[tokio::test]
async fn a_statement_that_forgets_its_filter_returns_nothing_of_a_neighbour() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    let eve = app.register("eve").await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    let text = json!({"to": "+15551230001", "type": "text", "content": {"text": "hi"}});
    app.post(&ann, "/api/messages", text).await.expect(201);
    let mut conn = PgConnection::connect(&app.db.url).await.unwrap();
    conn.execute("SET ROLE switchboard_api").await.unwrap();
    let tables = app
        .db
        .texts(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND c.relrowsecurity AND NOT c.relispartition
               AND has_table_privilege('switchboard_api', c.oid, 'SELECT')",
        )
        .await;
    let mut filled = 0;
    for table in &tables {
        let key = if table == "tenants" { "id" } else { "tenant_id" };
        let mut count = async |tenant: &str, filter: &str| -> i64 {
            let sql = format!("SELECT set_config('switchboard.tenant_id', '{tenant}', false); SELECT count(*) FROM {table} {filter}");
            let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(&mut conn).await.unwrap();
            sqlx::Row::get(rows.last().unwrap(), 0)
        };
        assert_eq!(count("", "").await, 0, "{table}: without a tenant");
        let (a, e) = (ann.tenant_number.to_string(), eve.tenant_number.to_string());
        assert_eq!(count(&e, &format!("WHERE {key} <> {e}")).await, 0, "{table}");
        if count(&a, "").await > 0 {
            filled += 1;
        }
    }
    assert!(filled >= 10, "only {filled} of {tables:?} hold anything to see");
    let stolen = conn
        .execute(sqlx::AssertSqlSafe(format!(
            "SELECT set_config('switchboard.tenant_id', '{}', false); UPDATE chat_messages SET content = 'x'; UPDATE users SET name = 'x';",
            eve.tenant_number
        )))
        .await
        .unwrap();
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages WHERE content = 'x'").await, 0, "{stolen:?}");
    let smuggled = format!("INSERT INTO audit_log (tenant_id, id, actor, act) VALUES ({}, gen_random_uuid(), 'x', 'x')", ann.tenant_number);
    assert!(conn.execute(sqlx::AssertSqlSafe(smuggled)).await.is_err(), "nor can a row be put into another tenant");
}

/// Ids of one tenant's rows by the parameter that names them in paths.
async fn ids(app: &App, parameter: &str, path: &str, tenant: i64) -> Option<String> {
    let number = |table: &str| format!("SELECT number::text FROM {table} WHERE tenant_id = {tenant} LIMIT 1");
    let uuid = |table: &str| format!("SELECT id::text FROM {table} WHERE tenant_id = {tenant} LIMIT 1");
    let sql = match (parameter, path) {
        ("user_id", path) if path.starts_with("/api/users") => number("users"),
        ("ticket_id", _) => number("tickets"),
        ("event_id", _) => number("calendar_events"),
        ("user_id", _) => uuid("users"),
        (_, path) if path.starts_with("/api/messages") => uuid("chat_messages"),
        (_, path) if path.starts_with("/api/conversations") => uuid("chat_conversations"),
        (_, path) if path.starts_with("/api/channels") => uuid("channel_instances"),
        (_, path) if path.starts_with("/api/contacts/import") => uuid("contact_imports"),
        (_, path) if path.starts_with("/api/contacts") => uuid("customers"),
        (_, path) if path.starts_with("/api/templates") => uuid("message_templates"),
        (_, path) if path.starts_with("/api/admin/agents") => uuid("agents"),
        ("tool_id", _) => uuid("tools"),
        ("format_id", _) => uuid("output_formats"),
        ("team_id", _) => uuid("agent_teams"),
        ("document_id", _) => uuid("knowledge_documents"),
        ("session_id", _) => uuid("chat_conversations"),
        ("tenant_id", _) => format!("SELECT public_id::text FROM tenants WHERE id = {tenant}"),
        _ => return None,
    };
    app.db.texts(&sql).await.into_iter().next()
}

#[tokio::test]
async fn every_route_with_an_id_answers_404_for_another_tenants() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    let eve = app.register("eve").await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    app.db
        .run(&format!(
            "INSERT INTO tickets (tenant_id, id, customer_id, subject) SELECT tenant_id, gen_random_uuid(), id, 'x' FROM customers WHERE tenant_id = {t};
             INSERT INTO calendar_events (tenant_id, id, title, start_time, end_time) VALUES ({t}, gen_random_uuid(), 'x', now(), now());
             INSERT INTO message_templates (tenant_id, id, name, language, category, components) VALUES ({t}, gen_random_uuid(), 'x', 'en', 'UTILITY', '[]');
             INSERT INTO agents (tenant_id, id, name, system_prompt) VALUES ({t}, gen_random_uuid(), 'x', 'x');
             INSERT INTO tools (tenant_id, id, base_tool_id, name, description, config, secrets, input_schema) VALUES ({t}, gen_random_uuid(), gen_random_uuid(), 'x', 'x', '{{}}', '{{}}', '{{}}');
             INSERT INTO output_formats (tenant_id, id, name, instructions) VALUES ({t}, gen_random_uuid(), 'x', 'x');
             INSERT INTO agent_teams (tenant_id, id, name, lead_id) SELECT tenant_id, gen_random_uuid(), 'x', id FROM agents WHERE tenant_id = {t};
             INSERT INTO knowledge_documents (tenant_id, id, name, format, size_bytes, storage_key, metadata) VALUES ({t}, gen_random_uuid(), 'x', 'text', 1, 'x', '{{}}');
             INSERT INTO escalations (tenant_id, id, conversation_id, raised_by, reason) SELECT tenant_id, gen_random_uuid(), id, 'person', 'x' FROM chat_conversations WHERE tenant_id = {t};
             INSERT INTO contact_imports (tenant_id, id) VALUES ({t}, gen_random_uuid())",
            t = ann.tenant_number
        ))
        .await;
    let before = app.db.texts("SELECT to_jsonb(t)::text FROM chat_conversations t UNION ALL SELECT to_jsonb(t)::text FROM escalations t UNION ALL SELECT to_jsonb(t)::text FROM tickets t UNION ALL SELECT to_jsonb(t)::text FROM users t WHERE tenant_id <> 5 ORDER BY 1").await;
    let document = app.call("GET", "/openapi.json", None, Value::Null).await.expect(200);
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(parameter) = path.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(name, _)| name) else { continue };
        let secured = |operation: &Value| {
            operation["security"].as_array().is_some_and(|schemes| schemes.iter().any(|scheme| scheme.get("BearerAuth").is_some()))
        };
        // Operators see all tenants; nobody else sees anything there.
        if path.starts_with("/api/ops/") {
            let target = path.replace("{id}", "01900000-0000-7000-8000-000000000001").replace("{act}", "cancel");
            for method in item.as_object().unwrap().keys() {
                app.call(&method.to_uppercase(), &target, Some(&eve.token), json!({})).await.expect(403);
            }
            continue;
        }
        let Some(id) = ids(&app, parameter, path, ann.tenant_number).await else {
            assert!(!item.as_object().unwrap().values().any(secured), "this test knows no id for {path}");
            continue;
        };
        for (method, operation) in item.as_object().unwrap() {
            if !secured(operation) {
                continue;
            }
            let body = example(&document, operation);
            let answer =
                app.call(&method.to_uppercase(), &path.replace(&format!("{{{parameter}}}"), &id), Some(&eve.token), body.clone()).await;
            assert_eq!(answer.status, 404, "{method} {path} {body}: {}", answer.body);
            tried += 1;
        }
    }
    assert!(tried >= 6, "{tried}");
    let after = app.db.texts("SELECT to_jsonb(t)::text FROM chat_conversations t UNION ALL SELECT to_jsonb(t)::text FROM escalations t UNION ALL SELECT to_jsonb(t)::text FROM tickets t UNION ALL SELECT to_jsonb(t)::text FROM users t WHERE tenant_id <> 5 ORDER BY 1").await;
    assert_eq!(before, after);
}

/// The documented example of an operation's body.
fn example(document: &Value, operation: &Value) -> Value {
    let Some(reference) = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str() else { return Value::Null };
    let name = reference.rsplit('/').next().unwrap();
    document["components"]["schemas"][name]["examples"][0].clone()
}
