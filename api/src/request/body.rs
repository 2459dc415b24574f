//! JSON bodies.

use super::text::has_nul_escape;
use crate::{
    ApiError,
    body::{self, BodyError},
};
use bytes::Bytes;
use salvo::{
    Depot, Extractible, Request,
    extract::Metadata,
    http::{
        ReqBody, StatusCode,
        header::{CONTENT_TYPE, EXPECT},
    },
    oapi::{Components, Content, EndpointArgRegister, Operation, RequestBody, ToSchema},
};
use serde::{Deserialize, de::DeserializeOwned};

/// The largest JSON body.
const MOST_BYTES: usize = 1024 * 1024;

/// A request's JSON body, of at most a mebibyte.
#[derive(Debug)]
pub(crate) struct Body<T>(pub T);

impl<'ex, T: DeserializeOwned + Send> Extractible<'ex> for Body<T> {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, _depot: &'ex mut Depot) -> Result<Self, impl salvo::Writer + Send + std::fmt::Debug + 'static> {
        read(req).await.map(Self)
    }
}

impl<T: DeserializeOwned> Body<T> {
    /// For handlers whose body may be left out.
    pub(crate) async fn read(req: &mut Request) -> Result<Self, ApiError> {
        read(req).await.map(Self)
    }
}

async fn read<T: DeserializeOwned>(req: &mut Request) -> Result<T, ApiError> {
    let content_type = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !(essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")) {
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Send the body as application/json"));
    }
    let bytes = read_limited(req, MOST_BYTES).await?;
    // The idempotency layer compares bodies, so it stays with the request.
    req.replace_body(ReqBody::Once(bytes.clone()));
    parse(&bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if has_nul_escape(bytes) {
        return Err(ApiError::invalid_field("", "Text must not contain the character U+0000"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() {
            let problem = without_position(&inner.to_string());
            // "missing field `x`" is about x, wherever it was missed.
            match problem.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
                Some((name, _)) => {
                    let field = if path == "." { name.to_owned() } else { format!("{path}.{name}") };
                    ApiError::invalid_field(field, "is required")
                }
                None => ApiError::invalid_field(if path == "." { String::new() } else { path }, problem),
            }
        } else {
            ApiError::invalid_field("", format!("The body is not JSON: {inner}"))
        }
    })?;
    json.end().map_err(|error| ApiError::invalid_field("", format!("The body is not JSON: {error}")))?;
    Ok(value)
}

/// serde_json appends "at line 1 column 5", which says nothing to a program's user.
fn without_position(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
}

/// Reads the whole body, or answers 413.
pub(crate) async fn read_limited(req: &mut Request, most: usize) -> Result<Bytes, ApiError> {
    let may_discard = !req.headers().contains_key(EXPECT);
    body::read(req.take_body(), most, may_discard).await.map_err(|error| match error {
        BodyError::TooLarge => ApiError::from_status(StatusCode::PAYLOAD_TOO_LARGE).closing(),
        BodyError::TooSlow => ApiError::from_status(StatusCode::REQUEST_TIMEOUT).closing(),
        BodyError::Broken(error) => ApiError::from_status(StatusCode::BAD_REQUEST).with_detail(&error).closing(),
    })
}

impl<'de, T: Deserialize<'de> + ToSchema> EndpointArgRegister for Body<T> {
    fn register(components: &mut Components, operation: &mut Operation, _arg: &str) {
        let schema = T::to_schema(components);
        operation.request_body =
            Some(RequestBody::new().add_content("application/json", Content::new(schema)).required(salvo::oapi::Required::True));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "only its errors matter")]
        inner: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only its errors matter")]
        count: u8,
    }

    #[test]
    fn an_error_names_the_field() {
        let message = |text: &str| parse::<Outer>(text.as_bytes()).unwrap_err().message.into_owned();
        assert_eq!(message("{}"), "inner: is required");
        assert_eq!(message(r#"{"inner":{}}"#), "inner.count: is required");
        assert_eq!(message(r#"{"inner":{"count":"x"}}"#), "inner.count: invalid type: string \"x\", expected u8");
        assert_eq!(message(r#"{"inner":{"count":300}}"#), "inner.count: invalid value: integer `300`, expected u8");
        assert!(message("nonsense").starts_with("The body is not JSON"));
        assert!(message(r#"{"inner":{"count":1}} x"#).starts_with("The body is not JSON"));
        assert!(message(r#"{"inner":{"count":1,"a":"\u0000"}}"#).contains("U+0000"));
        assert_eq!(message(&"[".repeat(100_000)), "[0][0]: invalid type: sequence, expected u8");
        assert!(message(&format!("{{\"x\":{}", "[".repeat(100_000))).starts_with("The body is not JSON"));
    }
}
