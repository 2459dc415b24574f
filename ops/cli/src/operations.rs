//! `switchboard ops ...`: what the pages at /ops show and do, from a shell, through the API at `/api/ops`.

use crate::{console, error::CliError, settings::Settings};
use serde_json::{Map, Value};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum OpsCommand {
    /// Look at something; prints JSON
    ///
    /// overview | history queue=outbound span=1d at=2026-01-31T14:03 | jobs state=dead error=timeout person=+4912345678 | jobs/ID | dead-letters | pauses |
    /// journey q=WHATEVER-IS-KNOWN | webhooks source=whatsapp_cloud state=unroutable | webhooks/ID | acts | acts/ID | audit
    #[command(verbatim_doc_comment)]
    Get {
        path: String,
        /// name=value
        query: Vec<String>,
    },
    /// Do something; prints what was done
    ///
    /// jobs/ID/retry | jobs/ID/discard | jobs/ID/cancel | jobs/ID/snooze seconds=600 | jobs/ID/priority priority=-5 | jobs/ID/edit args='{...}' |
    /// dead-letters/canary fingerprint=F | dead-letters/release fingerprint=F per_second=20 | dead-letters/discard fingerprint=F |
    /// pauses what=queue:outbound | resume what=queue:outbound | webhooks/preview from=T to=T | webhooks/replay from=T to=T per_second=50 | acts/ID/stop;
    /// each with reason='...'
    #[command(verbatim_doc_comment)]
    Do {
        path: String,
        /// name=value; a value that is a number, true, false, a list or an object in JSON counts as that
        fields: Vec<String>,
    },
}

pub(crate) async fn run(command: &OpsCommand, settings: &Settings) -> Result<(), CliError> {
    let token = settings
        .get("ADMIN_TOKEN")
        .ok_or_else(|| CliError::Usage("ADMIN_TOKEN is not set: give the API's, or run ops/up, which makes one".to_owned()))?;
    let http = platform::http::client().map_err(|error| CliError::Usage(format!("the HTTP client cannot be made: {error}")))?;
    let base = format!("http://127.0.0.1:{}", settings.get("PORT").unwrap_or("3000"));
    let base = settings.given("PUBLIC_URL").map_or(base, |url| url.trim_end_matches('/').to_owned());
    let request = match command {
        OpsCommand::Get { path, query } => http.get(format!("{base}/api/ops/{}", path.trim_matches('/'))).query(&pairs(query)?),
        OpsCommand::Do { path, fields } => {
            let body: Map<String, Value> = pairs(fields)?.into_iter().map(|(name, text)| (name.to_owned(), value(text))).collect();
            http.post(format!("{base}/api/ops/{}", path.trim_matches('/'))).json(&body)
        }
    };
    let unreachable = |error: reqwest::Error| CliError::Unreachable {
        name: "the API",
        why: error.to_string(),
        next: format!("is it running at {base}? PORT or PUBLIC_URL says where"),
    };
    let answer = request.header("x-admin-token", token).send().await.map_err(unreachable)?;
    let status = answer.status();
    let body: Value = answer.json().await.map_err(unreachable)?;
    if status.is_success() {
        console::line(&format!("{body:#}"));
        return Ok(());
    }
    Err(CliError::Usage(format!("{status}: {}", body.get("message").and_then(Value::as_str).unwrap_or("the API refused it"))))
}

fn pairs(texts: &[String]) -> Result<Vec<(&str, &str)>, CliError> {
    texts.iter().map(|text| text.split_once('=').ok_or_else(|| CliError::Usage(format!("{text} is not name=value")))).collect()
}

/// A number, a truth, a list or an object, if it is one in JSON; else the text.
fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_texts_unless_they_are_json() {
        let given = ["what=queue:a", "n=5", "args={\"a\":1}", "reason=null", "x=a=b"].map(str::to_owned);
        let fields: Vec<_> = pairs(&given).unwrap().into_iter().map(|(name, text)| (name, value(text))).collect();
        assert_eq!(
            fields,
            [("what", json!("queue:a")), ("n", json!(5)), ("args", json!({"a": 1})), ("reason", json!("null")), ("x", json!("a=b"))]
        );
        pairs(&["nothing".to_owned()]).unwrap_err();
    }
}
