//! Reading JSON that may hold anything anywhere: what has the wrong type is absent, and spoils nothing beside it.
//! For all channels; knows no provider.

mod object;
mod raw;
mod readable;

pub(crate) use object::{List, Object, ObjectVisitor, wire_object};
pub use raw::MAX_ID_BYTES;
pub(crate) use raw::Raw;
pub(crate) use readable::Readable;

#[cfg(test)]
mod tests;
