//! No statement walks over a large table: every one that the product has is planned, as it is planned in production, against a
//! hundred thousand rows, and against a queue that was empty for a while: connections keep the plans of then.

use crate::harness::{Database, PrivatePostgres};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use std::path::Path;

/// Tables that grow with what is received, said and done.
const LARGE: &[&str] = &[
    "chat_messages",
    "chat_conversations",
    "customers",
    "customer_identities",
    "raw_webhook_events",
    "jobs",
    "jobs_done",
    "counts",
    "tickets",
    "calendar_events",
    "users",
    "user_sessions",
    "refresh_tokens",
    "audit_log",
    "idempotency_keys",
    "channel_instances",
    "contact_import_rows",
];

/// Statements that may look at all of something, by a part of their text, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("DELETE FROM count_changes", "takes the first rows there are; what is folded in is gone"),
    ("x.active_slot AS newest", "one index entry for each tenant"),
    (
        "pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid\n          WHERE i.inhparent = 'raw_webhook_events'",
        "every ten minutes, over what waits",
    ),
    ("j.locked_by)", "an index that holds running jobs only"),
    ("ORDER BY state DESC, position LIMIT $6", "an operator's list"),
    ("SELECT count(*) AS \"count!\" FROM jobs\n", "an operator's count"),
    ("ORDER BY finished_at DESC, id LIMIT $5", "an operator's list of today and yesterday"),
    ("AS longest_running_s,", "an operator's figures"),
    (
        "SELECT count(*) AS \"count!\" FROM (\n          SELECT FROM raw_webhook_events",
        "an operator's count, of a hundred thousand at most",
    ),
];

/// What a busy installation holds, in one statement.
const FILL: &str = "
WITH t AS (INSERT INTO tenants (store_name) SELECT 'busy ' || n FROM generate_series(1, 100) n RETURNING id),
team AS (INSERT INTO users (tenant_id, id, email, name, role) SELECT t.id, gen_random_uuid(), t.id || '-' || n || '@example.com', 'n', 'agent' FROM t, generate_series(1, 100) n RETURNING tenant_id, id),
channel AS (INSERT INTO channel_instances (tenant_id, type, external_id, name) SELECT t.id, 'WHATSAPP', 'busy' || t.id || '-' || n, 'c' FROM t, generate_series(1, 20) n RETURNING tenant_id, id, external_id),
one AS (SELECT DISTINCT ON (tenant_id) tenant_id, id FROM channel),
person AS (INSERT INTO customers (tenant_id, id, phone_number, name, tags) SELECT t.id, gen_random_uuid(), '+1' || t.id || '-' || n, 'Person ' || n, ARRAY['a', 'b' || n % 50] FROM t, generate_series(1, 1000) n RETURNING tenant_id, id, phone_number),
known AS (INSERT INTO customer_identities (tenant_id, channel_instance_id, external_id, customer_id) SELECT p.tenant_id, one.id, p.phone_number, p.id FROM person p JOIN one USING (tenant_id)),
chat AS (INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, channel_source, last_message_at) SELECT p.tenant_id, gen_random_uuid(), one.id, p.id, 'whatsapp', now() - random() * interval '90 days' FROM person p JOIN one USING (tenant_id) RETURNING tenant_id, id, channel_instance_id, customer_id),
said AS (INSERT INTO chat_messages (tenant_id, id, conversation_id, channel_instance_id, external_id, direction, message_type, status, channel_source, content, sent_at)
  SELECT tenant_id, gen_random_uuid(), id, channel_instance_id, 'm' || id, 'inbound', 'text', 'received', 'whatsapp', 'x', now() FROM chat RETURNING 1),
ticket AS (INSERT INTO tickets (tenant_id, id, customer_id, subject, status) SELECT tenant_id, gen_random_uuid(), customer_id, 's', (ARRAY['open', 'closed'])[1 + (random())::int] FROM chat RETURNING 1),
event AS (INSERT INTO calendar_events (tenant_id, id, title, start_time, end_time) SELECT tenant_id, gen_random_uuid(), 't', now(), now() FROM chat RETURNING 1),
session AS (INSERT INTO user_sessions (tenant_id, id, user_id, contract, expires_at) SELECT team.tenant_id, gen_random_uuid(), team.id, 'cloud', now() FROM team, generate_series(1, 10) n RETURNING tenant_id, id),
refresh AS (INSERT INTO refresh_tokens (tenant_id, token_hash, session_id) SELECT tenant_id, uuid_send(id), id FROM session RETURNING 1),
act AS (INSERT INTO audit_log (tenant_id, id, actor, act) SELECT tenant_id, id, 'a', 'b' FROM session RETURNING 1),
keyed AS (INSERT INTO idempotency_keys (tenant_id, key, request, body_hash) SELECT tenant_id, id::text, 'r', '' FROM session RETURNING 1),
imports AS (INSERT INTO contact_imports (tenant_id, id) SELECT t.id, gen_random_uuid() FROM t RETURNING tenant_id, id),
row AS (INSERT INTO contact_import_rows (tenant_id, import_id, row_number, outcome) SELECT i.tenant_id, i.id, n, 'created' FROM imports i, generate_series(1, 1000) n RETURNING 1),
raw AS (INSERT INTO raw_webhook_events (received_on, id, tenant_id, channel_kind, channel_ids, received_at, body) SELECT (now() AT TIME ZONE 'utc')::date, gen_random_uuid(), CASE WHEN random() < 0.8 THEN tenant_id END, 'whatsapp_cloud', ARRAY['x'], now(), '' FROM session RETURNING 1),
work AS (INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT gen_random_uuid(), 'probe', 'probes', tenant_id, 5, '{}' FROM session RETURNING 1)
INSERT INTO counts (tenant_id, measure, day, n) SELECT t.id, 'message:inbound:received', date '2025-01-01' + n, 1 FROM t, generate_series(1, 1000) n";

