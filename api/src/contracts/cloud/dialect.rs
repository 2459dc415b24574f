//! How the WhatsApp business contract writes what succeeded and what failed. `omnichat` fails in the same way.

use crate::{
    ApiError,
    contracts::{ErrorContext, object_of},
};
use salvo::oapi::{Array, BasicType, Object, RefOr, Schema, ToSchema};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The envelope of what succeeded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Success<T: ToSchema + 'static> {
    success: bool,
    pub data: T,
}

impl<T: ToSchema + 'static> Success<T> {
    pub(crate) fn new(data: T) -> Self {
        Self { success: true, data }
    }
}

pub(crate) fn error_body(error: &ApiError, context: &ErrorContext<'_>) -> Value {
    Value::Object(error_fields(error, context))
}

/// The fields of the body.
pub(crate) fn error_fields(error: &ApiError, context: &ErrorContext<'_>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("success".to_owned(), json!(false));
    body.insert("message".to_owned(), json!(error.message));
    if !error.fields.is_empty() {
        body.insert("errors".to_owned(), json!(by_field(error)));
    }
    if let (true, Some(detail)) = (context.development, &error.detail) {
        body.insert("error".to_owned(), json!(detail));
    }
    body
}

pub(crate) fn error_schema() -> Object {
    object_of([
        ("success", Object::with_type(BasicType::Boolean).into(), true),
        ("message", Object::with_type(BasicType::String).into(), true),
        ("errors", problems_schema().into(), false),
        ("error", Object::with_type(BasicType::String).into(), false),
    ])
}

/// What is wrong with each field.
pub(crate) fn by_field(error: &ApiError) -> BTreeMap<&str, Vec<&str>> {
    let mut fields: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for field in &error.fields {
        let name = if field.field.is_empty() { "body" } else { &field.field };
        fields.entry(name).or_default().push(&field.problem);
    }
    fields
}

/// The schema of [`by_field`].
pub(crate) fn problems_schema() -> Object {
    let problems = Array::new().items(Object::with_type(BasicType::String));
    Object::with_type(BasicType::Object).additional_properties(RefOr::Type(Schema::from(problems)))
}
