//! Where tools that answer later do so: a signed address for each call, which expires.

use chrono::{DateTime, TimeDelta, Utc};
use domain::TenantId;
use platform::{Clock, Secret, SignedLinks, SystemClock};
use uuid::Uuid;

/// How long a tool may take.
const LIFETIME: TimeDelta = TimeDelta::hours(24);

/// Signs and checks.
#[derive(Clone, Debug)]
pub struct CallbackLinks(SignedLinks);

impl CallbackLinks {
    /// With a key derived from `secret`; `base`: where others reach us, without a slash at the end.
    pub fn new(secret: &Secret, base: &str) -> Self {
        Self(SignedLinks::new(secret, "tool callbacks", format!("{base}/api/tools/callbacks")))
    }

    /// The address at which a call is answered.
    pub(crate) fn sign(&self, tenant: TenantId, call: Uuid) -> String {
        self.0.sign(&format!("{tenant}/{call}"), (SystemClock.now() + LIFETIME).timestamp())
    }

    /// Is it a signature of ours for this call that has not expired?
    pub fn is_good(&self, tenant: TenantId, call: Uuid, expires: i64, signature: &str, now: DateTime<Utc>) -> bool {
        self.0.is_good(&format!("{tenant}/{call}"), expires, signature, now)
    }
}
