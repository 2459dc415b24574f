//! Calling an address that a tenant has set up. Arguments go into `{name}` in the address, else into the query of a GET or the JSON body of others.

use platform::{GuardedClient, Secret};
use reqwest::Url;
use serde_json::{Map, Value};
use std::{collections::HashMap, time::Duration};

/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// More of an answer is not read, and a model is shown less.
const MOST_BYTES: usize = 256 * 1024;
const MOST_CHARS: usize = 16_000;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Does the address only take the call, and answer it later?
pub(super) fn is_asynchronous(config: &Value) -> bool {
    config.get("asynchronous").and_then(Value::as_bool).unwrap_or(false)
}

/// What is wrong with a configuration, if anything is: `{url, method?, headers?, asynchronous?}`.
pub fn check_config(config: &Value) -> Result<(), String> {
    let Some(config) = config.as_object() else { return Err("must be an object".to_owned()) };
    if let Some(name) = config.keys().find(|name| !["url", "method", "headers", "asynchronous"].contains(&name.as_str())) {
        return Err(format!("has no member {name}: it is {{url, method, headers, asynchronous}}"));
    }
    if config.get("asynchronous").is_some_and(|value| !value.is_boolean()) {
        return Err("needs asynchronous to be true or false".to_owned());
    }
    let url = config.get("url").and_then(Value::as_str).unwrap_or_default();
    // A placeholder may stand anywhere behind the host.
    let host_is_fixed =
        url.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).is_some_and(|host| !host.contains(['{', '}']));
    let is_good = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_good || !host_is_fixed || url.len() > 2_048 {
        return Err("needs url, an http or https address whose host has no placeholder".to_owned());
    }
    let method = config.get("method").map_or(Some("GET"), Value::as_str).unwrap_or_default();
    if !METHODS.contains(&method.to_ascii_uppercase().as_str()) {
        return Err(format!("needs method to be one of {}", METHODS.join(", ")));
    }
    let headers = config.get("headers").map_or(Some(&Map::new()), Value::as_object).cloned();
    let headers = headers.ok_or_else(|| "needs headers to be an object of texts".to_owned())?;
    for (name, value) in &headers {
        let name_is_good = reqwest::header::HeaderName::try_from(name.as_str()).is_ok();
        let value_is_good = value.as_str().is_some_and(|value| reqwest::header::HeaderValue::try_from(value).is_ok());
        if !name_is_good || !value_is_good {
            return Err(format!("has a header that cannot be sent: {name}"));
        }
    }
    Ok(())
}

/// A call that is to be made.
#[derive(Debug)]
pub(super) struct HttpCall<'a> {
    pub config: &'a Value,
    pub secrets: &'a HashMap<String, Secret>,
    pub arguments: &'a Value,
    /// Makes a repetition harmless where the other side honours it.
    pub key: &'a str,
    /// Where the other side answers later, if it does: told as `X-Callback-Url`, and as `callback_url` in a body.
    pub callback: Option<&'a str>,
}

impl HttpCall<'_> {
    /// What the other side says.
    pub(super) async fn make(&self, http: &GuardedClient) -> Result<String, String> {
        let text = |name: &str| self.config.get(name).and_then(Value::as_str).unwrap_or_default();
        let method = if text("method").is_empty() { "GET".to_owned() } else { text("method").to_ascii_uppercase() };
        let mut rest = self.arguments.as_object().cloned().unwrap_or_default();
        let mut url = address(text("url"), &mut rest)?;
        let sends_body = !matches!(method.as_str(), "GET" | "DELETE");
        if !sends_body && !rest.is_empty() {
            let mut query = url.query_pairs_mut();
            for (name, value) in &rest {
                query.append_pair(name, &plain(value));
            }
        }
        let mut headers = vec![("idempotency-key".to_owned(), self.key.to_owned())];
        for (name, value) in self.config.get("headers").and_then(Value::as_object).into_iter().flatten() {
            headers.push((name.clone(), with_secrets(value.as_str().unwrap_or_default(), self.secrets)));
        }
        if let Some(callback) = self.callback {
            headers.push(("x-callback-url".to_owned(), callback.to_owned()));
            rest.insert("callback_url".to_owned(), Value::from(callback));
        }
        let body = sends_body.then(|| Value::Object(rest).to_string());
        let calling = async {
            let mut response = http.call(&method, url, &headers, body).await.map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|_| "the answer broke off".to_owned())? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() > MOST_BYTES {
                    break;
                }
            }
            let said: String = String::from_utf8_lossy(&bytes).chars().take(MOST_CHARS).collect();
            Ok(format!("HTTP {status}\n{said}").replace('\0', ""))
        };
        tokio::time::timeout(PATIENCE, calling).await.unwrap_or_else(|_| Err("it takes too long".to_owned()))
    }
}

