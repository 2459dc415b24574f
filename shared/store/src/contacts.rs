//! Customers as people keep them: contacts. A name that a person gave stays, whatever webhooks tell (`name_at` is infinity then).

use crate::{StoreError, counts};
use chrono::{DateTime, Utc};
use domain::{CustomerId, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

/// A contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub id: Uuid,
    /// E.164.
    pub phone_number: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub tags: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Which contacts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContactFilter<'a> {
    /// Part of a name, number or e-mail address.
    pub term: Option<&'a str>,
    pub tag: Option<&'a str>,
}

/// A contact to make, or, in an import, to bring up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewContact {
    pub phone_number: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub tags: Vec<String>,
}

/// What to change; `None` leaves as it is, `Some(None)` clears.
#[derive(Clone, Debug, Default)]
pub struct ContactChanges {
    pub phone_number: Option<String>,
    pub name: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub tags: Option<Vec<String>>,
}

/// What a filter finds at most.
pub const MOST_FOUND: i32 = 10_000;

/// Contacts, the newest first, and how many there are (of what a filter finds, at most the newest 10,000).
pub async fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: ContactFilter<'_>,
    (limit, offset): (i64, i64),
) -> Result<(Vec<Contact>, i64), StoreError> {
    let found = match filter {
        ContactFilter { term: None, tag: None } => {
            let rows = sqlx::query_as!(
                Contact,
                "SELECT id, phone_number, name, email, tags, created_at, updated_at FROM customers
                 WHERE tenant_id = $1 AND merged_into IS NULL ORDER BY id DESC LIMIT $2 OFFSET $3",
                tenant.0,
                limit,
                offset
            )
            .fetch_all(&mut *conn)
            .await?;
            return Ok((rows, counts::total(conn, tenant, &["customer".to_owned()]).await?));
        }
        ContactFilter { term, tag: Some(tag) } => {
            sqlx::query_scalar!(r#"SELECT id AS "id!" FROM tagged_customers($1, $2, $3) f(id)"#, tag, term, MOST_FOUND)
                .fetch_all(&mut *conn)
                .await?
        }
        ContactFilter { term: Some(term), tag: None } => {
            sqlx::query_scalar!(r#"SELECT id AS "id!" FROM search_customers($1, $2) f(id)"#, term, MOST_FOUND).fetch_all(&mut *conn).await?
        }
    };
    let page = found.iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(usize::try_from(limit).unwrap_or(0));
    let page: Vec<Uuid> = page.copied().collect();
    Ok((some(conn, tenant, &page).await?, i64::try_from(found.len()).unwrap_or(i64::MAX)))
}

async fn some(conn: &mut PgConnection, tenant: TenantId, ids: &[Uuid]) -> Result<Vec<Contact>, StoreError> {
    Ok(sqlx::query_as!(
        Contact,
        "SELECT id, phone_number, name, email, tags, created_at, updated_at FROM customers
         WHERE tenant_id = $1 AND id = ANY($2) AND merged_into IS NULL ORDER BY id DESC",
        tenant.0,
        ids
    )
    .fetch_all(conn)
    .await?)
}

/// The contacts behind `after` in the order of their ids, oldest first: for walking over all of them.
pub async fn list_after(conn: &mut PgConnection, tenant: TenantId, after: Uuid, limit: i64) -> Result<Vec<Contact>, StoreError> {
    Ok(sqlx::query_as!(
        Contact,
        "SELECT id, phone_number, name, email, tags, created_at, updated_at FROM customers
         WHERE tenant_id = $1 AND id > $2 AND merged_into IS NULL ORDER BY id LIMIT $3",
        tenant.0,
        after,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// One contact. One that was merged away is the one that it was merged into.
pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: CustomerId) -> Result<Option<Contact>, StoreError> {
    Ok(sqlx::query_as!(
        Contact,
        "SELECT id, phone_number, name, email, tags, created_at, updated_at FROM customers
         WHERE tenant_id = $1 AND id = (SELECT coalesce(merged_into, id) FROM customers WHERE tenant_id = $1 AND id = $2)",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}

/// Makes a contact. A number that is known already is a violation of `customers_tenant_id_phone_number_key`.
pub async fn create(conn: &mut PgConnection, tenant: TenantId, new: &NewContact) -> Result<Contact, StoreError> {
    Ok(sqlx::query_as!(
        Contact,
        "INSERT INTO customers (tenant_id, id, phone_number, name, name_at, email, tags)
         VALUES ($1, $2, $3, $4, CASE WHEN $4::text IS NOT NULL THEN 'infinity'::timestamptz END, $5, $6)
         RETURNING id, phone_number, name, email, tags, created_at, updated_at",
        tenant.0,
        CustomerId::generate().0,
        new.phone_number,
        new.name,
        new.email,
        &new.tags
    )
    .fetch_one(conn)
    .await?)
}

/// Makes a contact of whom nothing is known yet.
pub async fn create_nameless(conn: &mut PgConnection, tenant: TenantId) -> Result<CustomerId, StoreError> {
    let id = CustomerId::generate();
    sqlx::query!("INSERT INTO customers (tenant_id, id) VALUES ($1, $2)", tenant.0, id.0).execute(conn).await?;
    Ok(id)
}

/// Changes a contact. `None`: there is none.
pub async fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
    changes: &ContactChanges,
) -> Result<Option<Contact>, StoreError> {
    Ok(sqlx::query_as!(
        Contact,
        "UPDATE customers
         SET phone_number = coalesce($3, phone_number), phone_at = CASE WHEN $3::text IS NULL THEN phone_at ELSE now() END,
             name = CASE WHEN $4 THEN $5 ELSE name END,
             name_at = CASE WHEN NOT $4 THEN name_at WHEN $5::text IS NOT NULL THEN 'infinity'::timestamptz END,
             email = CASE WHEN $6 THEN $7 ELSE email END, tags = coalesce($8, tags), updated_at = now()
         WHERE tenant_id = $1 AND id = (SELECT coalesce(merged_into, id) FROM customers WHERE tenant_id = $1 AND id = $2)
         RETURNING id, phone_number, name, email, tags, created_at, updated_at",
        tenant.0,
        id.0,
        changes.phone_number,
        changes.name.is_some(),
        changes.name.clone().flatten(),
        changes.email.is_some(),
        changes.email.clone().flatten(),
        changes.tags.as_deref()
    )
    .fetch_optional(conn)
    .await?)
}

/// Deletes a contact who never wrote and was never written to, with what channels call it. Conversations or tickets are a violation
/// of a foreign key. False: there is none.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: CustomerId) -> Result<bool, StoreError> {
    sqlx::query!("DELETE FROM customer_identities WHERE tenant_id = $1 AND customer_id = $2", tenant.0, id.0).execute(&mut *conn).await?;
    let result = sqlx::query!("DELETE FROM customers WHERE tenant_id = $1 AND id = $2", tenant.0, id.0).execute(conn).await?;
    Ok(result.rows_affected() == 1)
}

/// What became of a contact that was brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upserted {
    Created,
    Updated,
    Unchanged,
}

/// Makes the contacts whose numbers are new and brings the others up to date: what is given replaces, tags are added. Each number
/// comes once. Returns what became of each, in their order.
pub async fn upsert(conn: &mut PgConnection, tenant: TenantId, contacts: &[&NewContact]) -> Result<Vec<Upserted>, StoreError> {
    let tags: Vec<String> = contacts.iter().map(|contact| contact.tags.join("\n")).collect();
    let rows = sqlx::query!(
        r#"
        INSERT INTO customers AS c (tenant_id, id, phone_number, name, name_at, email, tags)
        SELECT $1, n.id, n.phone, n.name, CASE WHEN n.name IS NOT NULL THEN 'infinity'::timestamptz END, n.email, string_to_array(n.tags, E'\n')
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[]) n(id, phone, name, email, tags) ORDER BY n.phone
        ON CONFLICT (tenant_id, phone_number) DO UPDATE
          SET name = coalesce(excluded.name, c.name), name_at = coalesce(excluded.name_at, c.name_at), email = coalesce(excluded.email, c.email),
              tags = c.tags || ARRAY(SELECT t FROM unnest(excluded.tags) t WHERE t <> ALL(c.tags)), updated_at = now()
          WHERE coalesce(excluded.name, c.name) IS DISTINCT FROM c.name OR coalesce(excluded.email, c.email) IS DISTINCT FROM c.email
             OR NOT excluded.tags <@ c.tags
        RETURNING phone_number AS "phone_number!", xmax = 0 AS "created!"
        "#,
        tenant.0,
        &contacts.iter().map(|_| CustomerId::generate().0).collect::<Vec<_>>(),
        &contacts.iter().map(|contact| contact.phone_number.as_str()).collect::<Vec<_>>() as _,
        &contacts.iter().map(|contact| contact.name.as_deref()).collect::<Vec<_>>() as _,
        &contacts.iter().map(|contact| contact.email.as_deref()).collect::<Vec<_>>() as _,
        &tags
    )
    .fetch_all(conn)
    .await?;
    let changed: std::collections::HashMap<&str, bool> = rows.iter().map(|row| (row.phone_number.as_str(), row.created)).collect();
    let outcome = |contact: &&NewContact| match changed.get(contact.phone_number.as_str()) {
        Some(true) => Upserted::Created,
        Some(false) => Upserted::Updated,
        None => Upserted::Unchanged,
    };
    Ok(contacts.iter().map(outcome).collect())
}
