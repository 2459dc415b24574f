//! Signed, expiring addresses: who has one may do what it is for until then, and nothing else.

use crate::Secret;
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use chrono::{DateTime, Utc};

/// Signs and checks addresses of one folder.
#[derive(Clone, Debug)]
pub struct SignedLinks {
    key: hmac::Key,
    /// Without a slash at the end.
    folder: String,
}

impl SignedLinks {
    /// Of what is in `folder` (an address, without a slash at the end), with a key derived from `secret` for this `purpose`.
    pub fn new(secret: &Secret, purpose: &str, folder: String) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let derived = hmac::sign(&root, purpose.as_bytes());
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), folder }
    }

    /// The address of `name`, good until `expires` (Unix seconds).
    pub fn sign(&self, name: &str, expires: i64) -> String {
        format!("{}/{name}?expires={expires}&signature={}", self.folder, hex::encode(self.signature(name, expires)))
    }

    /// Is it a signature of ours for this name that has not expired?
    pub fn is_good(&self, name: &str, expires: i64, signature: &str, now: DateTime<Utc>) -> bool {
        let given = hex::decode(signature).unwrap_or_default();
        let right = self.signature(name, expires);
        verify_slices_are_equal(right.as_ref(), &given).is_ok() && now.timestamp() < expires
    }

    fn signature(&self, name: &str, expires: i64) -> hmac::Tag {
        hmac::sign(&self.key, format!("{name}\n{expires}").as_bytes())
    }
}
