//! Registering, signing in, refreshing, signing out: the same for every contract; each writes the answer in its own way.

use super::{Caller, Claims};
use crate::{ApiError, App, error::FieldError, middleware::rate_limit::Budget, request::Fields};
use domain::{SessionId, UserRole};
use platform::{
    Secret,
    passwords::{self, BadPassword},
};
use salvo::http::StatusCode;
use std::time::Duration;
use store::{
    PgConnection, StoreError, audit,
    audit::Act,
    sessions::{self, Ended, NewSession, Refreshed, SessionUser},
    sign_in::{self as people, Candidate, Login, Tenant},
    users::{NewUser, User},
};
use uuid::Uuid;

/// Attempts from one address, for each one on one account: many people may share an address.
const ATTEMPTS_PER_ADDRESS: u32 = 10;

/// Somebody who is signed in now.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub tenant: Tenant,
    pub user: User,
    pub access_token: String,
    /// Of the access token, in seconds.
    pub expires_in: i64,
    /// `None`: the contract has none.
    pub refresh_token: Option<String>,
}

/// A tenant that registers with its first user.
#[derive(Debug)]
pub(crate) struct Registration {
    pub email: String,
    pub password: Secret,
    pub name: Option<String>,
    pub tenant_name: Option<String>,
}

/// What a contract's tokens are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// Short access tokens, refreshed.
    Cloud,
    /// One token, without refresh.
    Desk,
}

impl Speaks {
    fn contract(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Desk => "desk",
        }
    }
}

impl App {
    /// Makes a tenant and its owner, signed in.
    pub(crate) async fn register(&self, new: Registration, address: &str) -> Result<SignedIn, ApiError> {
        self.must_sign()?;
        let Registration { email, password, name, tenant_name } = new;
        self.limit_attempts(&email, address).await?;
        let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
        let tenant_name = tenant_name.unwrap_or_else(|| name.clone());
        let password_hash = Some(self.passwords.hash(password).await?);
        let owner = NewUser { email: Some(email), username: None, name, role: UserRole::Owner, password_hash };
        let mut tx = self.operator.begin().await.map_err(StoreError::from)?;
        let (tenant, user) = make_tenant(&mut tx, &tenant_name, &owner).await?;
        let signed_in = self.open(&mut tx, tenant, user, Speaks::Cloud).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(signed_in)
    }

    /// Signs in with an e-mail or username, and a password. Unknown names take as long as wrong passwords and answer the same.
    pub(crate) async fn sign_in(&self, name: &str, password: Secret, speaks: Speaks, address: &str) -> Result<SignedIn, ApiError> {
        self.must_sign()?;
        self.limit_attempts(name, address).await?;
        let found = people::find(&mut *self.operator_conn().await?, Login::Name(name)).await?;
        let hash = found.as_ref().and_then(|candidate| candidate.password_hash.clone());
        let right = self.passwords.verify(password, hash).await?;
        match found {
            Some(candidate) if right && candidate.user.active => self.admit(candidate, speaks, "session.open").await,
            Some(candidate) => {
                let act = Act { actor: name, act: "session.refused", subject: Some(candidate.user.id.to_string()), detail: None };
                audit::note(&mut *self.operator_conn().await?, candidate.tenant.id, &act).await?;
                Err(wrong_credentials())
            }
            None => Err(wrong_credentials()),
        }
    }

    /// Signs in somebody who has proved who they are.
    pub(crate) async fn admit(&self, candidate: Candidate, speaks: Speaks, act: &'static str) -> Result<SignedIn, ApiError> {
        let mut tx = self.operator.begin().await.map_err(StoreError::from)?;
        let signed_in = self.open(&mut tx, candidate.tenant, candidate.user, speaks).await?;
        let actor = format!("user:{}", signed_in.user.id);
        audit::note(&mut tx, signed_in.tenant.id, &Act { actor: &actor, act, subject: Some(signed_in.user.id.to_string()), detail: None })
            .await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(signed_in)
    }

    /// Gives a new pair of tokens for a refresh token, which is used up. One that was used before ends its session.
    pub(crate) async fn refresh(&self, token: &str) -> Result<SignedIn, ApiError> {
        self.must_sign()?;
        let (new, new_hash) = self.refresh_tokens.generate();
        let mut tx = self.operator.begin().await.map_err(StoreError::from)?;
        let refreshed = sessions::refresh(&mut tx, &self.refresh_tokens.hash(token), &new_hash, self.refresh_ttl).await?;
        let stale =
            || ApiError::new(StatusCode::UNAUTHORIZED, "refresh_token_invalid", "The refresh token is not valid any more: sign in again");
        match refreshed {
            Refreshed::Rotated(SessionUser { session, tenant, user, .. }) => {
                let found = people::find(&mut tx, Login::User(tenant, user)).await?;
                tx.commit().await.map_err(StoreError::from)?;
                let Candidate { tenant, user, .. } = found.ok_or_else(stale)?;
                self.signed_in(tenant, user, session, Speaks::Cloud, Some(new))
            }
            Refreshed::Reused(SessionUser { session, tenant, user, .. }) => {
                let actor = format!("user:{user}");
                let act = Act { actor: &actor, act: "session.refresh_token_reused", subject: Some(session.to_string()), detail: None };
                audit::note(&mut tx, tenant, &act).await?;
                tx.commit().await.map_err(StoreError::from)?;
                self.sessions.forget([session]);
                tracing::warn!(%user, %session, "a refresh token was used twice; its session is ended");
                Err(stale())
            }
            Refreshed::Unknown | Refreshed::Outrun => Err(stale()),
        }
    }

