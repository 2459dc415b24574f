//! How the helpdesk contract writes an error.

use crate::{
    ApiError,
    contracts::{
        ErrorContext,
        cloud::dialect::{by_field, problems_schema},
        object_of,
    },
};
use salvo::{
    http::StatusCode,
    oapi::{BasicType, Object},
};
use serde_json::{Value, json};

pub(crate) fn error_body(error: &ApiError, _context: &ErrorContext<'_>) -> Value {
    if error.is_invalid() {
        return json!({"detail": "Bad Request", "errors": by_field(error)});
    }
    // The contract knows one text for this.
    let detail = if error.status == StatusCode::UNAUTHORIZED { "Unauthorized" } else { &error.message };
    json!({"detail": detail})
}

pub(crate) fn error_schema() -> Object {
    object_of([("detail", Object::with_type(BasicType::String).into(), true), ("errors", problems_schema().into(), false)])
}
