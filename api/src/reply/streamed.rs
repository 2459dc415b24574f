//! Answers that are written while they are read from the database, so that their length does not matter.

use crate::ApiError;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue},
    },
    oapi::{self, Components, Content, EndpointOutRegister, Operation, ToSchema},
};
use serde::Serialize;
use std::{fmt, marker::PhantomData};

/// A JSON array whose items come in pages.
pub(crate) struct Array<T> {
    body: BoxStream<'static, Result<Bytes, ApiError>>,
    of: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Array")
    }
}

impl<T: Serialize + 'static> Array<T> {
    /// Reads the first page, so that what fails at once is answered as an error; if a later one fails, the connection is cut off, so that
    /// nobody takes the part for the whole.
    pub(crate) async fn of_pages(pages: impl Stream<Item = Result<Vec<T>, ApiError>> + Send + 'static) -> Result<Self, ApiError> {
        let mut items = 0;
        let pages = pages.map(move |page| text(&page?, &mut items));
        let mut pages = pages.boxed();
        let first = pages.next().await.transpose()?.unwrap_or_default();
        let start = futures::stream::iter([Ok(Bytes::from_static(b"[")), Ok(first)]);
        let end = futures::stream::once(async { Ok(Bytes::from_static(b"]")) });
        Ok(Self { body: start.chain(pages).chain(end).boxed(), of: PhantomData })
    }
}

/// A page, with the comma between it and the one before.
fn text<T: Serialize>(page: &[T], items: &mut usize) -> Result<Bytes, ApiError> {
    let mut text = Vec::new();
    for item in page {
        if *items > 0 {
            text.push(b',');
        }
        *items += 1;
        serde_json::to_writer(&mut text, item).map_err(|error| ApiError::internal(&error))?;
    }
    Ok(text.into())
}

#[async_trait]
impl<T: Send> Writer for Array<T> {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(StatusCode::OK);
        res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        res.stream(self.body.map_err(std::io::Error::other));
    }
}

impl<T: ToSchema + 'static> EndpointOutRegister for Array<T> {
    fn register(components: &mut Components, operation: &mut Operation) {
        let schema = Vec::<T>::to_schema(components);
        operation.responses.insert("200", oapi::Response::new("OK").add_content("application/json", Content::new(schema)));
    }
}

/// A CSV file that comes in pages.
pub(crate) struct CsvFile {
    name: &'static str,
    body: BoxStream<'static, Result<Bytes, ApiError>>,
}

impl fmt::Debug for CsvFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl CsvFile {
    /// As [`Array::of_pages`]; a page is lines. The first holds the header.
    pub(crate) async fn of_pages(
        name: &'static str,
        pages: impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static,
    ) -> Result<Self, ApiError> {
        let mut pages = pages.boxed();
        let first = pages.next().await.transpose()?.unwrap_or_default();
        Ok(Self { name, body: futures::stream::once(async { Ok(first) }).chain(pages).boxed() })
    }
}

#[async_trait]
impl Writer for CsvFile {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(StatusCode::OK);
        let headers = res.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
        if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", self.name)) {
            headers.insert(CONTENT_DISPOSITION, disposition);
        }
        res.stream(self.body.map_err(std::io::Error::other));
    }
}

impl EndpointOutRegister for CsvFile {
    fn register(_components: &mut Components, operation: &mut Operation) {
        let text = Content::new(oapi::Schema::from(oapi::Object::with_type(oapi::BasicType::String)));
        operation.responses.insert("200", oapi::Response::new("OK").add_content("text/csv", text));
    }
}

/// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
pub(crate) struct EventStream(BoxStream<'static, Result<Bytes, std::convert::Infallible>>);

impl EventStream {
    pub(crate) fn new(events: impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static) -> Self {
        Self(events.boxed())
    }

    /// An event whose data is JSON, which has no line breaks.
    pub(crate) fn event(name: &str, data: &impl Serialize) -> Bytes {
        let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
        format!("event: {name}\ndata: {data}\n\n").into()
    }

    /// A comment that keeps the connection.
    pub(crate) fn heartbeat() -> Bytes {
        Bytes::from_static(b": still here\n\n")
    }
}

#[async_trait]
impl Writer for EventStream {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        res.status_code(StatusCode::OK);
        let headers = res.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        // Neither we nor a proxy may gather events to compress them.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        res.stream(self.0);
    }
}

impl EndpointOutRegister for EventStream {
    fn register(_components: &mut Components, operation: &mut Operation) {
        let text = oapi::Object::with_type(oapi::BasicType::String);
        operation.responses.insert("200", oapi::Response::new("Events").add_content("text/event-stream", Content::new(text)));
    }
}
