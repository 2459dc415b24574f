//! Where a message is, and what became of it. Everything is found through an index of its tenant; whoever asks without a tenant has all of them asked in
//! turn, up to a few thousand.

use crate::{StoreError, operator_jobs::JobRow};
use chrono::{DateTime, Utc};
use domain::RawEventId;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Tenants, or channels, that a question without a tenant goes through.
const TENANTS: i64 = 5_000;

/// A message, with whom it is from or for.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JourneyMessage {
    pub tenant_id: i32,
    pub tenant: String,
    pub id: Uuid,
    pub conversation_id: Option<Uuid>,
    pub channel_id: Uuid,
    pub channel: String,
    pub channel_name: String,
    pub direction: String,
    pub message_type: String,
    pub status: String,
    pub content: Option<String>,
    pub external_id: Option<String>,
    pub human_override: bool,
    pub errors: Option<Value>,
    pub meta: Option<Value>,
    /// By the provider's clock.
    pub sent_at: DateTime<Utc>,
    /// When it was written here.
    pub created_at: DateTime<Utc>,
    pub customer_id: Option<Uuid>,
    pub customer: Option<String>,
    pub phone: Option<String>,
}

/// What is searched for.
#[derive(Clone, Debug)]
pub enum Term {
    /// A message's, conversation's or customer's id.
    Id(Uuid),
    /// E.164 with `+`.
    Phone(String),
    /// A provider's id of a message or a person.
    External(String),
}

