//! What handlers take from a request: bodies, queries and path segments, checked, with errors that name the field.

mod address;
mod body;
mod fields;
mod page;
mod patch;
mod path;
mod query;
mod text;
mod upload;

pub(crate) use address::ClientAddress;
pub(crate) use body::{Body, read_limited};
pub(crate) use domain::contact_details::normalized_phone;
pub(crate) use fields::Fields;
pub(crate) use page::{limit, offset};
pub(crate) use patch::Patch;
pub(crate) use path::{NamedTenant, Path, Segment, TenantSegment, describe_tenant};
pub(crate) use query::Query;
pub(crate) use text::{http_url, parse_uuid};
pub(crate) use upload::{CsvUpload, DocumentUpload};
