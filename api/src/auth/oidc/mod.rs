//! Signing in at an OpenID provider: the code flow with PKCE (<https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth>).

mod flow;
mod id_token;
mod provider;

pub(crate) use flow::Began;
pub(crate) use provider::Provider;

use super::{SignedIn, Speaks, sign_in::make_tenant};
use crate::{ApiError, App};
use domain::UserRole;
use id_token::Identity;
use salvo::http::StatusCode;
use store::{
    PgConnection, StoreError, audit,
    audit::Act,
    sessions::{self, Ended},
    sign_in::{self as people, Candidate, Login},
    users::{self, NewUser},
};

impl App {
    /// The way to the provider.
    pub(crate) async fn begin_oidc(&self) -> Result<Began, ApiError> {
        self.provider()?.begin(&self.sealing, self.clock.now()).await
    }

    /// Signs in whom the provider sent back with a code.
    pub(crate) async fn finish_oidc(&self, cookie: &str, state: &str, code: String) -> Result<SignedIn, ApiError> {
        let provider = self.provider()?;
        let identity = provider.finish(&self.sealing, cookie, state, code, self.clock.now()).await?;
        let mut tx = self.operator.begin().await.map_err(StoreError::from)?;
        let candidate = self.candidate(&mut tx, &identity).await?;
        tx.commit().await.map_err(StoreError::from)?;
        self.admit(candidate, Speaks::Cloud, "session.open").await
    }

    pub(crate) fn provider(&self) -> Result<&Provider, ApiError> {
        let missing =
            || ApiError::new(StatusCode::NOT_FOUND, "not_set_up", "Signing in at an OpenID provider is not set up: set OIDC_ISSUER");
        self.oidc.as_ref().ok_or_else(missing)
    }

    /// Who the identity is here: somebody who came before, somebody with this e-mail address, or, if that is allowed, somebody new.
    async fn candidate(&self, conn: &mut PgConnection, identity: &Identity) -> Result<Candidate, ApiError> {
        let Identity { issuer, subject, email, name } = identity;
        let known = match people::find(conn, Login::Identity { issuer, subject }).await? {
            Some(known) => Some(known),
            None => match email {
                Some(email) => self.link(conn, identity, email).await?,
                None => None,
            },
        };
        match (known, email) {
            (Some(candidate), _) if candidate.user.active => Ok(candidate),
            (None, Some(email)) if self.provider()?.registers() => {
                let name = name.clone().unwrap_or_else(|| email.clone());
                let owner =
                    NewUser { email: Some(email.clone()), username: None, name: name.clone(), role: UserRole::Owner, password_hash: None };
                let (tenant, user) = make_tenant(conn, &name, &owner).await?;
                people::link_identity(conn, tenant.id, user.id, issuer, subject).await?;
                Ok(Candidate { tenant, user, password_hash: None })
            }
            _ => {
                let message = "Nobody here has this e-mail address, or the account is not active: ask an admin";
                Err(ApiError::new(StatusCode::FORBIDDEN, "unknown_identity", message))
            }
        }
    }

    /// Links the identity to whoever has its e-mail address, which the provider has verified. Until now nobody had: so the password, and
    /// every session that was opened with it, are no longer good.
    async fn link(&self, conn: &mut PgConnection, identity: &Identity, email: &str) -> Result<Option<Candidate>, ApiError> {
        let Some(candidate) = people::find(conn, Login::Name(email)).await? else { return Ok(None) };
        let (tenant, user) = (candidate.tenant.id, candidate.user.id);
        people::link_identity(conn, tenant, user, &identity.issuer, &identity.subject).await?;
        users::remove_password(conn, tenant, user).await?;
        let ended = sessions::end_all(conn, tenant, user, Ended::PasswordChanged, None).await?;
        let actor = format!("user:{user}");
        let act = Act { actor: &actor, act: "user.identity_linked", subject: Some(user.to_string()), detail: None };
        audit::note(conn, tenant, &act).await?;
        self.sessions.forget(ended);
        Ok(Some(candidate))
    }
}
