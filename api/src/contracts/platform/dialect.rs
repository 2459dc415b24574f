//! How the agent platform contract writes an error.

use crate::ApiError;
use serde_json::{Value, json};

pub(super) fn error_body(error: &ApiError, _development: bool) -> Value {
    json!({"detail": error.message, "status_code": error.status.as_u16()})
}
