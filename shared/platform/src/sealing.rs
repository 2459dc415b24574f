//! Secrets at rest: AES-256-GCM with a key of the environment. What is sealed names its key and is tied to its place, so that a
//! value copied to another tenant or field does not open.

use crate::Secret;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest::{SHA256, digest},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;

/// The keys: the first one seals, all open.
pub struct Sealing {
    keys: Vec<(String, RandomizedNonceKey)>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    #[error("SWITCHBOARD_ENCRYPTION_KEY is not set, so secrets cannot be kept: set it to any long random text")]
    NoKey,
    #[error("a sealed value names the key {0}, which is neither SWITCHBOARD_ENCRYPTION_KEY nor one of SWITCHBOARD_OLD_ENCRYPTION_KEYS")]
    UnknownKey(String),
    #[error("a sealed value does not open: it was changed, or belongs elsewhere")]
    Broken,
}

impl Sealing {
    /// `key` seals; `old_keys` still open what they sealed. A key is any text; the real one is its SHA-256.
    pub fn new(key: Option<&Secret>, old_keys: &[Secret]) -> Self {
        let keys = key.into_iter().chain(old_keys).filter_map(|secret| {
            let bytes = digest(&SHA256, secret.expose().as_bytes());
            let id = hex::encode(digest(&SHA256, bytes.as_ref()).as_ref().get(..4)?);
            Some((id, RandomizedNonceKey::new(&AES_256_GCM, bytes.as_ref()).ok()?))
        });
        // Without a current key nothing can be sealed, whatever old ones there are.
        Self { keys: if key.is_some() { keys.collect() } else { Vec::new() } }
    }

    /// Seals `text` for `place` (for example `channel:UUID:accessToken`).
    pub fn seal(&self, place: &str, text: &str) -> Result<String, SealingError> {
        let (id, key) = self.keys.first().ok_or(SealingError::NoKey)?;
        let mut data = text.as_bytes().to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut data).map_err(|_| SealingError::Broken)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut data);
        Ok(format!("v1.{id}.{}", STANDARD.encode(sealed)))
    }

    /// Opens what was sealed for `place`.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Secret, SealingError> {
        let (id, data) = Self::parts(sealed).ok_or(SealingError::Broken)?;
        let (_, key) = self.keys.iter().find(|(known, _)| known == id).ok_or_else(|| SealingError::UnknownKey(id.to_owned()))?;
        let mut data = STANDARD.decode(data).map_err(|_| SealingError::Broken)?;
        if data.len() < NONCE_LEN {
            return Err(SealingError::Broken);
        }
        let mut text = data.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&data).map_err(|_| SealingError::Broken)?;
        let text = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text).map_err(|_| SealingError::Broken)?;
        String::from_utf8(text.to_vec()).map(Secret::new).map_err(|_| SealingError::Broken)
    }

    /// True if `sealed` was sealed with another key than today's.
    pub fn is_old(&self, sealed: &str) -> bool {
        let current = self.keys.first().map(|(id, _)| id.as_str());
        Self::parts(sealed).map(|(id, _)| id) != current
    }

    fn parts(sealed: &str) -> Option<(&str, &str)> {
        sealed.strip_prefix("v1.")?.split_once('.')
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing(keys: &[&str]) -> Sealing {
        let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(*key)).collect();
        Sealing::new(keys.first(), keys.get(1..).unwrap_or_default())
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_only() {
        let sealing = sealing(&["k"]);
        let sealed = sealing.seal("here", "s3cret").unwrap();
        assert!(!sealed.contains("s3cret"));
        assert_eq!(sealing.open("here", &sealed).unwrap().expose(), "s3cret");
        assert_eq!(sealing.open("there", &sealed).unwrap_err(), SealingError::Broken);
        assert_ne!(sealing.seal("here", "s3cret").unwrap(), sealed, "each time with a nonce of its own");
    }

    #[test]
    fn old_keys_open_and_new_ones_seal() {
        let sealed = sealing(&["old"]).seal("here", "s3cret").unwrap();
        let rotated = sealing(&["new", "old"]);
        assert!(rotated.is_old(&sealed));
        assert_eq!(rotated.open("here", &sealed).unwrap().expose(), "s3cret");
        assert!(!rotated.is_old(&rotated.seal("here", "s3cret").unwrap()));
        assert!(matches!(sealing(&["new"]).open("here", &sealed), Err(SealingError::UnknownKey(_))));
    }

    #[test]
    fn without_a_key_nothing_is_sealed_and_garbage_does_not_open() {
        assert_eq!(sealing(&[]).seal("here", "s3cret").unwrap_err(), SealingError::NoKey);
        let sealing = sealing(&["k"]);
        let (id, _) = sealing.keys.first().unwrap();
        for garbage in ["", "v1", "v1.x", &format!("v1.{id}.AAAA"), &format!("v1.{id}.!"), &format!("v1.{id}.{}", "A".repeat(64))] {
            assert!(sealing.open("here", garbage).is_err(), "{garbage}");
        }
    }
}
