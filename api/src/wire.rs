//! How values look in every contract: times are ISO-8601 in UTC with `Z`.

use chrono::{DateTime, SecondsFormat, Utc};
use salvo::oapi::{BasicType, Components, KnownFormat, Object, RefOr, Schema, SchemaFormat, ToSchema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time: written in UTC with `Z` and milliseconds, read in any offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub DateTime<Utc>);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.with_timezone(&Utc)).filter(|time| in_range(*time));
        time.map(Self).ok_or_else(|| serde::de::Error::custom("must be an ISO-8601 time with an offset, for example 2025-10-29T12:34:56Z"))
    }
}

/// The years that every part of us can store and show.
fn in_range(time: DateTime<Utc>) -> bool {
    (0..253_402_300_800).contains(&time.timestamp())
}

impl ToSchema for Time {
    fn to_schema(_components: &mut Components) -> RefOr<Schema> {
        Object::with_type(BasicType::String).format(SchemaFormat::KnownFormat(KnownFormat::DateTime)).into()
    }
}
