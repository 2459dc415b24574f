//! Fields of a change that may be absent, null, or a value.

use serde::{Deserialize, Deserializer};

/// A field of a PATCH, with `#[serde(default)]`: absent leaves as it is, null clears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Patch<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

impl<T> Patch<T> {
    /// `None`: absent. `Some(None)`: null.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    pub(crate) fn given(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Value(value) => Patch::Value(change(value)),
        }
    }

    /// What it is after the change.
    pub(crate) fn or_before(self, before: Option<T>) -> Option<T> {
        self.given().unwrap_or(before)
    }
}
