//! One JSON value, kept as its text until somebody asks what it is. Reading it as something it is not gives `None`.

use super::{List, Object, ObjectVisitor, readable::without_huge_numbers};
use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};
use std::{borrow::Cow, time::Duration};

/// The longest id that we take over, chosen well below what a Postgres btree entry can hold (about 2,700 bytes, and an index
/// holds a few columns). Known ids of providers are shorter than 150 bytes. A longer one counts as absent.
pub const MAX_ID_BYTES: usize = 512;

/// 2009-01-01, the year WhatsApp began, and 2200-01-01: a time outside is no time of a message.
const PLAUSIBLE_SECONDS: std::ops::Range<u64> = 1_230_768_000..7_258_118_400;

/// The JSON text of a value; empty if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Is there a value, other than `null`?
    pub(crate) fn is_present(self) -> bool {
        !matches!(self.0, "" | "null")
    }

    pub(crate) fn is_true(self) -> bool {
        self.0 == "true"
    }

    pub(crate) fn or(self, other: Self) -> Self {
        if self.is_present() { self } else { other }
    }

    /// A string, also an empty one. Borrowed unless it holds an escape.
    pub(crate) fn string(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') { serde_json::from_str(self.0).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
    }

    /// A string to show. An empty one is nothing to show.
    pub(crate) fn text(self) -> Option<String> {
        self.string().filter(|text| !text.is_empty()).map(Cow::into_owned)
    }

    /// An id: a string that is not empty, or a whole number, whose digits are taken (older versions of Meta's API sent numbers
    /// in some places). Longer than `MAX_ID_BYTES`: none.
    pub(crate) fn id(self) -> Option<String> {
        self.short_text().map(Cow::into_owned).filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES)
    }

    /// Seconds since 1970, as a number or a string of it. `None` if that is not a plausible time.
    pub(crate) fn time(self) -> Option<DateTime<Utc>> {
        let seconds = match self.string() {
            Some(text) => text.parse().ok()?,
            None => self.0.parse().ok()?,
        };
        let seconds = Duration::try_from_secs_f64(seconds).ok()?.as_secs();
        let seconds = Some(seconds).filter(|seconds| PLAUSIBLE_SECONDS.contains(seconds))?;
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
    }

    /// A moment as Meta writes it in several ways: milliseconds or seconds since 1970, or ISO 8601. `None` if that is not a plausible time.
    pub(crate) fn moment(self) -> Option<DateTime<Utc>> {
        /// As seconds this is the year 5138, as milliseconds 1973.
        const LEAST_MILLIS: i64 = 100_000_000_000;
        let text = self.short_text()?;
        let at = match text.parse::<i64>() {
            Ok(millis) if millis >= LEAST_MILLIS => DateTime::from_timestamp_millis(millis)?,
            Ok(seconds) => DateTime::from_timestamp(seconds, 0)?,
            Err(_) => {
                DateTime::parse_from_rfc3339(&text).or_else(|_| DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%z")).ok()?.to_utc()
            }
        };
        u64::try_from(at.timestamp()).is_ok_and(|seconds| PLAUSIBLE_SECONDS.contains(&seconds)).then_some(at)
    }

    /// A whole number, which may be negative.
    pub(crate) fn integer(self) -> Option<i64> {
        self.number()?.parse().ok()
    }

    /// A number, as it is written.
    pub(crate) fn number(self) -> Option<&'a str> {
        Some(self.0).filter(|json| json.starts_with(|first: char| first == '-' || first.is_ascii_digit()))
    }

    /// The value itself, to be kept. `None` for `null`, and for what is nested deeper than serde_json reads (128 levels).
    pub(crate) fn value(self) -> Option<Value> {
        if !self.is_present() {
            return None;
        }
        serde_json::from_str(self.0).or_else(|_| serde_json::from_str(&without_huge_numbers(self.0))).ok()
    }

    /// An object. Its fields must be `Raw`: then no value in it can make it unreadable.
    pub(crate) fn object<T: Object<'a>>(self) -> Option<T> {
        if !self.0.starts_with('{') {
            return None;
        }
        serde::Deserializer::deserialize_any(&mut serde_json::Deserializer::from_str(self.0), ObjectVisitor::new()).ok()
    }

    /// The elements of an array; none if it is not one.
    pub(crate) fn list(self) -> Vec<Raw<'a>> {
        if !self.0.starts_with('[') {
            return Vec::new();
        }
        serde_json::from_str::<List<Raw<'a>>>(self.0).unwrap_or_default().0
    }

    fn short_text(self) -> Option<Cow<'a, str>> {
        let whole_number = !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_digit());
        if whole_number { Some(Cow::Borrowed(self.0)) } else { self.string() }
    }
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(from).map(|raw| Self(raw.get()))
    }
}
