//! What handlers take from a request: bodies, queries and path segments, checked, with errors that name the field.

mod address;
mod body;
mod fields;
mod page;
mod patch;
mod path;
mod query;
mod text;

pub(crate) use address::ClientAddress;
pub(crate) use body::{Body, read_limited};
pub(crate) use fields::Fields;
pub(crate) use page::{DEFAULT_LIMIT, MAX_LIMIT, limit, offset};
pub(crate) use patch::Patch;
pub(crate) use path::Path;
pub(crate) use query::Query;
pub(crate) use text::{email, http_url, normalized_phone, parse_uuid};
