//! Refreshing and signing out.

use crate::{contracts::shared_paths::Session, prelude::*};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefreshBody {
    pub refresh_token: String,
}

/// Get new tokens
///
/// The refresh token is used up; the answer holds the next one. One that is used twice ends its session.
#[endpoint]
pub(super) async fn refresh(app: App, body: Body<RefreshBody>) -> Result<Ok200<Session>, ApiError> {
    Ok200::new(&app.refresh(&body.0.refresh_token).await?.into())
}

/// Sign out
///
/// Ends the session: its access and refresh tokens are of no use any more.
#[endpoint]
pub(super) async fn logout(app: App, caller: Caller) -> Result<NoContent, ApiError> {
    app.sign_out(&caller).await?;
    Ok(NoContent)
}
