//! Tenants, and the channels they begin with.

use crate::StoreError;
use domain::{ChannelInstanceId, TenantId};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// A tenant, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRow {
    pub id: i32,
    pub public_id: Uuid,
    pub store_name: String,
}

/// All tenants, or those with these ids, by id. For operators.
pub async fn list(conn: &mut PgConnection, ids: Option<&[i32]>) -> Result<Vec<TenantRow>, StoreError> {
    Ok(sqlx::query_as!(
        TenantRow,
        "SELECT id, public_id, store_name FROM tenants WHERE $1::int4[] IS NULL OR id = ANY($1) ORDER BY id",
        ids
    )
    .fetch_all(conn)
    .await?)
}

/// How a tenant is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantKey {
    PublicId(Uuid),
    Number(i32),
}

/// Finds a tenant. For operators, and for whoever is nobody's user.
pub async fn find(conn: &mut PgConnection, key: TenantKey) -> Result<Option<TenantRow>, StoreError> {
    let (public_id, number) = match key {
        TenantKey::PublicId(id) => (Some(id), None),
        TenantKey::Number(number) => (None, Some(number)),
    };
    Ok(sqlx::query_as!(TenantRow, "SELECT id, public_id, store_name FROM tenants WHERE public_id = $1 OR id = $2", public_id, number)
        .fetch_optional(conn)
        .await?)
}

/// The id that contracts show of a tenant.
pub async fn public_id(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!("SELECT public_id FROM tenants WHERE id = $1", tenant.0).fetch_optional(conn).await?)
}

/// A tenant's WhatsApp channel, as `switchboard seed` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeededChannel {
    pub tenant_id: TenantId,
    pub public_id: Uuid,
    pub store_name: String,
    pub channel_id: ChannelInstanceId,
    /// WhatsApp's `phone_number_id`.
    pub external_id: String,
}

/// The WhatsApp channel with this phone number id. If nobody has it, the oldest tenant of this name gets it, and that
/// tenant is made if there is none. Safe to repeat, and to call from several processes at once.
pub async fn ensure_whatsapp_channel(pool: &PgPool, store_name: &str, phone_number_id: &str) -> Result<SeededChannel, StoreError> {
    let mut tx = pool.begin().await?;
    one_at_a_time(&mut tx).await?;
    sqlx::query!(
        r#"
        WITH held AS (SELECT FROM channel_instances WHERE type = 'WHATSAPP' AND external_id = $2),
        known AS (SELECT id FROM tenants WHERE store_name = $1 ORDER BY id LIMIT 1),
        made AS (INSERT INTO tenants (store_name) SELECT $1 WHERE NOT EXISTS (SELECT FROM known) AND NOT EXISTS (SELECT FROM held) RETURNING id)
        INSERT INTO channel_instances (tenant_id, type, external_id, name, status, config)
        SELECT t.id, 'WHATSAPP', $2, 'WhatsApp', 'CONNECTED', jsonb_build_object('phoneNumberId', $2::text)
        FROM (SELECT id FROM known UNION ALL SELECT id FROM made) t
        WHERE NOT EXISTS (SELECT FROM held)
        "#,
        store_name,
        phone_number_id
    )
    .execute(&mut *tx)
    .await?;
    let channel = find_seeded(&mut tx, &[phone_number_id.to_owned()]).await?.pop();
    tx.commit().await?;
    channel.ok_or(StoreError::Stale("the demo channel"))
}

/// For each phone number id a tenant named after it, with one connected WhatsApp channel, if nobody has that number yet.
/// Safe to repeat. Returns the channels of all of them, by number.
pub async fn ensure_tenants_with_numbers(pool: &PgPool, phone_number_ids: &[String]) -> Result<Vec<SeededChannel>, StoreError> {
    let mut tx = pool.begin().await?;
    one_at_a_time(&mut tx).await?;
    sqlx::query!(
        r#"
        WITH wanted AS (
          SELECT DISTINCT number FROM unnest($1::text[]) number
          WHERE NOT EXISTS (SELECT FROM channel_instances c WHERE c.type = 'WHATSAPP' AND c.external_id = number)),
        made AS (INSERT INTO tenants (store_name) SELECT number FROM wanted ORDER BY number RETURNING id, store_name)
        INSERT INTO channel_instances (tenant_id, type, external_id, name, status, config)
        SELECT id, 'WHATSAPP', store_name, 'WhatsApp', 'CONNECTED', jsonb_build_object('phoneNumberId', store_name) FROM made
        "#,
        phone_number_ids
    )
    .execute(&mut *tx)
    .await?;
    let channels = find_seeded(&mut tx, phone_number_ids).await?;
    tx.commit().await?;
    Ok(channels)
}

/// Seeding looks before it inserts (names are not unique), so it is done by one transaction at a time.
async fn one_at_a_time(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('seed'))::text AS locked").fetch_one(conn).await?;
    Ok(())
}

async fn find_seeded(conn: &mut PgConnection, phone_number_ids: &[String]) -> Result<Vec<SeededChannel>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT t.id, t.public_id, t.store_name, c.id AS channel_id, c.external_id AS "external_id!"
        FROM channel_instances c JOIN tenants t ON t.id = c.tenant_id
        WHERE c.type = 'WHATSAPP' AND c.external_id = ANY($1) ORDER BY c.external_id
        "#,
        phone_number_ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|r| SeededChannel {
            tenant_id: TenantId(r.id),
            public_id: r.public_id,
            store_name: r.store_name,
            channel_id: ChannelInstanceId(r.channel_id),
            external_id: r.external_id,
        })
        .collect())
}
