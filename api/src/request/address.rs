//! Where a request comes from.

use crate::App;
use salvo::{
    Depot, Extractible, Request, Writer,
    conn::SocketAddr,
    extract::Metadata,
    oapi::{Components, EndpointArgRegister, Operation},
};
use std::fmt::Debug;

/// The client's IP address, for limits and the audit log: the connection's, or with `TRUST_FORWARDED_FOR` the one that the
/// proxy next to us saw, the last in `X-Forwarded-For`.
#[derive(Clone, Debug)]
pub(crate) struct ClientAddress(pub String);

impl<'ex> Extractible<'ex> for ClientAddress {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Ok::<_, crate::ApiError>(Self::of(&App::of(depot)?, req))
    }
}

impl ClientAddress {
    pub(crate) fn of(app: &App, req: &Request) -> Self {
        let forwarded = req.headers().get("x-forwarded-for").and_then(|value| value.to_str().ok()).and_then(|list| list.rsplit(',').next());
        let forwarded = forwarded.filter(|_| app.trust_forwarded_for).map(|address| address.trim().to_owned());
        let direct = || match req.remote_addr() {
            SocketAddr::IPv4(address) => address.ip().to_string(),
            SocketAddr::IPv6(address) => address.ip().to_string(),
            _ => "unknown".to_owned(),
        };
        Self(forwarded.unwrap_or_else(direct))
    }
}

impl EndpointArgRegister for ClientAddress {
    fn register(_components: &mut Components, _operation: &mut Operation, _arg: &str) {}
}
