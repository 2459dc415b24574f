//! Telegram accounts of people, which cannot be connected yet.

use crate::prelude::*;
use salvo::http::StatusCode;

fn not_yet() -> ApiError {
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "not_implemented",
        "Telegram accounts of people cannot be connected yet: use a TELEGRAM_BOT channel",
    )
}

/// Ask for a sign-in code
///
/// Not yet: 501.
#[endpoint]
pub(super) async fn start_telegram_user(_caller: Caller) -> Result<NoContent, ApiError> {
    Err(not_yet())
}

/// Sign in with the code
///
/// Not yet: 501.
#[endpoint]
pub(super) async fn confirm_telegram_user(_caller: Caller) -> Result<NoContent, ApiError> {
    Err(not_yet())
}

/// Sign out
///
/// Not yet: 501.
#[endpoint]
pub(super) async fn logout_telegram_user(_caller: Caller) -> Result<NoContent, ApiError> {
    Err(not_yet())
}
