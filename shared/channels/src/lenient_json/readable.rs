//! A webhook body, made readable: characters that cannot be stored are replaced once, in the text, before anything is parsed.

use crate::ParseError;
use serde::Deserialize;
use std::{borrow::Cow, cell::OnceCell};

/// The text of a body. Values read from it borrow from it.
pub(crate) struct Readable<'a> {
    text: Cow<'a, str>,
    without_huge_numbers: OnceCell<String>,
}

impl<'a> Readable<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, ParseError> {
        let text = std::str::from_utf8(body)?;
        if !text.trim_ascii_start().starts_with('{') {
            return Err(ParseError::NotAnObject);
        }
        Ok(Self { text: storable(text), without_huge_numbers: OnceCell::new() })
    }

    /// Reads the body. Fails only if it is not JSON.
    pub(crate) fn read<'s, T: Deserialize<'s>>(&'s self) -> Result<T, ParseError> {
        serde_json::from_str(&self.text).or_else(|error| {
            let legible = self.without_huge_numbers.get_or_init(|| without_huge_numbers(&self.text));
            serde_json::from_str(legible).map_err(|_| ParseError::from(error))
        })
    }
}

/// Replaces the escapes of U+0000 and of lone surrogates by U+FFFD. Postgres stores no U+0000 (22P05), and serde_json gives up
/// the whole body at a lone surrogate. Both can only come as `\uXXXX`: raw, they are not JSON or not UTF-8.
pub(super) fn storable(json: &str) -> Cow<'_, str> {
    if !["\\u0000", "\\ud", "\\uD"].iter().any(|suspect| json.contains(suspect)) {
        return Cow::Borrowed(json);
    }
    let mut clean = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.bytes().position(|byte| byte == b'\\')) {
        let start = at + found;
        at = start
            + match utf16_unit(json, start) {
                None => 2,
                Some(0xD800..=0xDBFF) if matches!(utf16_unit(json, start + 6), Some(0xDC00..=0xDFFF)) => 12,
                Some(0 | 0xD800..=0xDFFF) => {
                    clean.push_str(json.get(copied..start).unwrap_or_default());
                    clean.push_str("\\ufffd");
                    copied = start + 6;
                    6
                }
                Some(_) => 6,
            };
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    clean.push_str(json.get(copied..).unwrap_or_default());
    Cow::Owned(clean)
}

/// The number in the `\uXXXX` that starts at `at`, if one does.
fn utf16_unit(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

/// Replaces numbers that no f64 holds (`1e999`) by `null`. They are legal JSON, but serde_json refuses them wherever it looks at
/// one. Rare, so it is done only after a reading has failed.
pub(super) fn without_huge_numbers(json: &str) -> String {
    let mut legible = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find(|first: char| matches!(first, '"' | '-' | '0'..='9')) {
        let (before, token) = rest.split_at(start);
        let end = if token.starts_with('"') { string_end(token) } else { number_end(token) };
        let (token, after) = token.split_at(end);
        let is_huge = !token.starts_with('"') && token.parse::<f64>().is_ok_and(f64::is_infinite);
        legible.push_str(before);
        legible.push_str(if is_huge { "null" } else { token });
        rest = after;
    }
    legible.push_str(rest);
    legible
}

fn number_end(json: &str) -> usize {
    json.find(|next: char| !matches!(next, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(json.len())
}

/// Behind the closing quote of the string that `json` starts with.
fn string_end(json: &str) -> usize {
    let mut bytes = json.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return at + 1,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    json.len()
}
