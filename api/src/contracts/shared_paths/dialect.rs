//! Errors on paths that several contracts share: the caller's contract, if it is known, else the union of all bodies.

use crate::{
    ApiError,
    contracts::{
        ErrorContext,
        cloud::dialect::{self as cloud, problems_schema},
        desk::dialect as desk,
        object_of,
    },
};
use salvo::oapi::{BasicType, Object};
use serde_json::{Value, json};

pub(super) fn error_body(error: &ApiError, context: &ErrorContext<'_>) -> Value {
    match context.speaks {
        Some("desk") => desk::error_body(error, context),
        Some(_) => cloud::error_body(error, context),
        None => {
            let mut body = cloud::error_fields(error, context);
            body.insert("detail".to_owned(), json!(error.message));
            body.insert("status_code".to_owned(), json!(error.status.as_u16()));
            Value::Object(body)
        }
    }
}

pub(super) fn error_schema() -> Object {
    object_of([
        ("success", Object::with_type(BasicType::Boolean).into(), false),
        ("message", Object::with_type(BasicType::String).into(), false),
        ("detail", Object::with_type(BasicType::String).into(), false),
        ("status_code", Object::with_type(BasicType::Integer).into(), false),
        ("errors", problems_schema().into(), false),
        ("error", Object::with_type(BasicType::String).into(), false),
    ])
}
