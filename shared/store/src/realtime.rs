//! What changed lately, in an order in which nothing comes later before what was read: by transactions, below the oldest that still runs.

use crate::StoreError;
use domain::{Change, TenantId};
use sqlx::{PgConnection, PgPool};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// A place in the order. Its text is opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    xid: u64,
    id: i64,
}

impl Position {
    /// Just before it.
    #[must_use]
    pub fn before(self) -> Self {
        Self { id: self.id.saturating_sub(1), ..self }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.xid, self.id)
    }
}

impl FromStr for Position {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (xid, id) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self { xid: xid.parse()?, id: id.parse()? })
    }
}

/// What one transaction changed of a tenant.
#[derive(Clone, Debug)]
pub struct Changes {
    pub position: Position,
    pub tenant: TenantId,
    pub changes: Vec<Change>,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    pub rows: Vec<Changes>,
    /// There is more: it is committed, but something older still runs, or this was as much as is read at once.
    pub more: bool,
}

/// Writes what the transaction changes, so that it is told when it commits.
pub async fn tell(conn: &mut PgConnection, changes: &BTreeMap<TenantId, Vec<Change>>) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO realtime_events (tenant_id, events) SELECT * FROM unnest($1::int4[], $2::jsonb[])",
        &changes.keys().map(|tenant| tenant.0).collect::<Vec<_>>(),
        &changes.values().map(|changes| serde_json::to_value(changes).unwrap_or_default()).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The same, for one change.
pub async fn tell_one(conn: &mut PgConnection, tenant: TenantId, change: Change) -> Result<(), StoreError> {
    tell(conn, &BTreeMap::from([(tenant, vec![change])])).await
}

/// Where everything begins that commits from now on.
pub async fn now(pool: &PgPool) -> Result<Position, StoreError> {
    let xmin = sqlx::query_scalar!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "xmin!""#).fetch_one(pool).await?;
    Ok(Position { xid: xmin.parse::<u64>().unwrap_or(1).saturating_sub(1), id: i64::MAX })
}

/// What these tenants changed after `position`, in order, up to `limit` rows.
pub async fn after(pool: &PgPool, position: Position, tenants: &[i32], limit: i64) -> Result<Read, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT xid::text AS "xid!", id AS "id!", tenant_id, events, xid < pg_snapshot_xmin(pg_current_snapshot()) AS "settled!"
           FROM realtime_events WHERE (xid, id) > ($1::text::xid8, $2) AND tenant_id = ANY($3) ORDER BY xid, id LIMIT $4"#,
        position.xid.to_string(),
        position.id,
        tenants,
        limit
    )
    .fetch_all(pool)
    .await?;
    let full = i64::try_from(rows.len()).unwrap_or(limit) >= limit;
    let count = rows.len();
    let rows: Vec<Changes> = rows
        .into_iter()
        .take_while(|row| row.settled)
        .map(|row| Changes {
            position: Position { xid: row.xid.parse().unwrap_or(0), id: row.id },
            tenant: TenantId(row.tenant_id),
            // A kind that a newer version writes is not known here.
            changes: row.events.as_array().into_iter().flatten().filter_map(|change| serde_json::from_value(change.clone()).ok()).collect(),
        })
        .collect();
    Ok(Read { more: full || rows.len() < count, rows })
}

/// What a tenant changed between two positions, if all of it is still kept and it is at most `limit` rows.
pub async fn between(
    pool: &PgPool,
    tenant: TenantId,
    (from, to): (Position, Position),
    limit: usize,
) -> Result<Option<Vec<Changes>>, StoreError> {
    let kept = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM realtime_events WHERE (xid, id) <= ($1::text::xid8, $2)) AS "kept!""#,
        from.xid.to_string(),
        from.id
    )
    .fetch_one(pool)
    .await?;
    if !kept {
        return Ok(None);
    }
    let read = after(pool, from, &[tenant.0], i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)).await?;
    let rows: Vec<Changes> = read.rows.into_iter().take_while(|row| row.position <= to).collect();
    Ok((rows.len() <= limit).then_some(rows))
}

/// Forgets up to `batch` rows older than an hour, but for the newest of them, which says that all since are there. Also those that another
/// database left (a restored one counts its transactions anew). Returns how many.
pub async fn forget_old(pool: &PgPool, batch: i64) -> Result<u64, StoreError> {
    let result = sqlx::query!(
        r#"
        WITH head AS (SELECT xid, id FROM realtime_events WHERE at < now() - interval '1 hour' ORDER BY xid, id LIMIT $1),
        last AS (SELECT xid, id FROM head ORDER BY xid DESC, id DESC LIMIT 1)
        DELETE FROM realtime_events e
        WHERE (e.xid, e.id) IN (SELECT h.xid, h.id FROM head h, last l WHERE (h.xid, h.id) < (l.xid, l.id))
           OR e.xid > pg_snapshot_xmax(pg_current_snapshot())
        "#,
        batch
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_what_it_wrote_and_nothing_else() {
        let position = Position { xid: 12, id: 7 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", "12", "12-", "-7", "a-b", "12-7-1"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }
}
