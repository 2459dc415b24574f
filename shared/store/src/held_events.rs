//! Raw events that are held because their tenant, or an operator, wants it so.

use crate::StoreError;
use domain::{RawEventId, TenantId};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Holds events. [`StoreError::Stale`] if one of the tenants has enabled its webhooks meanwhile: run it again.
pub async fn hold(conn: &mut PgConnection, held: &BTreeMap<TenantId, BTreeSet<RawEventId>>) -> Result<(), StoreError> {
    let tenants: Vec<i32> = held.keys().map(|tenant| tenant.0).collect();
    // Whoever enables them changes these rows: either after us, and then takes what we hold, or before.
    let still = sqlx::query_scalar!(
        "SELECT id FROM tenants WHERE id = ANY($1) AND ((settings #>> '{webhookConfig,enabled}')::bool = false OR paused_at IS NOT NULL) ORDER BY id FOR SHARE",
        &tenants
    )
    .fetch_all(&mut *conn)
    .await?;
    if still.len() < tenants.len() {
        return Err(StoreError::Stale("a tenant's settings"));
    }
    let rows: Vec<(i32, uuid::Uuid)> = held.iter().flat_map(|(tenant, events)| events.iter().map(|event| (tenant.0, event.0))).collect();
    sqlx::query!(
        "INSERT INTO held_webhook_events (tenant_id, raw_event_id) SELECT * FROM unnest($1::int4[], $2::uuid[]) ON CONFLICT DO NOTHING",
        &rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.1).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Are the tenant's events to be held? If so, whoever changes that sees what is held now.
pub async fn must_wait(conn: &mut PgConnection, tenant: TenantId) -> Result<bool, StoreError> {
    let held = sqlx::query_scalar!(
        r#"SELECT coalesce((settings #>> '{webhookConfig,enabled}')::bool = false, false) OR paused_at IS NOT NULL AS "held!" FROM tenants WHERE id = $1"#,
        tenant.0
    );
    Ok(held.fetch_optional(conn).await?.unwrap_or(false))
}

/// Takes up to `limit` held events of a tenant, in the order of arrival.
pub async fn release(conn: &mut PgConnection, tenant: TenantId, limit: i64) -> Result<Vec<RawEventId>, StoreError> {
    let mut taken = sqlx::query_scalar!(
        "DELETE FROM held_webhook_events WHERE tenant_id = $1 AND raw_event_id IN (
           SELECT raw_event_id FROM held_webhook_events WHERE tenant_id = $1 ORDER BY raw_event_id LIMIT $2)
         RETURNING raw_event_id",
        tenant.0,
        limit
    )
    .fetch_all(conn)
    .await?;
    taken.sort_unstable();
    Ok(taken.into_iter().map(RawEventId).collect())
}
