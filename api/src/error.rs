//! What a request is answered when it fails: a status, a stable code and a message. The body is written by the contract that
//! owns the path, in `middleware::errors`.

use platform::SealingError;
use salvo::oapi::{Components, EndpointOutRegister, Operation};
use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, RETRY_AFTER},
    },
};
use std::{borrow::Cow, fmt::Display};
use store::StoreError;

/// The code of [`ApiError::invalid`].
const INVALID: &str = "invalid";

/// A failed request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ApiError {
    pub status: StatusCode,
    /// For programs; never changes once released.
    pub code: &'static str,
    /// For people. Shown to clients, so it holds nothing internal.
    pub message: Cow<'static, str>,
    /// Which fields are wrong, and what about them.
    pub fields: Vec<FieldError>,
    /// Internals; shown in development only.
    pub detail: Option<String>,
    /// Seconds.
    pub retry_after: Option<u32>,
    /// True when the rest of the request was not read, so that the connection cannot be used again.
    pub close: bool,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// As the client wrote it, for example `content.text`.
    pub field: Cow<'static, str>,
    pub problem: Cow<'static, str>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), fields: Vec::new(), detail: None, retry_after: None, close: false }
    }

    #[must_use]
    pub fn with_detail(mut self, detail: &dyn Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The request's values are wrong. The status is what the contract says: 400, in `platform` 422.
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        let message = match fields.as_slice() {
            [only] if only.field.is_empty() => only.problem.to_string(),
            _ => fields.iter().map(|f| format!("{}: {}", f.field, f.problem)).collect::<Vec<_>>().join("; "),
        };
        Self { fields, ..Self::new(StatusCode::BAD_REQUEST, INVALID, message) }
    }

    /// One field is wrong.
    pub fn invalid_field(field: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), problem: problem.into() }])
    }

    /// True for [`ApiError::invalid`].
    pub fn is_invalid(&self) -> bool {
        self.code == INVALID
    }

    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized")
    }

    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// `what` (a noun) is not there, or is another tenant's.
    pub fn not_found(what: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    /// The request contradicts what is there.
    pub fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// Something that is needed is away or not set up; the request is fine.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// A defect of ours, or of the surroundings: logged here, shown as 500.
    pub fn internal(error: &dyn Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::from_status(StatusCode::INTERNAL_SERVER_ERROR).with_detail(error)
    }

    /// The error for a bare status, as the router and the panic handler give it.
    pub fn from_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => ("not_found", "There is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "This path does not take this method"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "The request body is too large"),
            StatusCode::REQUEST_TIMEOUT => ("request_timeout", "The request took too long to arrive"),
            StatusCode::TOO_MANY_REQUESTS => ("too_many_requests", "Too many requests: slow down"),
            StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "The service is busy: try again"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "This path does not take this content type"),
            status if status.is_client_error() => ("bad_request", status.canonical_reason().unwrap_or("The request cannot be understood")),
            _ => ("internal", "Something went wrong on our side"),
        };
        Self::new(status, code, message)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "a request failed");
                Self::unavailable("The database is not available: try again").with_detail(&error).with_retry_after(1)
            }
            StoreError::Conflict(_) | StoreError::Stale(_) => {
                tracing::warn!(%error, "a request failed");
                Self::unavailable("Another change was faster: try again").with_detail(&error).with_retry_after(1)
            }
            // What can be told more exactly is checked before, or by `StoreError::violated`.
            StoreError::Data(_) => {
                tracing::warn!(%error, "the database refused a request's values");
                Self::invalid_field("", "A value is not one that can be stored").with_detail(&error)
            }
            StoreError::Fenced | StoreError::Migration(_) | StoreError::Defect(_) => Self::internal(&error),
        }
    }
}

/// For what was to be kept sealed.
impl From<SealingError> for ApiError {
    fn from(error: SealingError) -> Self {
        match error {
            SealingError::NoKey => Self::unavailable("Secrets cannot be kept here yet: set SWITCHBOARD_ENCRYPTION_KEY"),
            SealingError::UnknownKey(_) | SealingError::Broken => Self::internal(&error),
        }
    }
}

/// The errors of an operation depend on the contract that owns its path: `crate::openapi` adds them.
impl EndpointOutRegister for ApiError {
    fn register(_components: &mut Components, _operation: &mut Operation) {}
}

#[async_trait]
impl Writer for ApiError {
    async fn write(self, _req: &mut Request, depot: &mut Depot, res: &mut Response) {
        res.status_code(self.status);
        if let Some(seconds) = self.retry_after {
            res.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            res.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        depot.insert_typed(self);
    }
}
