//! Raw webhooks as operators look at them.

use crate::{StoreError, raw_events::day_of};
use chrono::{DateTime, Utc};
use domain::RawEventId;
use sqlx::PgConnection;
use uuid::Uuid;

/// Rows that one question looks at, at most.
const WINDOW: i64 = 3_000;

/// Which webhooks. Conditions that are absent hold for all.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The channel kind, for example `whatsapp_cloud`.
    pub source: Option<String>,
    /// The provider's id of a channel.
    pub channel: Option<String>,
    pub tenant: Option<i32>,
    /// Only those that belonged to no tenant (or to several) when they came, and still do.
    pub unroutable: bool,
    /// A part of the body.
    pub text: Option<String>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub before: Option<RawEventId>,
}

/// A webhook as it is listed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Webhook {
    pub id: Uuid,
    pub source: String,
    pub tenant_id: Option<i32>,
    pub channel_ids: Vec<String>,
    pub received_at: DateTime<Utc>,
    pub size_bytes: i32,
}

/// Up to `limit`, newest first, and where to go on: older ones were not looked at.
pub async fn find(conn: &mut PgConnection, search: &Search, limit: i64) -> Result<(Vec<Webhook>, Option<RawEventId>), StoreError> {
    let before = search.before.map(|id| id.0);
    let day_before = search.before.map(day_of);
    let rows = sqlx::query_as!(
        Webhook,
        r#"
        SELECT id, channel_kind AS source, tenant_id, channel_ids, received_at, octet_length(body) AS "size_bytes!"
        FROM (
          SELECT * FROM raw_webhook_events
          WHERE ($1::timestamptz IS NULL OR received_on >= ($1 AT TIME ZONE 'utc')::date AND id >= first_id_at($1))
            AND ($2::timestamptz IS NULL OR received_on <= ($2 AT TIME ZONE 'utc')::date AND id < first_id_at($2))
            AND ($3::date IS NULL OR received_on <= $3 AND id < $4)
          ORDER BY received_on DESC, id DESC LIMIT $5) w
        WHERE ($6::text IS NULL OR channel_kind = $6) AND ($7::text IS NULL OR $7 = ANY(channel_ids)) AND ($8::int4 IS NULL OR tenant_id = $8)
          AND (NOT $9 OR tenant_id IS NULL) AND ($10::bytea IS NULL OR position($10 IN body) > 0)
        ORDER BY received_on DESC, id DESC LIMIT $11
        "#,
        search.from,
        search.to,
        day_before,
        before,
        WINDOW,
        search.source.as_deref(),
        search.channel.as_deref(),
        search.tenant,
        search.unroutable,
        search.text.as_deref().map(str::as_bytes),
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    if rows.len() as u64 >= limit.unsigned_abs() {
        let next = rows.last().map(|row| RawEventId(row.id));
        return Ok((rows, next));
    }
    let window = sqlx::query!(
        r#"
        SELECT count(*) AS "n!", (array_agg(id ORDER BY id))[1] AS last FROM (
          SELECT id FROM raw_webhook_events
          WHERE ($1::timestamptz IS NULL OR received_on >= ($1 AT TIME ZONE 'utc')::date AND id >= first_id_at($1))
            AND ($2::timestamptz IS NULL OR received_on <= ($2 AT TIME ZONE 'utc')::date AND id < first_id_at($2))
            AND ($3::date IS NULL OR received_on <= $3 AND id < $4)
          ORDER BY received_on DESC, id DESC LIMIT $5) w
        "#,
        search.from,
        search.to,
        day_before,
        before,
        WINDOW
    )
    .fetch_one(conn)
    .await?;
    Ok((rows, window.last.map(RawEventId).filter(|_| window.n >= WINDOW)))
}

/// One webhook in full.
#[derive(Clone, Debug)]
pub struct WebhookBody {
    pub webhook: Webhook,
    pub trace_id: Option<String>,
    pub body: Vec<u8>,
}

/// One webhook. `None`: there is none, or its day was dropped.
pub async fn one(conn: &mut PgConnection, id: RawEventId) -> Result<Option<WebhookBody>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT id, channel_kind, tenant_id, channel_ids, received_at, trace_id, body FROM raw_webhook_events WHERE received_on = $1 AND id = $2"#,
        day_of(id),
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| WebhookBody {
        webhook: Webhook {
            id: row.id,
            source: row.channel_kind,
            tenant_id: row.tenant_id,
            channel_ids: row.channel_ids,
            received_at: row.received_at,
            size_bytes: i32::try_from(row.body.len()).unwrap_or(i32::MAX),
        },
        trace_id: row.trace_id,
        body: row.body,
    }))
}

/// The webhook that a message came by: a message's id is the webhook's, but for its last 32 bits.
pub async fn of_message(conn: &mut PgConnection, message: Uuid) -> Result<Option<RawEventId>, StoreError> {
    let first = message.as_u128() >> 32 << 32;
    let id = RawEventId(message);
    Ok(sqlx::query_scalar!(
        "SELECT id FROM raw_webhook_events WHERE received_on = $1 AND id >= $2 AND id <= $3 ORDER BY id LIMIT 1",
        day_of(id),
        Uuid::from_u128(first),
        Uuid::from_u128(first | u128::from(u32::MAX))
    )
    .fetch_optional(conn)
    .await?
    .map(RawEventId))
}
