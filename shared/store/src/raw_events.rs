//! Webhook bodies as received: written once, in the group commit that answers them; read by the jobs that process them.

use crate::{StoreError, ledger::NewJob};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use domain::{ChannelNaming, RawEventId, TenantId};
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// A webhook to keep.
#[derive(Clone, Debug)]
pub struct NewRawEvent {
    /// Version 7; the UTC day in it is the partition that the event lives in.
    pub id: RawEventId,
    /// The only tenant whose channels it touches. `None`: the body names no known channel, or channels of several tenants.
    pub tenant_id: Option<TenantId>,
    /// `channels::ChannelKind::kind`, for example `whatsapp_cloud`.
    pub channel_kind: &'static str,
    /// The ids of channels that the body names.
    pub channel_ids: Vec<String>,
    /// What these ids are; not stored, since the kind tells it.
    pub naming: ChannelNaming,
    pub trace_id: Option<String>,
    pub received_at: DateTime<Utc>,
    pub body: Bytes,
}

/// An event as a job reads it.
#[derive(Clone, Debug)]
pub struct RawEvent {
    pub id: RawEventId,
    /// See [`NewRawEvent::tenant_id`].
    pub tenant_id: Option<TenantId>,
    pub channel_kind: String,
    /// See [`NewRawEvent::channel_ids`].
    pub channel_ids: Vec<String>,
    pub received_at: DateTime<Utc>,
    pub body: Vec<u8>,
}

/// The partition of an event: the UTC day in its id.
pub fn day_of(id: RawEventId) -> NaiveDate {
    let seconds = id.0.get_timestamp().map_or(0, |t| t.to_unix().0);
    DateTime::<Utc>::from_timestamp(i64::try_from(seconds).unwrap_or(0), 0).unwrap_or_default().date_naive()
}

/// Keeps `events` and enqueues `jobs` (of one kind), both or neither, in one statement. When it returns, they are durable.
///
/// One statement and not a transaction of two: this is the group commit that every webhook waits for.
pub async fn accept(conn: &mut PgConnection, events: &[NewRawEvent], jobs: &[NewJob]) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        WITH kept AS (
          INSERT INTO raw_webhook_events (received_on, id, tenant_id, channel_kind, channel_ids, trace_id, received_at, body)
          SELECT e.received_on, e.id, e.tenant_id, e.channel_kind, string_to_array(e.channel_ids, E'\n'), e.trace_id, e.received_at, e.body
          FROM unnest($1::date[], $2::uuid[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::bytea[])
               AS e(received_on, id, tenant_id, channel_kind, channel_ids, trace_id, received_at, body))
        INSERT INTO jobs (id, kind, queue, tenant_id, weight, max_attempts, trace, args)
        SELECT j.id, j.kind, j.queue, j.tenant_id, j.weight, j.max_attempts, j.trace, j.args
        FROM unnest($9::uuid[], $10::text[], $11::text[], $12::int4[], $13::int4[], $14::int2[], $15::text[], $16::jsonb[])
             AS j(id, kind, queue, tenant_id, weight, max_attempts, trace, args)
        "#,
        &events.iter().map(|e| day_of(e.id)).collect::<Vec<_>>(),
        &events.iter().map(|e| e.id.0).collect::<Vec<_>>(),
        &events.iter().map(|e| e.tenant_id.map(|t| t.0)).collect::<Vec<_>>() as _,
        &events.iter().map(|e| e.channel_kind).collect::<Vec<_>>() as _,
        &events.iter().map(|e| e.channel_ids.join("\n")).collect::<Vec<_>>(),
        &events.iter().map(|e| e.trace_id.as_deref()).collect::<Vec<_>>() as _,
        &events.iter().map(|e| e.received_at).collect::<Vec<_>>(),
        &events.iter().map(|e| e.body.as_ref()).collect::<Vec<_>>() as _,
        &jobs.iter().map(|j| j.id.0).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.kind).collect::<Vec<_>>() as _,
        &jobs.iter().map(|j| j.queue).collect::<Vec<_>>() as _,
        &jobs.iter().map(|j| j.tenant_id.0).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.weight).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.max_attempts).collect::<Vec<_>>(),
        &jobs.iter().map(|j| j.trace.as_deref()).collect::<Vec<_>>() as _,
        &jobs.iter().map(|j| &j.args).collect::<Vec<_>>() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Reads events by id, in the order of their ids (arrival). Events whose day was dropped are absent.
pub async fn read(conn: &mut PgConnection, ids: &[RawEventId]) -> Result<Vec<RawEvent>, StoreError> {
    let days: BTreeSet<NaiveDate> = ids.iter().map(|id| day_of(*id)).collect();
    let rows = sqlx::query!(
        "SELECT id, tenant_id, channel_kind, channel_ids, received_at, body FROM raw_webhook_events WHERE received_on = ANY($1) AND id = ANY($2) ORDER BY id",
        &days.into_iter().collect::<Vec<_>>(),
        &ids.iter().map(|id| id.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| RawEvent {
            id: RawEventId(r.id),
            tenant_id: r.tenant_id.map(TenantId),
            channel_kind: r.channel_kind,
            channel_ids: r.channel_ids,
            received_at: r.received_at,
            body: r.body,
        })
        .collect())
}

/// The sizes of events' bodies in bytes, in the order of their ids. Events whose day was dropped are absent.
pub async fn sizes(conn: &mut PgConnection, ids: &[RawEventId]) -> Result<Vec<(RawEventId, usize)>, StoreError> {
    let days: BTreeSet<NaiveDate> = ids.iter().map(|id| day_of(*id)).collect();
    let rows = sqlx::query!(
        r#"SELECT id, octet_length(body) AS "size!" FROM raw_webhook_events WHERE received_on = ANY($1) AND id = ANY($2) ORDER BY id"#,
        &days.into_iter().collect::<Vec<_>>(),
        &ids.iter().map(|id| id.0).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (RawEventId(row.id), usize::try_from(row.size).unwrap_or(0))).collect())
}

/// Gives an event that nobody owned to the tenant that it turned out to belong to.
pub async fn assign_tenant(conn: &mut PgConnection, tenant_id: TenantId, ids: &[RawEventId]) -> Result<(), StoreError> {
    let days: BTreeSet<NaiveDate> = ids.iter().map(|id| day_of(*id)).collect();
    sqlx::query!(
        "UPDATE raw_webhook_events SET tenant_id = $1 WHERE received_on = ANY($2) AND id = ANY($3) AND tenant_id IS NULL",
        tenant_id.0,
        &days.into_iter().collect::<Vec<_>>(),
        &ids.iter().map(|id| id.0).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Recent events that no tenant owns and that name `external_id`: what to process again when a channel is created. With the
/// size of each body in bytes.
pub async fn unrouted(
    conn: &mut PgConnection,
    external_id: &str,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(RawEventId, usize)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, octet_length(body) AS "size!" FROM raw_webhook_events
           WHERE tenant_id IS NULL AND received_at >= $2 AND $1 = ANY(channel_ids)
           ORDER BY received_at LIMIT $3"#,
        external_id,
        since,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|r| (RawEventId(r.id), usize::try_from(r.size).unwrap_or(0))).collect())
}
