//! Refresh tokens: random texts of which only a hash is stored.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use platform::Secret;

/// Makes tokens and their hashes.
#[derive(Clone, Debug)]
pub(crate) struct RefreshTokens(hmac::Key);

impl RefreshTokens {
    /// `pepper`: what is stored is of no use without it.
    pub(crate) fn new(pepper: Option<&Secret>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, pepper.map_or(&b""[..], |secret| secret.expose().as_bytes())))
    }

    /// A new token and its hash.
    pub(crate) fn generate(&self) -> (String, Vec<u8>) {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let hash = self.hash(&token);
        (token, hash)
    }

    pub(crate) fn hash(&self, token: &str) -> Vec<u8> {
        hmac::sign(&self.0, token.as_bytes()).as_ref().to_vec()
    }
}
