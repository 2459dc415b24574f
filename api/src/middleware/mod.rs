//! What requests pass through. Around everything: panics are caught, errors get their body. Around the contracts' routes, but not
//! around webhooks, which are many and small: request ids, a time limit, CORS, compression, ETags.

pub(crate) mod budgets;
mod errors;
mod etag;
pub(crate) mod idempotency;
pub(crate) mod rate_limit;
mod request_id;
mod stack;

pub(crate) use stack::{around, contracts};
