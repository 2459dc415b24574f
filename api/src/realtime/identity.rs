//! Who watches.

use super::hub::Identity;
use crate::{ApiError, App, auth};
use chrono::DateTime;

/// Whose token it is, if it is good.
pub(super) async fn identify(app: &App, token: &str) -> Result<Option<Identity>, ApiError> {
    let found = auth::caller_of(app, token).await?;
    Ok(found.map(|(caller, claims)| Identity {
        tenant: caller.tenant,
        tenant_public_id: caller.tenant_public_id,
        user: caller.user,
        expires_at: DateTime::from_timestamp(claims.exp, 0).unwrap_or_default(),
    }))
}
