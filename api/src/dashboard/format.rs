//! Figures as people read them.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// Seconds: `0.4 ms`, `12 ms`, `3.2 s`, `5 min`, `3 h`, `9 d`.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 0.01 => format!("{:.1} ms", s * 1000.0),
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// The same; a dash for none.
pub(super) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), seconds)
}

/// A count, its thousands apart.
pub(super) fn count(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    if n < 0 { format!("-{text}") } else { text }
}

/// So many, with the words that one, or any other number, wants: `1 job waits`, `2 jobs wait`.
pub(super) fn many(n: impl TryInto<i64>, one: &str, others: &str) -> String {
    let n: i64 = n.try_into().unwrap_or(i64::MAX);
    format!("{} {}", count(n), if n == 1 { one } else { others })
}

/// Why a message was not sent, as it is stored, in the shape in which Meta reports errors: `Message undeliverable (131026): in detail`.
pub(super) fn refusals(errors: Option<&Value>) -> String {
    let one = |error: &Value| {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let code = error["code"].as_i64().map(|code| format!("({code})"));
        let head: Vec<String> = text(&error["title"]).into_iter().chain(code).collect();
        let detail =
            error.pointer("/error_data/details").and_then(text).or_else(|| text(&error["message"])).filter(|detail| !head.contains(detail));
        let parts: Vec<String> = Some(head.join(" ")).filter(|head| !head.is_empty()).into_iter().chain(detail).collect();
        parts.join(": ")
    };
    match errors {
        Some(Value::Array(errors)) if errors.iter().all(Value::is_object) => errors.iter().map(one).collect::<Vec<_>>().join("; "),
        Some(other) => other.to_string(),
        None => "no reason was kept".to_owned(),
    }
}

/// So many each second.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        r if r <= 0.0 => "0".to_owned(),
        r if r < 10.0 => format!("{r:.1}"),
        r => format!("{r:.0}"),
    }
}

/// A moment, to the second, by UTC.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment within a day, to the millisecond.
pub(super) fn clock(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S%.3f").to_string()
}

/// A job's tenant as people know it.
pub(super) fn tenant(id: i32) -> String {
    match id {
        0 => "none".to_owned(),
        id if id < 0 => "shared".to_owned(),
        id => id.to_string(),
    }
}

/// At most so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut chars = text.chars();
    let cut: String = chars.by_ref().take(most).collect();
    if chars.next().is_some() { format!("{cut}…") } else { cut }
}

/// For a part of a URL's query.
pub(super) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refusals_are_sentences() {
        let told = json!([{"code": 131_026, "title": "Message undeliverable", "message": "Message undeliverable", "error_data": {"details": "in detail"}},
            {"code": null, "title": "It was not sent", "message": null}]);
        assert_eq!(refusals(Some(&told)), "Message undeliverable (131026): in detail; It was not sent");
        let said_twice = json!([{"title": "Message undeliverable", "message": "Message undeliverable"}]);
        assert_eq!(refusals(Some(&said_twice)), "Message undeliverable");
        assert_eq!(refusals(Some(&json!("odd"))), "\"odd\"");
        assert_eq!(refusals(None), "no reason was kept");
    }

    #[test]
    fn figures_are_short_at_every_size() {
        let shown: Vec<String> = [-1.0, 0.0004, 0.25, 3.21, 75.0, 600.0, 36_000.0, 864_000.0].map(seconds).into();
        assert_eq!(shown, ["0.0 ms", "0.4 ms", "250 ms", "3.2 s", "75 s", "10 min", "10 h", "10 d"]);
        assert_eq!([0, 999, 1_000, 1_234_567, -1_000].map(count), ["0", "999", "1 000", "1 234 567", "-1 000"]);
        assert_eq!([0, 1, 1_000].map(|n| many(n, "job waits", "jobs wait")), ["0 jobs wait", "1 job waits", "1 000 jobs wait"]);
        assert_eq!((many(1_u64, "part", "parts"), many(u64::MAX, "part", "parts").ends_with("parts")), ("1 part".to_owned(), true));
        assert_eq!([0.0, 0.25, 9.96, 1234.4].map(rate), ["0", "0.2", "10.0", "1234"]);
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".to_owned(), "abc…".to_owned()));
        assert_eq!(encoded("a:b c&d"), "a%3Ab+c%26d");
    }
}
