//! Making a provider's call, and telling an answer that was lost from a call that never reached anybody.

use channels::sending::Call;
use platform::Secret;
use std::time::Duration;

/// More of an answer than this is not read.
const LONGEST_ANSWER: usize = 256 * 1024;

/// What came back: status, `Retry-After` in seconds, body.
pub(crate) type Response = (u16, Option<Duration>, Vec<u8>);

/// Nothing came back.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The provider was not reached, so it has nothing.
    Before(String),
    /// It may have the message.
    After(String),
}

impl Lost {
    /// What happened, where it does not matter which.
    pub(crate) fn what(self) -> String {
        match self {
            Self::Before(what) | Self::After(what) => what,
        }
    }
}

/// POSTs a call.
pub(crate) async fn make(http: &reqwest::Client, call: &Call) -> Result<Response, Lost> {
    send(http.post(call.url.expose()).json(&call.body), call.bearer.as_ref()).await
}

/// GETs an address.
pub(crate) async fn get(http: &reqwest::Client, url: &str, bearer: Option<&Secret>) -> Result<Response, Lost> {
    send(http.get(url), bearer).await
}

/// DELETEs what is at an address.
pub(crate) async fn delete(http: &reqwest::Client, url: &str, bearer: &Secret) -> Result<Response, Lost> {
    send(http.delete(url), Some(bearer)).await
}

async fn send(mut request: reqwest::RequestBuilder, bearer: Option<&Secret>) -> Result<Response, Lost> {
    if let Some(token) = bearer {
        request = request.bearer_auth(token.expose());
    }
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= LONGEST_ANSWER => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(Lost::After("the answer is too long to be one".to_owned())),
            Ok(None) => return Ok((status, retry_after.map(Duration::from_secs), body)),
            Err(error) => return Err(lost(error)),
        }
    }
}

fn lost(error: reqwest::Error) -> Lost {
    let before = error.is_connect() || error.is_builder();
    let text = platform::http::describe(error);
    if before { Lost::Before(text) } else { Lost::After(text) }
}
