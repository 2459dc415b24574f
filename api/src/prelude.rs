//! What every handler needs.

pub(crate) use crate::{
    ApiError, App,
    auth::{Admin, Caller, Member},
    middleware::idempotency::{Begun, RequestKey},
    reply::{Accepted, Created, NoContent, Ok200},
    request::{Body, Fields, Patch, Path, Query},
    wire::Time,
};
// `Writer` is named by what `endpoint` expands to.
pub(crate) use salvo::{
    Writer,
    oapi::{ToParameters, ToSchema, endpoint},
};
pub(crate) use serde::{Deserialize, Serialize};
