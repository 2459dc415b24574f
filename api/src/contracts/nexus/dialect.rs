//! How the operator console's contract writes an error.

use crate::{
    ApiError,
    contracts::{ErrorContext, object_of},
};
use salvo::oapi::{BasicType, Object};
use serde_json::{Value, json};

pub(super) fn error_body(error: &ApiError, _context: &ErrorContext<'_>) -> Value {
    json!({"detail": error.message})
}

pub(super) fn error_schema() -> Object {
    object_of([("detail", Object::with_type(BasicType::String).into(), true)])
}
