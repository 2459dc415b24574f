//! What webhooks tell of a known person: the name they show, their phone number. The latest by the provider's time counts, so
//! that a repeated or late delivery brings nothing old back.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ChannelInstanceId, ConversationId, CustomerId, TenantId};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Something a webhook tells, and when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) at: DateTime<Utc>,
}

impl Told {
    pub(super) fn newer(known: Option<Self>, next: Option<Self>) -> Option<Self> {
        match (known, next) {
            (Some(known), Some(next)) => Some(if next.at > known.at { next } else { known }),
            (known, next) => known.or(next),
        }
    }
}

/// A person told of a new number: the old one no longer is theirs.
pub(super) async fn change_phone(
    conn: &mut PgConnection,
    tenant: i32,
    customer: CustomerId,
    phone: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE customers SET phone_number = $3, phone_at = $4, updated_at = now()
         WHERE tenant_id = $1 AND id = $2 AND (phone_at IS NULL OR phone_at < $4)",
        tenant,
        customer.0,
        phone,
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Fills in phone numbers that became known, and newer names: `((tenant, customer), (name, phone number))`.
pub(super) async fn fill_in(
    conn: &mut PgConnection,
    told: impl Iterator<Item = ((i32, CustomerId), (Option<Told>, Option<String>))>,
) -> Result<(), StoreError> {
    let mut rows: BTreeMap<(i32, CustomerId), (Option<Told>, Option<String>)> = BTreeMap::new();
    for (customer, (name, phone)) in told {
        let row = rows.entry(customer).or_default();
        row.0 = Told::newer(row.0.take(), name);
        row.1 = row.1.take().or(phone);
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        UPDATE customers c
        SET name = CASE WHEN n.name_at > coalesce(c.name_at, '-infinity') THEN n.name ELSE c.name END,
            name_at = greatest(c.name_at, n.name_at), phone_number = coalesce(c.phone_number, n.phone_number), updated_at = now()
        FROM (SELECT * FROM unnest($1::int4[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) n(tenant_id, id, name, name_at, phone_number)
              ORDER BY n.tenant_id, n.id) n
        WHERE c.tenant_id = n.tenant_id AND c.id = n.id
          AND (n.name_at > coalesce(c.name_at, '-infinity') OR c.phone_number IS NULL AND n.phone_number IS NOT NULL)
        "#,
        &rows.keys().map(|k| k.0).collect::<Vec<_>>(),
        &rows.keys().map(|k| k.1.0).collect::<Vec<_>>(),
        &rows.values().map(|r| r.0.as_ref().map(|told| told.text.clone())).collect::<Vec<_>>() as _,
        &rows.values().map(|r| r.0.as_ref().map(|told| told.at)).collect::<Vec<_>>() as _,
        &rows.values().map(|r| r.1.clone()).collect::<Vec<_>>() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A person's name, unless they are called something already, and picture, as their provider tells them when it is asked. Returns the
/// conversations that show it.
pub async fn introduce(
    conn: &mut PgConnection,
    (tenant, channel, external_id): (TenantId, ChannelInstanceId, &str),
    name: Option<&str>,
    picture: Option<&str>,
) -> Result<Vec<ConversationId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "WITH known AS (
           UPDATE customers c SET name = coalesce(c.name, $4), avatar_url = coalesce($5, c.avatar_url), updated_at = now()
           FROM customer_identities i
           WHERE i.tenant_id = $1 AND i.channel_instance_id = $2 AND i.external_id = $3 AND c.tenant_id = i.tenant_id AND c.id = i.customer_id
           RETURNING c.tenant_id, c.id)
         SELECT v.id FROM known k JOIN chat_conversations v ON v.tenant_id = k.tenant_id AND v.customer_id = k.id AND v.status <> 'closed'",
        tenant.0,
        channel.0,
        external_id,
        name,
        picture
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(ConversationId).collect())
}
