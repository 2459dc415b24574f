//! The provider: what it says about itself, and the exchange of a code for an ID token.

use super::{
    flow::{Began, Flow, WITHIN},
    id_token::{self, Identity, Invalid},
};
use crate::ApiError;
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::JwkSet;
use oauth2::{
    AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, ExtraTokenFields,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType},
};
use platform::{Sealing, config::OidcConfig};
use salvo::http::StatusCode;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long the provider's description is believed.
const BELIEVED_FOR: Duration = Duration::from_hours(1);
/// Because of an unknown key, keys are asked for anew at most so often.
const KEYS_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// A token response with an ID token.
#[derive(Debug, Serialize, Deserialize)]
struct IdTokenField {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenField {}

type OidcClient<Auth, Token> = Client<
    BasicErrorResponse,
    StandardTokenResponse<IdTokenField, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    Auth,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    Token,
>;

/// The parts of <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata> that are needed.
#[derive(Clone, Debug, Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Clone, Debug)]
struct Known {
    description: Description,
    keys: JwkSet,
    at: Instant,
    /// When the keys were last asked for anew.
    renewed_at: Option<Instant>,
}

/// An OpenID provider.
#[derive(Debug)]
pub(crate) struct Provider {
    config: OidcConfig,
    http: reqwest::Client,
    /// Where the provider sends people back to.
    redirect_url: String,
    known: Mutex<Option<Known>>,
}

impl Provider {
    pub(crate) fn new(config: OidcConfig, http: reqwest::Client, public_url: &str) -> Self {
        Self { config, http, redirect_url: format!("{public_url}/api/auth/oidc/callback"), known: Mutex::default() }
    }

    /// Whether somebody whom nobody knows becomes the owner of a new tenant.
    pub(super) fn registers(&self) -> bool {
        self.config.register
    }

    /// The frontend's page that gets the tokens.
    pub(crate) fn success_url(&self) -> Option<&str> {
        self.config.success_url.as_deref()
    }

    pub(super) async fn begin(&self, sealing: &Sealing, now: DateTime<Utc>) -> Result<Began, ApiError> {
        let known = self.known().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = CsrfToken::new_random().into_secret();
        let client = self.client(&known.description)?;
        let request = client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge).add_extra_param("nonce", nonce.as_str());
        let (location, state) = request.add_scopes(self.config.scopes.iter().cloned().map(Scope::new)).url();
        let flow = Flow { state: state.into_secret(), nonce, pkce_verifier: verifier.into_secret(), until: now + WITHIN };
        Ok(Began { location: location.to_string(), cookie: flow.seal(sealing)? })
    }

    pub(super) async fn finish(
        &self,
        sealing: &Sealing,
        cookie: &str,
        state: &str,
        code: String,
        now: DateTime<Utc>,
    ) -> Result<Identity, ApiError> {
        let flow = Flow::open(sealing, cookie, state, now)?;
        let known = self.known().await?;
        let client = self.client(&known.description)?;
        let exchange = client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(PkceCodeVerifier::new(flow.pkce_verifier));
        let token = exchange.request_async(&self.http).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(refusal) => refused(&refusal),
            other => away(&other),
        })?;
        let token = token.extra_fields().id_token.clone().ok_or_else(|| away(&"the token response holds no id_token"))?;
        let verify = |keys: &JwkSet| id_token::verify(&token, keys, &known.description.issuer, &self.config.client_id, &flow.nonce, now);
        let mut verdict = verify(&known.keys);
        if verdict == Err(Invalid::UnknownKey) {
            verdict = verify(&self.renewed_keys().await?);
        }
        verdict.map_err(|invalid| {
            tracing::warn!(issuer = %self.config.issuer, %invalid, "an ID token of the OpenID provider is not good");
            ApiError::new(StatusCode::UNAUTHORIZED, "id_token_invalid", "The provider's answer cannot be trusted: begin again")
                .with_detail(&invalid)
        })
    }

    fn client(&self, description: &Description) -> Result<OidcClient<EndpointSet, EndpointSet>, ApiError> {
        let wrong = |error: oauth2::url::ParseError| away(&error);
        let client = OidcClient::new(ClientId::new(self.config.client_id.clone()))
            .set_auth_uri(AuthUrl::new(description.authorization_endpoint.clone()).map_err(wrong)?)
            .set_token_uri(TokenUrl::new(description.token_endpoint.clone()).map_err(wrong)?)
            .set_redirect_uri(RedirectUrl::new(self.redirect_url.clone()).map_err(wrong)?);
        Ok(match &self.config.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        })
    }

    /// The provider's description and keys; those who ask while they are fetched wait for them.
    async fn known(&self) -> Result<Known, ApiError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < BELIEVED_FOR) {
            return Ok(known.clone());
        }
        let issuer = self.config.issuer.trim_end_matches('/');
        let description: Description = self.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        if description.issuer.trim_end_matches('/') != issuer {
            return Err(away(&format!("OIDC_ISSUER is {issuer}, but it calls itself {}", description.issuer)));
        }
        let keys = self.get(&description.jwks_uri).await?;
        Ok(known.insert(Known { description, keys, at: Instant::now(), renewed_at: None }).clone())
    }

    /// The provider's keys, asked for anew unless that was done a moment ago: it may have a new one.
    async fn renewed_keys(&self) -> Result<JwkSet, ApiError> {
        let mut known = self.known.lock().await;
        let Some(known) = known.as_mut() else { return Ok(JwkSet { keys: Vec::new() }) };
        if known.renewed_at.is_none_or(|at| at.elapsed() >= KEYS_AT_MOST_EVERY) {
            known.keys = self.get(&known.description.jwks_uri).await?;
            known.renewed_at = Some(Instant::now());
        }
        Ok(known.keys.clone())
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, ApiError> {
        let answer = self.http.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(|error| away(&error))?;
        answer.json().await.map_err(|error| away(&error))
    }
}

/// The provider did not take the code.
fn refused(refusal: &BasicErrorResponse) -> ApiError {
    tracing::warn!(%refusal, "the OpenID provider refused a code");
    ApiError::new(StatusCode::UNAUTHORIZED, "code_refused", "The provider did not take the code: begin again").with_detail(refusal)
}

/// The provider cannot be used now.
fn away(error: &dyn std::fmt::Display) -> ApiError {
    tracing::warn!(%error, "the OpenID provider cannot be used");
    ApiError::unavailable("The OpenID provider does not answer as it should: try again").with_detail(error)
}
