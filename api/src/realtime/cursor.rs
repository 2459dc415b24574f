//! How far a client has come: the changes of one transaction, and how many of them it has seen.

use std::{fmt, str::FromStr};
use store::realtime::Position;

/// A client's place; its text is opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last row of which something was seen.
    pub(super) row: Position,
    /// How many of its changes were seen whole. `None`: all.
    pub(super) seen: Option<usize>,
}

impl Cursor {
    pub(super) fn after(row: Position) -> Self {
        Self { row, seen: None }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seen {
            Some(seen) => write!(f, "{}.{seen}", self.row),
            None => self.row.fmt(f),
        }
    }
}

impl FromStr for Cursor {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((row, seen)) => Ok(Self { row: row.parse()?, seen: Some(seen.parse()?) }),
            None => Ok(Self { row: text.parse()?, seen: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_wrote() {
        for text in ["12-7", "12-7.0", "12-7.31"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for bad in ["", "x", "12", "12-7.", "12-7.x"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
