//! The settings of the HTTP API: signing in, who may call, how often.

use super::{ConfigError, Source};
use crate::secret::Secret;
use std::time::Duration;

/// Settings of the API.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `PUBLIC_URL` (`http://127.0.0.1:PORT`): the address that others reach us at, without a slash at the end.
    pub public_url: Option<String>,
    /// `SOCKET_PATH` (`/socket.io`): where Socket.IO is served.
    pub socket_path: String,
    /// `JWT_PRIVATE_KEY`: an RSA key in PEM, or the path of one. Tokens are RS256 then, and its public half is at `/.well-known/jwks.json`.
    pub jwt_private_key: Option<Secret>,
    /// `JWT_OLD_PUBLIC_KEYS`: PEM blocks, or the path of a file with them: tokens signed with these are still good.
    pub jwt_old_public_keys: Option<String>,
    /// `JWT_SECRET`: tokens are HS256 with it while there is no private key. Neither: nobody can sign in.
    pub jwt_secret: Option<Secret>,
    /// `JWT_REFRESH_SECRET` (`JWT_SECRET`): peppers the hashes of refresh tokens. Changing it ends all sessions.
    pub jwt_refresh_secret: Option<Secret>,
    /// `JWT_ACCESS_TTL` (15m): how long an access token is good.
    pub access_ttl: Duration,
    /// `JWT_REFRESH_TTL` (30d): how long a session lives without being refreshed.
    pub refresh_ttl: Duration,
    /// `DESK_TOKEN_TTL` (1h): how long a token of the helpdesk contract, which has no refresh, is good.
    pub desk_ttl: Duration,
    /// `ADMIN_TOKEN`: opens `/admin`. Unset: nobody does.
    pub admin_token: Option<Secret>,
    /// `INTERNAL_API_TOKEN`: opens `/internal`. Unset: nobody does.
    pub internal_token: Option<Secret>,
    /// `CORS_ALLOWED_ORIGINS`, `CORS_ORIGIN`: origins of frontends, comma separated, from both; `*` for all. None: no other origin may call.
    pub cors_origins: Vec<String>,
    /// `TRUST_FORWARDED_FOR` (false): a proxy of ours stands in front and adds the client's address to `X-Forwarded-For`.
    pub trust_forwarded_for: bool,
    /// See [`RateLimits`].
    pub rate_limits: RateLimits,
    /// See [`OidcConfig`]. `None`: `OIDC_ISSUER` is not set.
    pub oidc: Option<OidcConfig>,
}

/// Requests a minute; 0: without limit. Shared by all API processes through Redis; without Redis there is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// `RATE_LIMIT_PLATFORM_PER_MIN` (60, in bursts of up to 100): of a tenant on the platform contract's routes.
    pub platform: u32,
    /// `RATE_LIMIT_USER_PER_MIN` (1200): of a user on all other contracts' routes.
    pub user: u32,
    /// `RATE_LIMIT_SIGN_IN_PER_MIN` (10): attempts to sign in to one account; ten times as many from one address;
    /// and wrong `X-Admin-Token`s, or `X-Internal-Secret`s, from one address, beyond which they are answered 429.
    pub sign_in: u32,
}

/// Signing in at an OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcConfig {
    /// `OIDC_ISSUER`: the provider's issuer; its discovery document is below it.
    pub issuer: String,
    /// `OIDC_CLIENT_ID`, `OIDC_CLIENT_SECRET`: what the provider knows us by. Its redirect address is `PUBLIC_URL/api/auth/oidc/callback`.
    pub client_id: String,
    pub client_secret: Option<Secret>,
    /// `OIDC_SCOPES` (openid email profile): space separated.
    pub scopes: Vec<String>,
    /// `OIDC_SUCCESS_URL`: the frontend's page that gets the tokens in its fragment. Unset: they are answered as JSON.
    pub success_url: Option<String>,
    /// `OIDC_REGISTER` (false): a person whom nobody knows becomes the owner of a new tenant. Otherwise an admin has to make the user first.
    pub register: bool,
}

impl HttpConfig {
    pub(super) fn read(source: &Source<impl Fn(&str) -> Option<String>>) -> Result<Self, ConfigError> {
        let mut cors_origins = source.list("CORS_ALLOWED_ORIGINS");
        cors_origins.extend(source.list("CORS_ORIGIN"));
        let public_url = source.url("PUBLIC_URL", &["http://", "https://"], "give the address others reach us at, https://host")?;
        Ok(Self {
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            socket_path: source.text("SOCKET_PATH").unwrap_or_else(|| "/socket.io".to_owned()),
            jwt_private_key: source.text("JWT_PRIVATE_KEY").map(Secret::new),
            jwt_old_public_keys: source.text("JWT_OLD_PUBLIC_KEYS"),
            jwt_secret: source.text("JWT_SECRET").map(Secret::new),
            jwt_refresh_secret: source.text("JWT_REFRESH_SECRET").or_else(|| source.text("JWT_SECRET")).map(Secret::new),
            access_ttl: source.duration("JWT_ACCESS_TTL")?.unwrap_or(Duration::from_mins(15)),
            refresh_ttl: source.duration("JWT_REFRESH_TTL")?.unwrap_or(Duration::from_hours(30 * 24)),
            desk_ttl: source.duration("DESK_TOKEN_TTL")?.unwrap_or(Duration::from_hours(1)),
            admin_token: source.text("ADMIN_TOKEN").map(Secret::new),
            internal_token: source.text("INTERNAL_API_TOKEN").map(Secret::new),
            cors_origins,
            trust_forwarded_for: source.flag("TRUST_FORWARDED_FOR")?,
            rate_limits: RateLimits {
                platform: source.number("RATE_LIMIT_PLATFORM_PER_MIN", 0..=1_000_000)?.unwrap_or(60),
                user: source.number("RATE_LIMIT_USER_PER_MIN", 0..=1_000_000)?.unwrap_or(1_200),
                sign_in: source.number("RATE_LIMIT_SIGN_IN_PER_MIN", 0..=1_000_000)?.unwrap_or(10),
            },
            oidc: OidcConfig::read(source)?,
        })
    }
}

impl OidcConfig {
    fn read(source: &Source<impl Fn(&str) -> Option<String>>) -> Result<Option<Self>, ConfigError> {
        let advice = "give the provider's issuer, https://login.example.com";
        let Some(issuer) = source.url("OIDC_ISSUER", &["http://", "https://"], advice)? else { return Ok(None) };
        let missing =
            ConfigError { variable: "OIDC_CLIENT_ID", problem: "is not set", advice: "set it to the client id that OIDC_ISSUER gave you" };
        let scopes = source.text("OIDC_SCOPES").unwrap_or_else(|| "openid email profile".to_owned());
        Ok(Some(Self {
            issuer,
            client_id: source.text("OIDC_CLIENT_ID").ok_or(missing)?,
            client_secret: source.text("OIDC_CLIENT_SECRET").map(Secret::new),
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
            success_url: source.url("OIDC_SUCCESS_URL", &["http://", "https://"], "give the address of the frontend's page")?,
            register: source.flag("OIDC_REGISTER")?,
        }))
    }
}
