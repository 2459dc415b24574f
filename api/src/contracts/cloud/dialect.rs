//! How the WhatsApp business contract writes an error.

use crate::ApiError;
use serde_json::{Value, json};

pub(super) fn error_body(error: &ApiError, development: bool) -> Value {
    match &error.detail {
        Some(detail) if development => json!({"success": false, "message": error.message, "error": detail}),
        _ => json!({"success": false, "message": error.message}),
    }
}
