//! Meta's Graph API: its address, and its errors
//! (<https://developers.facebook.com/docs/graph-api/guides/error-handling>).

use crate::sending::{Answer, Refusal, Then};
use serde_json::Value;
use std::time::Duration;

/// The version that the shapes here are of.
const VERSION: &str = "v23.0";

/// The address of an object's edge.
pub(crate) fn edge(base: &str, object: &str, edge: &str) -> String {
    format!("{base}/{VERSION}/{object}/{edge}")
}

/// The address of an object.
pub(crate) fn object(base: &str, object: &str) -> String {
    // Ids of Meta are digits; another could lead elsewhere.
    let object: String = object.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{base}/{VERSION}/{object}")
}

/// The address of some fields of an object.
pub(crate) fn fields(base: &str, id: &str, fields: &str) -> String {
    format!("{}?fields={fields}", object(base, id))
}

/// What a code means: what to do, and a sentence for people.
pub(crate) type Meaning = (Then, &'static str);

const ACCOUNT: &str = "Meta does not accept the channel's access token, or no longer lets it send: give the channel a new token";
const BUSY: &str = "Meta could not take the message just now";
const TOO_FAST: &str = "More messages were sent than Meta allows at once";

/// The whole channel waits so many seconds.
pub(crate) const fn wait(seconds: u64) -> Then {
    Then::Wait { delay: Duration::from_secs(seconds), all: true }
}

/// Codes that mean the same in all of Meta's products.
fn common(code: i64) -> Option<Meaning> {
    Some(match code {
        0 | 3 | 10 | 102 | 190 | 200..=299 => (Then::Reconnect, ACCOUNT),
        1 | 2 => (Then::Unavailable, BUSY),
        4 | 17 | 32 | 613 => (wait(60), TOO_FAST),
        368 => (Then::Reconnect, "Meta has blocked the business for breaking a policy: see its account quality page"),
        _ => return None,
    })
}

/// Reads an answer. `accepted` finds the message's id in the body of a good one; `meaning` knows a product's own codes and subcodes.
pub(crate) fn read(
    (status, retry_after, body): (u16, Option<Duration>, &[u8]),
    accepted: fn(&Value) -> Option<&str>,
    meaning: fn(i64, i64) -> Option<Meaning>,
) -> Answer {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if (200..300).contains(&status) {
        return match accepted(&body) {
            Some(id) => Answer::Accepted { external_id: id.to_owned() },
            None => Answer::Unclear(format!("HTTP {status} without the id of a message")),
        };
    }
    let Some(code) = body.pointer("/error/code").and_then(Value::as_i64) else {
        return without_code(status, retry_after);
    };
    let said = |place: &str| body.pointer(place).and_then(Value::as_str).map(str::to_owned);
    let detail = said("/error/error_data/details").or_else(|| said("/error/error_user_msg")).or_else(|| said("/error/message"));
    let is_transient = body.pointer("/error/is_transient").and_then(Value::as_bool).unwrap_or(false);
    let subcode = body.pointer("/error/error_subcode").and_then(Value::as_i64).unwrap_or(0);
    let (then, reason) = meaning(code, subcode).or_else(|| common(code)).unwrap_or(match status {
        _ if is_transient => (Then::Unavailable, BUSY),
        429 => (wait(30), TOO_FAST),
        401 => (Then::Reconnect, ACCOUNT),
        500.. => (Then::Unavailable, BUSY),
        _ => (Then::GiveUp, "Meta does not take this message"),
    });
    let then = match (then, retry_after) {
        (Then::Wait { delay, all }, Some(asked)) => Then::Wait { delay: delay.max(asked), all },
        (then, _) => then,
    };
    Answer::Refused(Refusal { then, code: Some(code), reason: reason.to_owned(), detail, moved_to: None })
}

/// An answer of something in between, or of a broken server.
fn without_code(status: u16, retry_after: Option<Duration>) -> Answer {
    let (then, reason) = match status {
        429 => (Then::Wait { delay: retry_after.unwrap_or(Duration::from_secs(30)), all: true }, TOO_FAST),
        // Not even begun, by its definition (RFC 9110, 15.6.4).
        503 => (retry_after.map_or(Then::Unavailable, |delay| Then::Wait { delay, all: true }), BUSY),
        401 => (Then::Reconnect, ACCOUNT),
        400..=499 => (Then::GiveUp, "Meta does not take this message"),
        _ => return Answer::Unclear(format!("HTTP {status} that does not say whether the message was taken")),
    };
    Answer::Refused(Refusal { then, code: None, reason: reason.to_owned(), detail: Some(format!("HTTP {status}")), moved_to: None })
}
