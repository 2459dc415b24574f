//! Access tokens: JWTs, RS256 when there is a key pair, else HS256. Which of the two is decided by the settings, never by a token.

use chrono::{DateTime, Utc};
use domain::{SessionId, TenantId, UserId, UserRole};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use platform::{Secret, config::HttpConfig};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::HashMap, fmt};
use uuid::Uuid;

/// What a token says. The names are the union of the contracts'.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub sub: UserId,
    pub user_id: UserId,
    #[serde(rename = "userId")]
    pub user_id_camel: UserId,
    /// `tenants.public_id`.
    pub tenant_id: Uuid,
    #[serde(rename = "tenantId")]
    pub tenant_id_camel: Uuid,
    pub email: Option<String>,
    pub role: UserRole,
    pub contract: String,
    pub iat: i64,
    pub exp: i64,
    pub jti: Uuid,
    /// The session.
    pub sid: SessionId,
    /// `tenants.id`.
    pub tid: TenantId,
}

/// Signs and verifies.
pub(crate) struct Tokens {
    header: Header,
    /// `None`: neither `JWT_PRIVATE_KEY` nor `JWT_SECRET` is set.
    signing: Option<EncodingKey>,
    /// By key id; tokens that name none are verified with the key under `None`.
    verifying: HashMap<Option<String>, DecodingKey>,
    validation: Validation,
    jwks: JwkSet,
}

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{variable} cannot be used: {reason}")]
pub struct KeyError {
    pub variable: &'static str,
    pub reason: String,
}

impl Tokens {
    pub(crate) fn new(config: &HttpConfig) -> Result<Self, KeyError> {
        match (&config.jwt_private_key, &config.jwt_secret) {
            (Some(key), _) => Self::rs256(key, config.jwt_old_public_keys.as_deref()),
            (None, secret) => Ok(Self::hs256(secret.as_ref())),
        }
    }

    fn hs256(secret: Option<&Secret>) -> Self {
        let bytes = secret.map(|secret| secret.expose().as_bytes());
        Self {
            header: Header::new(Algorithm::HS256),
            signing: bytes.map(EncodingKey::from_secret),
            verifying: bytes.map(|bytes| (None, DecodingKey::from_secret(bytes))).into_iter().collect(),
            validation: validation(Algorithm::HS256),
            jwks: JwkSet { keys: Vec::new() },
        }
    }

    fn rs256(private_key: &Secret, old_public_keys: Option<&str>) -> Result<Self, KeyError> {
        let unusable = |variable| move |error: jsonwebtoken::errors::Error| KeyError { variable, reason: error.to_string() };
        let pem = pem_or_file("JWT_PRIVATE_KEY", private_key.expose())?;
        let signing = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(unusable("JWT_PRIVATE_KEY"))?;
        let mut keys = vec![Jwk::from_encoding_key(&signing, Algorithm::RS256).map_err(unusable("JWT_PRIVATE_KEY"))?];
        if let Some(old) = old_public_keys {
            for block in blocks(&pem_or_file("JWT_OLD_PUBLIC_KEYS", old)?) {
                let key = DecodingKey::from_rsa_pem(block.as_bytes()).map_err(unusable("JWT_OLD_PUBLIC_KEYS"))?;
                keys.push(Jwk::from_decoding_key(&key, Some(Algorithm::RS256)).map_err(unusable("JWT_OLD_PUBLIC_KEYS"))?);
            }
        }
        let mut verifying = HashMap::new();
        for key in &mut keys {
            let id = key.thumbprint(ThumbprintHash::SHA256).map_err(unusable("JWT_PRIVATE_KEY"))?;
            verifying.insert(Some(id.clone()), DecodingKey::from_jwk(key).map_err(unusable("JWT_PRIVATE_KEY"))?);
            key.common.key_id = Some(id);
            key.common.public_key_use = Some(PublicKeyUse::Signature);
        }
        let mut header = Header::new(Algorithm::RS256);
        header.kid = keys.first().and_then(|key| key.common.key_id.clone());
        Ok(Self { header, signing: Some(signing), verifying, validation: validation(Algorithm::RS256), jwks: JwkSet { keys } })
    }

    /// False: neither `JWT_PRIVATE_KEY` nor `JWT_SECRET` is set.
    pub(crate) fn can_sign(&self) -> bool {
        self.signing.is_some()
    }

    /// `None`: no key is configured.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Option<String> {
        jsonwebtoken::encode(&self.header, claims, self.signing.as_ref()?).ok()
    }

    /// The claims of a token that we signed and that has not expired. Whether its session is live, the sessions know.
    pub(crate) fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        self.decode::<Claims>(token, &["exp", "sub"]).filter(|claims| claims.exp > now.timestamp())
    }

    /// What a token of ours says, expired or not, if it has these claims.
    pub(crate) fn decode<T: DeserializeOwned + Clone>(&self, token: &str, required: &[&str]) -> Option<T> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let key = self.verifying.get(&header.kid)?;
        let mut validation = self.validation.clone();
        validation.set_required_spec_claims(required);
        Some(jsonwebtoken::decode::<T>(token, key, &validation).ok()?.claims)
    }

    /// The public keys; empty with HS256.
    pub(crate) fn jwks(&self) -> &JwkSet {
        &self.jwks
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({:?})", self.header.alg)
    }
}

/// Only this algorithm. The expiry is compared with our own clock.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn pem_or_file(variable: &'static str, text: &str) -> Result<String, KeyError> {
    if text.contains("-----BEGIN") {
        // Environment files often hold the line breaks as two characters.
        return Ok(text.replace("\\n", "\n"));
    }
    std::fs::read_to_string(text)
        .map_err(|error| KeyError { variable, reason: format!("it is neither PEM nor a file that can be read ({error})") })
}

/// The PEM blocks of a text.
fn blocks(text: &str) -> Vec<String> {
    text.split("-----BEGIN").skip(1).map(|block| format!("-----BEGIN{block}")).collect()
}

#[cfg(test)]
mod tests;
