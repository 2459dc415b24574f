//! Verifying what the provider says about a person.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde::Deserialize;
use serde_json::Value;

/// Public-key algorithms only: with a shared secret anybody who can verify can forge.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// How far the provider's clock may be off.
const LEEWAY_SECONDS: i64 = 60;

/// Who somebody is at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub issuer: String,
    pub subject: String,
    /// Verified by the provider.
    pub email: Option<String>,
    pub name: Option<String>,
}

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("its key is unknown")]
    UnknownKey,
    #[error("it is not signed as it should be, or not for us")]
    Signature,
    #[error("it has expired")]
    Expired,
    #[error("it belongs to another sign-in")]
    Nonce,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    nonce: Option<String>,
    azp: Option<String>,
    email: Option<String>,
    email_verified: Option<Value>,
    name: Option<String>,
}

/// Whom the token is about, if `issuer` signed it for `client_id` in this sign-in.
pub(super) fn verify(
    token: &str,
    keys: &JwkSet,
    issuer: &str,
    client_id: &str,
    nonce: &str,
    now: DateTime<Utc>,
) -> Result<Identity, Invalid> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| Invalid::Signature)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Invalid::Signature);
    }
    let key = match &header.kid {
        Some(id) => keys.find(id),
        // A provider with one key need not name it.
        None => keys.keys.first().filter(|_| keys.keys.len() == 1),
    };
    let key = DecodingKey::from_jwk(key.ok_or(Invalid::UnknownKey)?).map_err(|_| Invalid::UnknownKey)?;
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[client_id]);
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|_| Invalid::Signature)?.claims;
    if claims.exp + LEEWAY_SECONDS <= now.timestamp() {
        return Err(Invalid::Expired);
    }
    if claims.azp.is_some_and(|azp| azp != client_id) {
        return Err(Invalid::Signature);
    }
    if claims.nonce.as_deref() != Some(nonce) {
        return Err(Invalid::Nonce);
    }
    // Some providers write it as a text.
    let is_verified = claims.email_verified.is_some_and(|value| value == Value::Bool(true) || value == "true");
    let email = claims.email.filter(|_| is_verified).and_then(|email| domain::contact_details::email(&email).map(str::to_owned));
    Ok(Identity { issuer: issuer.to_owned(), subject: claims.sub, email, name: claims.name.filter(|name| !name.trim().is_empty()) })
}
