//! Fetching addresses that others supply. What they name may be anything, so only public addresses are connected to: every address that a name resolves to is
//! looked at when the connection is made, also after a redirect, so that a name cannot change its mind in between.

use crate::{Secret, http};
use reqwest::{
    Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::LOCATION,
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 3;

/// Fetches what is public, and what the operator has allowed.
#[derive(Clone, Debug)]
pub struct GuardedClient {
    public: reqwest::Client,
    allowed: reqwest::Client,
    /// `host:port`.
    exceptions: Arc<[String]>,
}

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("the address is not an http or https address")]
    NoAddress,
    #[error("the address leads to a private network (SWITCHBOARD_ALLOW_HOSTS lists exceptions)")]
    Private,
    #[error("the address leads on and on")]
    Redirects,
    #[error("the address cannot be reached: {0}")]
    Unreachable(String),
}

impl GuardedClient {
    /// `exceptions`: `host:port` that may be private.
    pub fn new(exceptions: &[String]) -> reqwest::Result<Self> {
        Ok(Self {
            public: http::builder().dns_resolver(Arc::new(PublicOnly)).build()?,
            allowed: http::client()?,
            exceptions: exceptions.iter().map(|host| host.to_ascii_lowercase()).collect(),
        })
    }

    /// GETs `address`. `bearer` is for that address only: a redirect does not get it.
    pub async fn get(&self, address: &str, bearer: Option<&Secret>) -> Result<Response, Refused> {
        let mut url = Url::parse(address).map_err(|_| Refused::NoAddress)?;
        let mut bearer = bearer;
        for _ in 0..=MOST_REDIRECTS {
            let mut request = self.client_for(&url)?.get(url.clone());
            if let Some(token) = bearer {
                request = request.bearer_auth(token.expose());
            }
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let next = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).and_then(|next| url.join(next).ok());
            url = next.ok_or(Refused::NoAddress)?;
            bearer = None;
        }
        Err(Refused::Redirects)
    }

    /// Calls `address` as it is told. Where it leads on is not followed: that is an answer too.
    pub async fn call(&self, method: &str, url: Url, headers: &[(String, String)], json: Option<String>) -> Result<Response, Refused> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| Refused::NoAddress)?;
        let mut request = self.client_for(&url)?.request(method, url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(json) = json {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(json);
        }
        request.send().await.map_err(|error| unreachable(&error))
    }

    /// The client for requests to `url`. It follows no redirects.
    pub fn client_for(&self, url: &Url) -> Result<&reqwest::Client, Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::NoAddress);
        }
        let (host, port) = (url.host_str().ok_or(Refused::NoAddress)?, url.port_or_known_default().unwrap_or_default());
        if self.exceptions.contains(&format!("{}:{port}", host.to_ascii_lowercase())) {
            return Ok(&self.allowed);
        }
        // A literal address is not resolved.
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) if !is_public(address) => Err(Refused::Private),
            _ => Ok(&self.public),
        }
    }
}

fn unreachable(error: &reqwest::Error) -> Refused {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<NothingPublic>().is_some() {
            return Refused::Private;
        }
        source = cause.source();
    }
    let what = if error.is_timeout() { "it takes too long" } else { "the connection failed" };
    Refused::Unreachable(what.to_owned())
}

/// Resolves names to their public addresses.
struct PublicOnly;

#[derive(Debug, thiserror::Error)]
#[error("the name has no public address")]
struct NothingPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NothingPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// False for addresses that are not of the public internet
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let [first, second, ..] = address.segments();
    // Only 2000::/3 is given out; in it are documentation, tunnels that carry IPv4 addresses, and benchmarks.
    let global = first & 0xe000 == 0x2000;
    let special = (first == 0x2001 && (second < 0x0200 || second == 0x0db8)) || first == 0x2002 || (first == 0x3fff && second < 0x1000);
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_public_internet_is_told_from_what_is() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn private_addresses_are_refused_however_they_are_named() {
        let client = GuardedClient::new(&[]).unwrap();
        for address in [
            "http://127.0.0.1:1/x",
            "http://[::1]:1/",
            "http://localhost:1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::ffff:7f00:1]/",
        ] {
            assert!(matches!(client.get(address, None).await, Err(Refused::Private)), "{address}");
        }
        for address in ["ftp://example.com/x", "file:///etc/passwd", "nonsense", ""] {
            assert!(matches!(client.get(address, None).await, Err(Refused::NoAddress)), "{address}");
        }
    }

    #[tokio::test]
    async fn an_exception_is_for_its_host_and_port_and_leads_nowhere_else() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 2_048];
                let read = stream.read(&mut buffer).await.unwrap();
                let leads_on = buffer[..read].starts_with(b"GET /on");
                let head = if leads_on { "302 Found\r\nlocation: http://127.0.0.1:1/secret" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let client = GuardedClient::new(&[format!("127.0.0.1:{port}")]).unwrap();
        assert_eq!(client.get(&format!("http://127.0.0.1:{port}/"), None).await.unwrap().text().await.unwrap(), "ok");
        assert!(matches!(client.get(&format!("http://127.0.0.1:{port}/on"), None).await, Err(Refused::Private)));
    }
}