#[tokio::test]
async fn no_statement_walks_over_a_large_table() {
    // What it writes takes long, and would hold back what others' tests watch: a server's transactions are ordered together.
    let postgres = PrivatePostgres::start();
    let db = Database::create_on(&postgres.url).await;
    db.run(FILL).await;
    db.run("ANALYZE").await;
    nothing_walks(&db).await;
}

#[tokio::test]
async fn no_plan_of_a_quiet_night_walks_over_the_jobs_of_the_morning() {
    // What it writes takes long, and would hold back what others' tests watch: a server's transactions are ordered together.
    let postgres = PrivatePostgres::start();
    let db = Database::create_on(&postgres.url).await;
    db.run(FILL).await;
    db.run("DELETE FROM jobs").await;
    db.run("VACUUM").await;
    db.run("ANALYZE").await;
    nothing_walks(&db).await;
}

async fn nothing_walks(db: &Database) {
    let today = db.text("SELECT to_char(now() AT TIME ZONE 'utc', '_YYYYMMDD')").await;
    let tenant = db.count("SELECT max(id)::int8 FROM tenants").await;
    let mut conn = PgConnection::connect(&db.url).await.unwrap();
    // As the pools are set.
    let settings = "SET plan_cache_mode = force_generic_plan; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off";
    conn.execute(AssertSqlSafe(format!("{settings}; SET switchboard.tenant_id = '{tenant}'"))).await.unwrap();
    let (mut planned, mut wrong) = (0, Vec::new());
    for statement in statements() {
        let parameters = statement["describe"]["parameters"]["Left"].as_array().map_or(0, Vec::len);
        let query = statement["query"].as_str().unwrap();
        if ALLOWED.iter().any(|(part, _)| query.contains(part)) {
            continue;
        }
        let Some(plan) = plan(&mut conn, query, parameters).await else { continue };
        planned += 1;
        let mut found = Vec::new();
        walk(&plan, &today, false, &mut found);
        if !found.is_empty() {
            wrong.push(format!("{found:?}\n{query}\n"));
        }
    }
    assert!(planned > 150, "only {planned} statements were planned");
    assert!(wrong.is_empty(), "{} statements:\n{}", wrong.len(), wrong.join("\n"));
}

/// All statements that the build has checked.
fn statements() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sqlx");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect()
}

/// The plan that is made once per connection: as the api's role, if that may run it, else as the worker's, else as the operator's. `None`: it has none.
async fn plan(conn: &mut PgConnection, query: &str, parameters: usize) -> Option<Value> {
    let nulls = if parameters == 0 { String::new() } else { format!("({})", vec!["NULL"; parameters].join(", ")) };
    for role in ["switchboard_api", "switchboard_worker", "switchboard_operator"] {
        conn.execute(AssertSqlSafe(format!("SET ROLE {role}"))).await.unwrap();
        conn.execute(AssertSqlSafe(format!("PREPARE statement AS {query}"))).await.ok()?;
        let explained = conn.fetch_one(AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE statement{nulls}"))).await;
        conn.execute("DEALLOCATE statement").await.unwrap();
        match explained {
            Ok(row) => return Some(row.get::<Value, _>(0)[0]["Plan"].clone()),
            Err(error) => assert!(error.to_string().contains("permission denied"), "{error}\n{query}"),
        }
    }
    panic!("no role may run this:\n{query}");
}

/// Collects the nodes that read all of a large table. An ordered walk that a limit ends is none.
fn walk(node: &Value, today: &str, limited: bool, found: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let table = node["Relation Name"].as_str().unwrap_or_default();
    // Partitions are named after their day; the others are empty.
    let table = table.trim_end_matches(today);
    let reads_all = match kind {
        "Seq Scan" => true,
        "Index Scan" | "Index Only Scan" => node.get("Index Cond").is_none() && !limited,
        _ => false,
    };
    if reads_all && LARGE.contains(&table) {
        found.push(format!("{kind} on {table}"));
    }
    let limited = match kind {
        "Limit" => true,
        // What sorts or counts first takes everything from below.
        "Sort" | "Aggregate" | "Hash" => false,
        _ => limited,
    };
    for below in node["Plans"].as_array().into_iter().flatten() {
        walk(below, today, limited, found);
    }
}
