//! People of a tenant who sign in.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{TenantId, UserId, UserRole};
use sqlx::PgConnection;

/// A user, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// The integer id that the helpdesk contract shows.
    pub number: i32,
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: String,
    pub role: UserRole,
    pub active: bool,
    pub last_login_at: Option<DateTime<Utc>>,
    pub password_changed_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// A user to make. An e-mail or a username is needed; both are unique over all tenants.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: String,
    pub role: UserRole,
    /// `None`: signs in at an OpenID provider only.
    pub password_hash: Option<String>,
}

/// What to change; `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChanges {
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: Option<String>,
    pub role: Option<UserRole>,
    pub active: Option<bool>,
    pub password_hash: Option<String>,
}

/// Which users to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserFilter {
    pub active: Option<bool>,
    /// Empty: all.
    pub roles: &'static [UserRole],
    pub limit: i64,
    pub offset: i64,
}

/// A row as every statement here returns it.
pub(crate) struct UserRow {
    pub(crate) id: uuid::Uuid,
    pub(crate) number: i32,
    pub(crate) email: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) active: bool,
    pub(crate) last_login_at: Option<DateTime<Utc>>,
    pub(crate) password_changed_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.id),
            number: row.number,
            email: row.email,
            username: row.username,
            name: row.name,
            // The column's CHECK allows nothing else; least rights if it ever does.
            role: UserRole::parse(&row.role).unwrap_or(UserRole::Agent),
            active: row.active,
            last_login_at: row.last_login_at,
            password_changed_at: row.password_changed_at,
            created_at: row.created_at,
        }
    }
}

/// Users of the tenant, oldest first.
pub async fn list(conn: &mut PgConnection, tenant: TenantId, filter: UserFilter) -> Result<Vec<User>, StoreError> {
    let roles: Vec<&str> = filter.roles.iter().map(|role| role.as_str()).collect();
    let rows = sqlx::query_as!(
        UserRow,
        "SELECT id, number, email, username, name, role, active, last_login_at, password_changed_at, created_at FROM users
         WHERE tenant_id = $1 AND ($2::bool IS NULL OR active = $2) AND (cardinality($3::text[]) = 0 OR role = ANY($3))
         ORDER BY number LIMIT $4 OFFSET $5",
        tenant.0,
        filter.active,
        &roles as _,
        filter.limit,
        filter.offset
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

pub async fn get(conn: &mut PgConnection, tenant: TenantId, id: UserId) -> Result<Option<User>, StoreError> {
    let row = sqlx::query_as!(
        UserRow,
        "SELECT id, number, email, username, name, role, active, last_login_at, password_changed_at, created_at FROM users
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(User::from))
}

/// The user with this integer id.
pub async fn get_by_number(conn: &mut PgConnection, tenant: TenantId, number: i32) -> Result<Option<User>, StoreError> {
    let row = sqlx::query_as!(
        UserRow,
        "SELECT id, number, email, username, name, role, active, last_login_at, password_changed_at, created_at FROM users
         WHERE tenant_id = $1 AND number = $2",
        tenant.0,
        number
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(User::from))
}

pub async fn count(conn: &mut PgConnection, tenant: TenantId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM users WHERE tenant_id = $1"#, tenant.0).fetch_one(conn).await?)
}

/// Makes a user. An e-mail or username that is taken, by whichever tenant, is a violation of `users_email` or `users_username`.
pub async fn create(conn: &mut PgConnection, tenant: TenantId, user: &NewUser) -> Result<User, StoreError> {
    let row = sqlx::query_as!(
        UserRow,
        "INSERT INTO users (tenant_id, id, email, username, name, role, password_hash, password_changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $7::text IS NOT NULL THEN now() END)
         RETURNING id, number, email, username, name, role, active, last_login_at, password_changed_at, created_at",
        tenant.0,
        UserId::generate().0,
        user.email,
        user.username,
        user.name,
        user.role.as_str(),
        user.password_hash
    )
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

/// Changes a user. A new password, another role, or being deactivated ends their sessions: see [`crate::sessions::end_all`].
pub async fn update(conn: &mut PgConnection, tenant: TenantId, id: UserId, changes: &UserChanges) -> Result<Option<User>, StoreError> {
    let row = sqlx::query_as!(
        UserRow,
        "UPDATE users SET email = coalesce($3, email), username = coalesce($4, username), name = coalesce($5, name), role = coalesce($6, role),
                active = coalesce($7, active), password_hash = coalesce($8, password_hash),
                password_changed_at = CASE WHEN $8::text IS NULL THEN password_changed_at ELSE now() END, updated_at = now()
         WHERE tenant_id = $1 AND id = $2
         RETURNING id, number, email, username, name, role, active, last_login_at, password_changed_at, created_at",
        tenant.0,
        id.0,
        changes.email,
        changes.username,
        changes.name,
        changes.role.map(UserRole::as_str),
        changes.active,
        changes.password_hash
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(User::from))
}

/// From now on the user signs in at an OpenID provider only.
pub async fn remove_password(conn: &mut PgConnection, tenant: TenantId, id: UserId) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE users SET password_hash = NULL, password_changed_at = now(), updated_at = now()
         WHERE tenant_id = $1 AND id = $2 AND password_hash IS NOT NULL",
        tenant.0,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a user; what they made stays, without its maker. False: there is none.
pub async fn delete(conn: &mut PgConnection, tenant: TenantId, id: UserId) -> Result<bool, StoreError> {
    let result = sqlx::query!("DELETE FROM users WHERE tenant_id = $1 AND id = $2", tenant.0, id.0).execute(conn).await?;
    Ok(result.rows_affected() == 1)
}

/// Keeps a user's role from being changed until the transaction ends, for what is allowed depends on it. [`StoreError::Stale`]: it is
/// not `role` any more, or the user is gone.
pub async fn hold_role(conn: &mut PgConnection, tenant: TenantId, id: UserId, role: UserRole) -> Result<(), StoreError> {
    let held = sqlx::query_scalar!(
        r#"SELECT 1 AS "held!" FROM users WHERE tenant_id = $1 AND id = $2 AND role = $3 FOR UPDATE"#,
        tenant.0,
        id.0,
        role.as_str()
    )
    .fetch_optional(conn)
    .await?;
    held.map(|_| ()).ok_or(StoreError::Stale("a user"))
}

/// True if the user is an operator of the platform. After [`hold_role`] nobody can make them one until the transaction ends.
pub async fn is_platform_operator(conn: &mut PgConnection, tenant: TenantId, id: UserId) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT is_platform_operator($1, $2) AS "is!""#, tenant.0, id.0).fetch_one(conn).await?)
}

/// True if the tenant has an active owner besides `id`. Locks the owners, so that two cannot leave at once.
pub async fn another_owner(conn: &mut PgConnection, tenant: TenantId, id: UserId) -> Result<bool, StoreError> {
    let owners =
        sqlx::query_scalar!("SELECT id FROM users WHERE tenant_id = $1 AND role = 'owner' AND active ORDER BY id FOR UPDATE", tenant.0)
            .fetch_all(conn)
            .await?;
    Ok(owners.iter().any(|owner| *owner != id.0))
}