/// The latest messages that a term means, newest first.
pub async fn messages(conn: &mut PgConnection, term: &Term, tenant: Option<i32>, limit: i64) -> Result<Vec<JourneyMessage>, StoreError> {
    let (id, phone, external) = match term {
        Term::Id(id) => (Some(*id), None, None),
        Term::Phone(phone) => (None, Some(phone.as_str()), Some(phone.trim_start_matches('+'))),
        Term::External(external) => (None, None, Some(external.as_str())),
    };
    Ok(sqlx::query_as!(
        JourneyMessage,
        r#"
        WITH asked AS MATERIALIZED (SELECT t.id FROM tenants t WHERE $4::int4 IS NULL OR t.id = $4 ORDER BY t.id LIMIT $5),
        channels AS MATERIALIZED (SELECT c.tenant_id, c.id FROM channel_instances c JOIN asked a ON a.id = c.tenant_id WHERE $3::text IS NOT NULL LIMIT $5),
        people AS MATERIALIZED (
          SELECT k.tenant_id, k.id FROM asked a CROSS JOIN LATERAL (SELECT tenant_id, id FROM customers x WHERE x.tenant_id = a.id AND x.phone_number = $2 OFFSET 0) k
          UNION
          SELECT i.tenant_id, i.customer_id FROM channels c CROSS JOIN LATERAL (
            SELECT x.tenant_id, x.customer_id FROM customer_identities x
            WHERE x.tenant_id = c.tenant_id AND x.channel_instance_id = c.id AND x.external_id = $3 OFFSET 0) i
          UNION
          SELECT k.tenant_id, k.id FROM asked a CROSS JOIN LATERAL (SELECT tenant_id, id FROM customers x WHERE x.tenant_id = a.id AND x.id = $1 OFFSET 0) k),
        threads AS MATERIALIZED (
          SELECT v.tenant_id, v.id FROM people p CROSS JOIN LATERAL (
            SELECT tenant_id, id FROM chat_conversations x WHERE x.tenant_id = p.tenant_id AND x.customer_id = p.id ORDER BY x.last_message_at DESC NULLS LAST LIMIT 20) v
          UNION
          SELECT tenant_id, id FROM chat_conversations WHERE id = $1),
        found AS (
          SELECT m.tenant_id, m.id FROM asked a CROSS JOIN LATERAL (SELECT tenant_id, id FROM chat_messages x WHERE x.tenant_id = a.id AND x.id = $1 OFFSET 0) m
          UNION
          SELECT m.tenant_id, m.id FROM channels c CROSS JOIN LATERAL (
            SELECT x.tenant_id, x.id FROM chat_messages x WHERE x.tenant_id = c.tenant_id AND x.channel_instance_id = c.id AND x.external_id = $3 OFFSET 0) m
          UNION
          SELECT m.tenant_id, m.id FROM threads v CROSS JOIN LATERAL (
            SELECT x.tenant_id, x.id FROM chat_messages x WHERE x.tenant_id = v.tenant_id AND x.conversation_id = v.id
            ORDER BY x.tenant_id, x.conversation_id, x.sent_at DESC, x.id DESC LIMIT $6) m)
        SELECT m.tenant_id, t.store_name AS tenant, m.id, m.conversation_id, m.channel_instance_id AS channel_id, c.type AS channel, c.name AS channel_name,
               m.direction, m.message_type, m.status, m.content, m.external_id, m.human_override, m.errors, m.meta, m.sent_at, m.created_at,
               k.id AS "customer_id?", k.name AS "customer?", k.phone_number AS "phone?"
        FROM found f JOIN chat_messages m ON m.tenant_id = f.tenant_id AND m.id = f.id
        JOIN tenants t ON t.id = m.tenant_id JOIN channel_instances c ON c.tenant_id = m.tenant_id AND c.id = m.channel_instance_id
        LEFT JOIN chat_conversations v ON v.tenant_id = m.tenant_id AND v.id = m.conversation_id
        LEFT JOIN customers k ON k.tenant_id = v.tenant_id AND k.id = v.customer_id
        ORDER BY m.created_at DESC, m.id DESC LIMIT $6
        "#,
        id,
        phone,
        external,
        tenant,
        TENANTS,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// The messages that came by a webhook: their ids are the webhook's, but for the last 32 bits.
pub async fn of_webhook(conn: &mut PgConnection, id: RawEventId, limit: i64) -> Result<Vec<JourneyMessage>, StoreError> {
    let first = id.0.as_u128() >> 32 << 32;
    let ids = sqlx::query_scalar!(
        r#"
        SELECT m.id FROM (SELECT id FROM tenants ORDER BY id LIMIT $4) t CROSS JOIN LATERAL (
          SELECT x.id FROM chat_messages x WHERE x.tenant_id = t.id AND x.id >= $1 AND x.id <= $2 LIMIT $3) m
        LIMIT $3
        "#,
        Uuid::from_u128(first),
        Uuid::from_u128(first | u128::from(u32::MAX)),
        limit,
        TENANTS
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut all = Vec::new();
    for id in ids {
        all.extend(messages(conn, &Term::Id(id), None, 1).await?);
    }
    Ok(all)
}

/// The latest messages sent on a channel within a day, of those that its tenant's last twenty thousand messages hold.
pub async fn sent_on(conn: &mut PgConnection, channel: Uuid, limit: i64) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT m.id FROM channel_instances c CROSS JOIN LATERAL (
          SELECT x.id, x.channel_instance_id, x.direction FROM chat_messages x
          WHERE x.tenant_id = c.tenant_id AND x.id >= first_id_at(now() - interval '1 day') ORDER BY x.tenant_id DESC, x.id DESC LIMIT 20000) m
        WHERE c.id = $1 AND m.channel_instance_id = c.id AND m.direction = 'outbound' LIMIT $2
        "#,
        channel,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// Jobs that name one of `ids` in their arguments and were made between two moments: those that a message caused. The span is short, so few are looked at.
pub async fn jobs_about(
    conn: &mut PgConnection,
    ids: &[Uuid],
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> Result<Vec<JobRow>, StoreError> {
    let about: Vec<String> = ids.iter().map(ToString::to_string).collect();
    Ok(sqlx::query_as!(
        JobRow,
        r#"
        SELECT id AS "id!", state AS "state!", kind AS "kind!", queue AS "queue!", tenant_id AS "tenant_id!", attempt AS "attempt!", crashes AS "crashes!",
               created_at AS "created_at!", at, fingerprint, error
        FROM (
          SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at, CASE state WHEN 'running' THEN started_at ELSE run_at END AS at,
                 NULL::text AS fingerprint, errors -> -1 ->> 'message' AS error
          FROM jobs WHERE id >= first_id_at($2) AND id < first_id_at($3) AND (args ->> 'message_id' = ANY($1) OR args ->> 'conversation_id' = ANY($1) OR args -> 'event_ids' ?| $1)
          UNION ALL
          SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at, died_at, fingerprint, errors -> -1 ->> 'message'
          FROM jobs_dead WHERE id >= first_id_at($2) AND id < first_id_at($3) AND (args ->> 'message_id' = ANY($1) OR args ->> 'conversation_id' = ANY($1) OR args -> 'event_ids' ?| $1)
          UNION ALL
          SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at, finished_at, NULL, errors -> -1 ->> 'message'
          FROM jobs_done WHERE finished_on >= ($2 AT TIME ZONE 'utc')::date AND id >= first_id_at($2) AND id < first_id_at($3) AND (args ->> 'message_id' = ANY($1) OR args ->> 'conversation_id' = ANY($1) OR args -> 'event_ids' ?| $1)) x
        ORDER BY id LIMIT $4
        "#,
        &about,
        from,
        to,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// An agent's run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JourneyRun {
    pub id: Uuid,
    pub job_id: Option<Uuid>,
    pub agent: Option<String>,
    pub message_id: Option<Uuid>,
    pub outcome: String,
    pub model: Option<String>,
    pub prompt_tokens: i32,
    pub completion_tokens: i32,
    pub steps: Value,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// What agents did in a conversation between two moments.
pub async fn runs(
    conn: &mut PgConnection,
    (tenant, conversation): (i32, Uuid),
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<JourneyRun>, StoreError> {
    Ok(sqlx::query_as!(
        JourneyRun,
        r#"
        SELECT r.id, r.job_id, a.name AS "agent?", r.message_id, r.outcome, r.model, r.prompt_tokens, r.completion_tokens, r.steps, r.error, r.created_at
        FROM agent_runs r LEFT JOIN agents a ON a.tenant_id = r.tenant_id AND a.id = r.agent_id
        WHERE r.tenant_id = $1 AND r.conversation_id = $2 AND r.id >= first_id_at($3) AND r.id < first_id_at($4) ORDER BY r.id LIMIT 20
        "#,
        tenant,
        conversation,
        from,
        to
    )
    .fetch_all(conn)
    .await?)
}

/// A conversation that was escalated to people.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JourneyEscalation {
    pub id: Uuid,
    pub raised_by: String,
    pub reason: String,
    pub created_at: DateTime<Utc>,
    pub assigned_at: Option<DateTime<Utc>>,
    pub resolved_at: Option<DateTime<Utc>>,
}

/// Escalations of a conversation since a moment, and until when a person keeps the bot away.
pub async fn people(
    conn: &mut PgConnection,
    (tenant, conversation): (i32, Uuid),
    since: DateTime<Utc>,
) -> Result<(Vec<JourneyEscalation>, Option<DateTime<Utc>>), StoreError> {
    let escalations = sqlx::query_as!(
        JourneyEscalation,
        "SELECT id, raised_by, reason, created_at, assigned_at, resolved_at FROM escalations
         WHERE tenant_id = $1 AND conversation_id = $2 AND id >= first_id_at($3) ORDER BY id LIMIT 10",
        tenant,
        conversation,
        since
    )
    .fetch_all(&mut *conn)
    .await?;
    let until =
        sqlx::query_scalar!("SELECT human_override_until FROM chat_conversations WHERE tenant_id = $1 AND id = $2", tenant, conversation)
            .fetch_optional(conn)
            .await?
            .flatten();
    Ok((escalations, until))
}

/// What those who watch were told of a message.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: DateTime<Utc>,
    /// `message_created`, `message_status`, `message_edited`.
    pub kind: String,
    /// What a `message_status` moved to, where it says so.
    pub status: Option<String>,
}

/// What was told of a message, in its order, in the hour that this is kept.
pub async fn told(conn: &mut PgConnection, tenant: i32, message: Uuid, since: DateTime<Utc>) -> Result<Vec<Told>, StoreError> {
    Ok(sqlx::query_as!(
        Told,
        r#"
        SELECT r.at, e.event ->> 'kind' AS "kind!", e.event ->> 'status' AS status
        FROM (SELECT * FROM realtime_events WHERE tenant_id = $1 ORDER BY tenant_id, xid DESC, id DESC LIMIT 5000) r
        CROSS JOIN LATERAL jsonb_array_elements(r.events) WITH ORDINALITY e(event, place)
        WHERE r.at >= $3 AND r.events @> jsonb_build_array(jsonb_build_object('message', $2::text)) AND e.event ->> 'message' = $2
        ORDER BY r.at, r.xid, r.id, e.place LIMIT 20
        "#,
        tenant,
        message.to_string(),
        since
    )
    .fetch_all(conn)
    .await?)
}