    /// Ends the caller's session.
    pub(crate) async fn sign_out(&self, caller: &Caller) -> Result<(), ApiError> {
        let mut tx = self.tenants.begin(caller.tenant).await?;
        sessions::end(&mut tx, caller.tenant, caller.session, Ended::Logout).await?;
        audit::note(&mut tx, caller.tenant, &caller.act("session.close", caller.session)).await?;
        tx.commit().await?;
        self.sessions.forget([caller.session]);
        Ok(())
    }

    async fn open(&self, conn: &mut PgConnection, tenant: Tenant, user: User, speaks: Speaks) -> Result<SignedIn, ApiError> {
        let refresh = (speaks == Speaks::Cloud).then(|| self.refresh_tokens.generate());
        let ttl = if refresh.is_some() { self.refresh_ttl } else { self.desk_ttl };
        let refresh_hash = refresh.as_ref().map(|(_, hash)| hash.as_slice());
        let new = NewSession { user: user.id, contract: speaks.contract(), ttl, refresh_hash };
        let session = sessions::open(conn, tenant.id, new).await?;
        self.signed_in(tenant, user, session, speaks, refresh.map(|(token, _)| token))
    }

    fn signed_in(
        &self,
        tenant: Tenant,
        user: User,
        session: SessionId,
        speaks: Speaks,
        refresh_token: Option<String>,
    ) -> Result<SignedIn, ApiError> {
        let ttl: Duration = if speaks == Speaks::Cloud { self.access_ttl } else { self.desk_ttl };
        let expires_in = ttl.as_secs().cast_signed();
        let iat = self.clock.now().timestamp();
        let claims = Claims {
            sub: user.id,
            user_id: user.id,
            user_id_camel: user.id,
            tenant_id: tenant.public_id,
            tenant_id_camel: tenant.public_id,
            email: user.email.clone(),
            role: user.role,
            contract: speaks.contract().to_owned(),
            iat,
            exp: iat + expires_in,
            jti: Uuid::new_v4(),
            sid: session,
            tid: tenant.id,
        };
        let access_token = self.tokens.sign(&claims).ok_or_else(not_set_up)?;
        Ok(SignedIn { tenant, user, access_token, expires_in, refresh_token })
    }

    fn must_sign(&self) -> Result<(), ApiError> {
        if self.tokens.can_sign() { Ok(()) } else { Err(not_set_up()) }
    }

    /// So many attempts on one account, and, loosely, from one address.
    pub(crate) async fn limit_attempts(&self, account: &str, address: &str) -> Result<(), ApiError> {
        let each = self.rate_limits.sign_in;
        self.limiter.check(&Budget::per_minute(format!("sign-in:account:{}", account.to_lowercase()), each)).await?;
        self.limiter.check(&Budget::per_minute(format!("sign-in:address:{address}"), each.saturating_mul(ATTEMPTS_PER_ADDRESS))).await
    }
}

/// Makes a tenant and its owner.
pub(super) async fn make_tenant(conn: &mut PgConnection, name: &str, owner: &NewUser) -> Result<(Tenant, User), ApiError> {
    let (tenant, user) = people::register(conn, name, owner).await.map_err(taken)?;
    let actor = format!("user:{}", user.id);
    let act = Act { actor: &actor, act: "tenant.register", subject: Some(tenant.public_id.to_string()), detail: None };
    audit::note(conn, tenant.id, &act).await?;
    Ok((tenant, user))
}

/// The one answer to whoever cannot sign in, whatever the reason.
fn wrong_credentials() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "wrong_credentials", "The name or the password is wrong")
}

fn not_set_up() -> ApiError {
    ApiError::unavailable("Nobody can sign in here yet: set JWT_SECRET or JWT_PRIVATE_KEY")
}

/// E-mails and usernames are unique over all tenants: a violation tells which one is taken.
pub(crate) fn taken(error: StoreError) -> ApiError {
    let field = match error.violated() {
        Some("users_email") => "email",
        Some("users_username") => "username",
        _ => return error.into(),
    };
    let problem = FieldError { field: field.into(), problem: "is taken".into() };
    ApiError { fields: vec![problem], ..ApiError::conflict("taken", format!("This {field} is taken")) }
}

/// Notes a password that is not good enough.
pub(crate) fn check_password(fields: &mut Fields, field: &'static str, password: &str) {
    if let Err(BadPassword(problem)) = passwords::check(password) {
        fields.wrong(field, problem);
    }
}
