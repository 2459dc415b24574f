//! Texts with a form: e-mail addresses, phone numbers, ids.

use uuid::Uuid;

/// True if a JSON text holds the escape `\\u0000`, which Postgres cannot store in a text.
pub(super) fn has_nul_escape(json: &[u8]) -> bool {
    const ESCAPE: &[u8] = b"\\u0000";
    json.windows(ESCAPE.len()).enumerate().any(|(at, window)| {
        window == ESCAPE && json.get(..at).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0
    })
}

/// An http(s) address with a host, of at most 2,048 characters.
pub(crate) fn http_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host() && text.len() <= 2_048).then(|| url.to_string())
}

/// A UUID in its usual form.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    // Only the hyphenated form: others would make several texts of one id.
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_nul_is_found_and_an_escaped_backslash_before_u0000_is_not_one() {
        assert!(has_nul_escape(br#"{"a":"x\u0000"}"#));
        assert!(has_nul_escape(br#"{"a":"x\\\u0000"}"#));
        assert!(!has_nul_escape(br#"{"a":"x\\u0000"}"#));
        assert!(!has_nul_escape(br#"{"a":"u0000"}"#));
    }
}
