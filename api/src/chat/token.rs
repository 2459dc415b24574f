//! Widget tokens: what a visitor of a website shows. One opens the chat of one session of one tenant, and nothing else.

use crate::auth::Tokens;
use chrono::{DateTime, TimeDelta, Utc};
use domain::TenantId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Tells it from every other token that we sign.
const AUDIENCE: &str = "widget";
/// How long one is good. The widget renews it each time a page loads.
const LIFETIME: TimeDelta = TimeDelta::hours(24);
/// How long after that it may still be renewed, so that a visitor who comes back finds what was said.
const RENEWABLE: TimeDelta = TimeDelta::days(30);

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WidgetClaims {
    aud: String,
    /// `tenants.id`.
    pub tid: TenantId,
    /// The session, which is a conversation's id.
    pub session_id: Uuid,
    pub exp: i64,
}

impl WidgetClaims {
    pub(crate) fn new(tenant: TenantId, session_id: Uuid, now: DateTime<Utc>) -> Self {
        Self { aud: AUDIENCE.to_owned(), tid: tenant, session_id, exp: (now + LIFETIME).timestamp() }
    }

    /// What a token of ours says, if it is good now.
    pub(crate) fn read(tokens: &Tokens, token: &str, now: DateTime<Utc>) -> Option<Self> {
        Self::genuine(tokens, token).filter(|claims| claims.exp > now.timestamp())
    }

    /// The same, or if it was good lately.
    pub(crate) fn read_to_renew(tokens: &Tokens, token: &str, now: DateTime<Utc>) -> Option<Self> {
        Self::genuine(tokens, token).filter(|claims| claims.exp > (now - RENEWABLE).timestamp())
    }

    fn genuine(tokens: &Tokens, token: &str) -> Option<Self> {
        tokens.decode::<Self>(token, &["exp", "aud"]).filter(|claims| claims.aud == AUDIENCE)
    }
}
