//! The providers' side: HTTP.

use super::{
    answers::{self, Answer},
    customers::Customers,
};
use crate::error::{CliError, Doing};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, sync::Arc};
use tokio::net::TcpListener;

/// What we send is small.
const LARGEST: usize = 1024 * 1024;

/// Serves until the process ends.
pub(super) async fn serve(listener: TcpListener, customers: Arc<Customers>, base: String) -> Result<(), CliError> {
    let base: Arc<str> = Arc::from(base);
    loop {
        let (stream, _) = listener.accept().await.doing(|| "taking a connection".to_owned())?;
        let (customers, base) = (customers.clone(), base.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, customers.clone(), base.clone()));
            // A caller that goes away has what it wanted.
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.unwrap_or_default();
        });
    }
}

async fn answer(request: Request<Incoming>, customers: Arc<Customers>, base: Arc<str>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (method, target) = (request.method().as_str().to_owned(), request.uri().to_string());
    let body = Limited::new(request.into_body(), LARGEST).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let Answer { status, content_type, body } = answers::to(&method, &target, &body, &customers, &base);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}
