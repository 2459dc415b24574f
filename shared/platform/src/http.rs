//! The HTTP client for calls to others. Every call has a time limit, and no redirect is followed: where we call is our decision.

use std::time::Duration;

/// For connecting, and for a whole call.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const IDLE_AT_MOST: Duration = Duration::from_secs(15);

/// Makes a client; one is enough for a process.
pub fn client() -> reqwest::Result<reqwest::Client> {
    builder().build()
}

/// TLS needs it, also that of libraries which make clients of their own.
pub(crate) fn install_cryptography() {
    // Whoever is first installs it; one that is installed already does as well.
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap_or_default();
}

/// A client with our time limits, to be completed. Clients begin here, since TLS needs its cryptography installed.
#[expect(clippy::disallowed_methods, reason = "the one place where clients begin")]
pub fn builder() -> reqwest::ClientBuilder {
    install_cryptography();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        // Sooner than servers close them: a connection that is closed while a request is on its way loses the answer.
        .pool_idle_timeout(IDLE_AT_MOST)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
}

/// What went wrong with a call, with its causes. The address is left out: it may be long, or hold a token.
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn https_is_spoken() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let call = tokio::spawn(async move { client().unwrap().get(url).send().await.map(drop) });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut record = [0; 3];
        stream.read_exact(&mut record).await.unwrap();
        assert_eq!(record[..2], [22, 3], "a TLS handshake (RFC 8446, 5.1)");
        drop(stream);
        assert!(call.await.unwrap().is_err());
    }
}
