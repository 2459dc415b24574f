//! What a request is answered when it fails: a status, a stable code and a message. The body is written by the contract that
//! owns the path, in `middleware::errors`.

use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, RETRY_AFTER},
    },
};
use std::{borrow::Cow, fmt::Display};

/// A failed request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ApiError {
    pub status: StatusCode,
    /// For programs; never changes once released.
    pub code: &'static str,
    /// For people. Shown to clients, so it holds nothing internal.
    pub message: Cow<'static, str>,
    /// Internals; shown in development only.
    pub detail: Option<String>,
    /// Seconds.
    pub retry_after: Option<u8>,
    /// True when the rest of the request was not read, so that the connection cannot be used again.
    pub close: bool,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), detail: None, retry_after: None, close: false }
    }

    #[must_use]
    pub fn with_detail(mut self, detail: &dyn Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, seconds: u8) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The error for a bare status, as the router and the panic handler give it.
    pub fn from_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => ("not_found", "There is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "This path does not take this method"),
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "The request body is too large"),
            StatusCode::REQUEST_TIMEOUT => ("request_timeout", "The request took too long to arrive"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "This path does not take this content type"),
            status if status.is_client_error() => ("bad_request", status.canonical_reason().unwrap_or("The request cannot be understood")),
            _ => ("internal", "Something went wrong on our side"),
        };
        Self::new(status, code, message)
    }
}

#[async_trait]
impl Writer for ApiError {
    async fn write(self, _req: &mut Request, depot: &mut Depot, res: &mut Response) {
        res.status_code(self.status);
        if let Some(seconds) = self.retry_after {
            res.headers_mut().insert(RETRY_AFTER, HeaderValue::from(u16::from(seconds)));
        }
        if self.close {
            res.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        depot.insert_typed(self);
    }
}
