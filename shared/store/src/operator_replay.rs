//! Raw events that an operator wants processed once more.

use crate::{
    StoreError,
    ledger::{self, NewJob},
    operator_jobs::{Actor, record},
    raw_events::day_of,
};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{RawEventId, TenantId};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeSet;

/// Which raw events. Conditions that are absent hold for all.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct ReplayFilter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<RawEventId>,
    /// By the time of arrival, from (included) and to (excluded).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    /// The provider's id of a channel that the event names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Only events that had no tenant (or several) when they came, and name a channel.
    pub unroutable: bool,
    /// The channel kind, for example `whatsapp_cloud`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The tenant's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<i32>,
}

impl ReplayFilter {
    fn uuids(&self) -> Option<Vec<uuid::Uuid>> {
        (!self.ids.is_empty()).then(|| self.ids.iter().map(|id| id.0).collect())
    }

    /// The partitions of the ids.
    fn days(&self) -> Option<Vec<NaiveDate>> {
        (!self.ids.is_empty()).then(|| self.ids.iter().map(|id| day_of(*id)).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// A raw event that matches.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReplayEvent {
    pub id: RawEventId,
    /// None: it had no tenant, or several.
    pub tenant_id: Option<TenantId>,
    pub channel_kind: String,
    pub channel_ids: Vec<String>,
    pub received_at: DateTime<Utc>,
    pub size_bytes: i32,
}

/// Up to `limit` matching events behind `after`, in the order of arrival.
pub async fn find(pool: &PgPool, filter: &ReplayFilter, after: Option<RawEventId>, limit: i64) -> Result<Vec<ReplayEvent>, StoreError> {
    let mut tx = crate::operator::planning(pool).await?;
    let (ids, days) = (filter.uuids(), filter.days());
    let rows = sqlx::query!(
        r#"
        SELECT id, tenant_id, channel_kind, channel_ids, received_at, octet_length(body) AS "size_bytes!"
        FROM raw_webhook_events
        WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::date[] IS NULL OR received_on = ANY($2))
          -- The day is of the id, made a moment before or after the time of arrival.
          AND ($3::timestamptz IS NULL OR received_at >= $3 AND received_on >= ($3 AT TIME ZONE 'utc')::date - 1)
          AND ($4::timestamptz IS NULL OR received_at < $4 AND received_on <= ($4 AT TIME ZONE 'utc')::date + 1)
          AND ($5::text IS NULL OR $5 = ANY(channel_ids)) AND (NOT $6 OR tenant_id IS NULL AND cardinality(channel_ids) > 0)
          AND ($7::date IS NULL OR received_on >= $7 AND (received_on, id) > ($7, $8::uuid))
          AND ($10::text IS NULL OR channel_kind = $10) AND ($11::int4 IS NULL OR tenant_id = $11)
        ORDER BY received_on, id LIMIT $9
        "#,
        ids as _,
        days as _,
        filter.from,
        filter.to,
        filter.channel.as_deref(),
        filter.unroutable,
        after.map(day_of),
        after.map(|id| id.0),
        limit,
        filter.source.as_deref(),
        filter.tenant
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| ReplayEvent {
            id: RawEventId(r.id),
            tenant_id: r.tenant_id.map(TenantId),
            channel_kind: r.channel_kind,
            channel_ids: r.channel_ids,
            received_at: r.received_at,
            size_bytes: r.size_bytes,
        })
        .collect())
}

/// How many match, counted up to `most`.
pub async fn count(conn: &mut PgConnection, filter: &ReplayFilter, most: i64) -> Result<i64, StoreError> {
    let (ids, days) = (filter.uuids(), filter.days());
    Ok(sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!" FROM (
          SELECT FROM raw_webhook_events
          WHERE ($1::uuid[] IS NULL OR id = ANY($1)) AND ($2::date[] IS NULL OR received_on = ANY($2))
            AND ($3::timestamptz IS NULL OR received_at >= $3 AND received_on >= ($3 AT TIME ZONE 'utc')::date - 1)
            AND ($4::timestamptz IS NULL OR received_at < $4 AND received_on <= ($4 AT TIME ZONE 'utc')::date + 1)
            AND ($5::text IS NULL OR $5 = ANY(channel_ids)) AND (NOT $6 OR tenant_id IS NULL AND cardinality(channel_ids) > 0)
            AND ($7::text IS NULL OR channel_kind = $7) AND ($8::int4 IS NULL OR tenant_id = $8)
          LIMIT $9) r
        "#,
        ids as _,
        days as _,
        filter.from,
        filter.to,
        filter.channel.as_deref(),
        filter.unroutable,
        filter.source.as_deref(),
        filter.tenant,
        most
    )
    .fetch_one(conn)
    .await?)
}

/// Enqueues the jobs of `events` replayed events and keeps the act, in one transaction.
pub async fn enqueue(pool: &PgPool, actor: &Actor, filter: &ReplayFilter, events: u64, jobs: &[NewJob]) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    ledger::enqueue(&mut tx, jobs).await?;
    // A filter is plain data; it cannot fail to become JSON.
    let subject = serde_json::to_value(filter).unwrap_or(Value::Null);
    record(&mut tx, actor, "events.replay", &subject, events).await?;
    tx.commit().await?;
    Ok(())
}