/// With its placeholders filled, each as one segment or value: an argument cannot lead elsewhere.
fn address(template: &str, arguments: &mut Map<String, Value>) -> Result<Url, String> {
    let mut address = template.to_owned();
    let names: Vec<String> = arguments.keys().filter(|name| template.contains(&format!("{{{name}}}"))).cloned().collect();
    for name in names {
        let value = arguments.remove(&name).map(|value| plain(&value)).unwrap_or_default();
        if matches!(value.as_str(), "." | "..") {
            return Err(format!("{name} cannot be {value}"));
        }
        address = address.replace(&format!("{{{name}}}"), &encoded(&value));
    }
    if address.contains('{') {
        return Err("an argument that the address needs is missing".to_owned());
    }
    Url::parse(&address).map_err(|_| "the address is not one".to_owned())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Percent-encoded, but for what is unreserved (<https://www.rfc-editor.org/rfc/rfc3986#section-2.3>).
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn with_secrets(text: &str, secrets: &HashMap<String, Secret>) -> String {
    secrets.iter().fold(text.to_owned(), |text, (name, secret)| text.replace(&format!("{{{{{name}}}}}"), secret.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_configuration_names_where_and_how() {
        for good in [
            json!({"url": "https://example.com/orders/{order}"}),
            json!({"url": "https://example.com", "method": "post", "headers": {"authorization": "Bearer {{key}}"}}),
        ] {
            assert_eq!(check_config(&good), Ok(()), "{good}");
        }
        for bad in [
            json!({}),
            json!([]),
            json!({"url": "example.com"}),
            json!({"url": "file:///etc/passwd"}),
            json!({"url": "https://{host}/x"}),
            json!({"url": "https://example.com", "method": "BREW"}),
            json!({"url": "https://example.com", "headers": {"a b": "x"}}),
            json!({"url": "https://example.com", "headers": {"a": "x\ny"}}),
            json!({"url": "https://example.com", "body": {}}),
            json!({"url": "https://example.com", "asynchronous": "yes"}),
        ] {
            assert!(check_config(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn arguments_stay_where_they_are_put() {
        let mut arguments = json!({"order": "7/../../admin?x=1", "color": "red"}).as_object().unwrap().clone();
        let url = address("https://example.com/orders/{order}", &mut arguments).unwrap();
        assert_eq!(url.as_str(), "https://example.com/orders/7%2F..%2F..%2Fadmin%3Fx%3D1");
        assert_eq!(arguments.keys().collect::<Vec<_>>(), ["color"]);
        assert!(address("https://example.com/{order}", &mut Map::new()).is_err());
        let mut up = json!({"order": ".."}).as_object().unwrap().clone();
        assert!(address("https://example.com/orders/{order}", &mut up).is_err());
        let secrets = HashMap::from([("key".to_owned(), Secret::new("s3cret".to_owned()))]);
        assert_eq!(with_secrets("Bearer {{key}} {{other}}", &secrets), "Bearer s3cret {{other}}");
    }
}
