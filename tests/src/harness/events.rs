//! A client of server-sent events, as browsers are one (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use super::{App, PATIENCE};
use serde_json::Value;
use tokio::time::timeout;

/// A response whose events come one by one.
pub(crate) struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    /// Asks for events; any other answer fails the test.
    pub(crate) async fn open(request: reqwest::RequestBuilder) -> Self {
        let response = request.header("accept", "text/event-stream").send().await.expect("the api answers");
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(response.status() == 200 && kind.starts_with("text/event-stream"), "{} {kind}", response.status());
        Self { response, text: String::new() }
    }

    /// The next event; `None` when they are over, or the connection is cut.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let event = field("event: ").map(|event| (event, serde_json::from_str(&field("data: ").unwrap_or_default()).unwrap()));
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("something comes, a heartbeat at least").ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Everything up to the first event of this name, which is returned.
    pub(crate) async fn until(&mut self, name: &str) -> Value {
        loop {
            let (event, data) = self.next().await.unwrap_or_else(|| panic!("the events are over without {name}"));
            if event == name {
                return data;
            }
        }
    }

    /// The rest of it.
    pub(crate) async fn rest(&mut self) -> Vec<(String, Value)> {
        let mut rest = Vec::new();
        while let Some(event) = self.next().await {
            rest.push(event);
        }
        rest
    }
}

impl App {
    /// A client that waits for events as long as they come.
    pub(crate) fn patient_request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let client = platform::http::builder().build().unwrap();
        client.request(method.parse().unwrap(), self.url(path))
    }
}
