//! What handlers answer: JSON with a status that the type names, so that the OpenAPI document knows it.

mod streamed;

pub(crate) use streamed::{Array, CsvFile, EventStream};

use crate::ApiError;
use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{
        ResBody, StatusCode,
        header::{CONTENT_TYPE, HeaderValue},
    },
    oapi::{self, Components, Content, EndpointOutRegister, Operation, ToSchema},
};
use serde::Serialize;
use std::marker::PhantomData;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A JSON body with the status `STATUS`.
#[derive(Debug)]
pub(crate) struct Reply<T, const STATUS: u16> {
    status: StatusCode,
    body: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

/// 200.
pub(crate) type Ok200<T> = Reply<T, 200>;
/// 201.
pub(crate) type Created<T> = Reply<T, 201>;
/// 202.
pub(crate) type Accepted<T> = Reply<T, 202>;

impl<T: Serialize, const STATUS: u16> Reply<T, STATUS> {
    pub(crate) fn new(body: &T) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(body).map_err(|error| ApiError::internal(&error))?;
        let status = StatusCode::from_u16(STATUS).map_err(|error| ApiError::internal(&error))?;
        Ok(Self { status, body, of: PhantomData })
    }
}

impl<T, const STATUS: u16> Reply<T, STATUS> {
    /// An answer that was given before.
    pub(crate) fn repeated(status: u16, body: Vec<u8>) -> Result<Self, ApiError> {
        let status = StatusCode::from_u16(status).map_err(|error| ApiError::internal(&error))?;
        Ok(Self { status, body, of: PhantomData })
    }

    pub(crate) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }
}

#[async_trait]
impl<T: Send, const STATUS: u16> Writer for Reply<T, STATUS> {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(self.status);
        res.headers_mut().insert(CONTENT_TYPE, JSON);
        res.body = ResBody::Once(self.body.into());
    }
}

impl<T: ToSchema, const STATUS: u16> EndpointOutRegister for Reply<T, STATUS> {
    fn register(components: &mut Components, operation: &mut Operation) {
        let schema = T::to_schema(components);
        let reason = StatusCode::from_u16(STATUS).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        let response = oapi::Response::new(reason).add_content("application/json", Content::new(schema));
        operation.responses.insert(STATUS.to_string(), response);
    }
}

/// 204.
#[derive(Debug)]
pub(crate) struct NoContent;

#[async_trait]
impl Writer for NoContent {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(StatusCode::NO_CONTENT);
    }
}

impl EndpointOutRegister for NoContent {
    fn register(_components: &mut Components, operation: &mut Operation) {
        operation.responses.insert("204", oapi::Response::new("Done"));
    }
}
