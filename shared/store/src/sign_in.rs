//! What happens before a tenant is known: finding who signs in, and registering. For the operator's role, which sees all tenants.

use crate::{
    StoreError,
    users::{self, NewUser, User, UserRow},
};
use chrono::{DateTime, Utc};
use domain::{TenantId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

/// A tenant as its own people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub public_id: Uuid,
    pub name: String,
    pub created_at: DateTime<Utc>,
}

/// Somebody who may sign in, with what proves it.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub tenant: Tenant,
    pub user: User,
    pub password_hash: Option<String>,
}

/// What a person gives to say who they are.
#[derive(Clone, Copy, Debug)]
pub enum Login<'a> {
    /// An e-mail address, or a username if it holds no `@`.
    Name(&'a str),
    /// Who they are at an OpenID provider.
    Identity { issuer: &'a str, subject: &'a str },
    /// A session that is being refreshed, or whose user is asked for.
    User(TenantId, UserId),
}

/// Finds who signs in, active or not.
pub async fn find(conn: &mut PgConnection, login: Login<'_>) -> Result<Option<Candidate>, StoreError> {
    let known = match login {
        Login::Name(name) if name.contains('@') => sqlx::query!("SELECT tenant_id, id FROM users WHERE lower(email) = lower($1)", name)
            .fetch_optional(&mut *conn)
            .await?
            .map(|row| (row.tenant_id, row.id)),
        Login::Name(name) => sqlx::query!("SELECT tenant_id, id FROM users WHERE lower(username) = lower($1)", name)
            .fetch_optional(&mut *conn)
            .await?
            .map(|row| (row.tenant_id, row.id)),
        Login::Identity { issuer, subject } => {
            sqlx::query!("SELECT tenant_id, user_id FROM user_identities WHERE issuer = $1 AND subject = $2", issuer, subject)
                .fetch_optional(&mut *conn)
                .await?
                .map(|row| (row.tenant_id, row.user_id))
        }
        Login::User(tenant, user) => Some((tenant.0, user.0)),
    };
    let Some((tenant, user)) = known else { return Ok(None) };
    let row = sqlx::query!(
        "SELECT t.public_id, t.store_name, t.created_at AS tenant_created_at, u.id, u.number, u.email, u.username, u.name, u.role, u.active,
                u.last_login_at, u.password_changed_at, u.created_at, u.password_hash
         FROM users u JOIN tenants t ON t.id = u.tenant_id WHERE u.tenant_id = $1 AND u.id = $2",
        tenant,
        user
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Candidate {
        tenant: Tenant { id: TenantId(tenant), public_id: row.public_id, name: row.store_name, created_at: row.tenant_created_at },
        password_hash: row.password_hash,
        user: UserRow {
            id: row.id,
            number: row.number,
            email: row.email,
            username: row.username,
            name: row.name,
            role: row.role,
            active: row.active,
            last_login_at: row.last_login_at,
            password_changed_at: row.password_changed_at,
            created_at: row.created_at,
        }
        .into(),
    }))
}

/// Makes a tenant and its first user. An e-mail that is taken is a violation of `users_email`.
pub async fn register(conn: &mut PgConnection, tenant_name: &str, user: &NewUser) -> Result<(Tenant, User), StoreError> {
    let row = sqlx::query!("INSERT INTO tenants (store_name) VALUES ($1) RETURNING id, public_id, created_at", tenant_name)
        .fetch_one(&mut *conn)
        .await?;
    let tenant = Tenant { id: TenantId(row.id), public_id: row.public_id, name: tenant_name.to_owned(), created_at: row.created_at };
    let user = users::create(conn, tenant.id, user).await?;
    Ok((tenant, user))
}

/// Remembers who a user is at an OpenID provider. Repeating it changes nothing.
pub async fn link_identity(conn: &mut PgConnection, tenant: TenantId, user: UserId, issuer: &str, subject: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO user_identities (tenant_id, issuer, subject, user_id) VALUES ($1, $2, $3, $4) ON CONFLICT (issuer, subject) DO NOTHING",
        tenant.0,
        issuer,
        subject,
        user.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
