//! What a browser carries from the beginning of a sign-in to its end: a sealed cookie.

use crate::ApiError;
use chrono::{DateTime, TimeDelta, Utc};
use platform::{Sealing, SealingError};
use salvo::http::StatusCode;
use serde::{Deserialize, Serialize};

/// A sign-in that takes longer has to be begun again.
pub(super) const WITHIN: TimeDelta = TimeDelta::minutes(10);
const PLACE: &str = "oidc-flow";

/// Where to send the browser, and what it has to bring back.
#[derive(Debug)]
pub(crate) struct Began {
    pub location: String,
    pub cookie: String,
}

/// One sign-in under way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Flow {
    pub state: String,
    pub nonce: String,
    pub pkce_verifier: String,
    pub until: DateTime<Utc>,
}

impl Flow {
    pub(super) fn seal(&self, sealing: &Sealing) -> Result<String, ApiError> {
        let text = serde_json::to_string(self).map_err(|error| ApiError::internal(&error))?;
        sealing.seal(PLACE, &text).map_err(|error| match error {
            SealingError::NoKey => ApiError::unavailable("Signing in at an OpenID provider needs SWITCHBOARD_ENCRYPTION_KEY: set it"),
            SealingError::UnknownKey(_) | SealingError::Broken => ApiError::internal(&error),
        })
    }

    /// The flow of a cookie, if it is ours, not too old, and began with this `state`.
    pub(super) fn open(sealing: &Sealing, cookie: &str, state: &str, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let text = sealing.open(PLACE, cookie).ok();
        let flow = text.and_then(|text| serde_json::from_str::<Self>(text.expose()).ok());
        flow.filter(|flow| flow.state == state && flow.until > now).ok_or_else(|| {
            ApiError::new(StatusCode::BAD_REQUEST, "flow_invalid", "This sign-in was not begun here, or took too long: begin again")
        })
    }
}
