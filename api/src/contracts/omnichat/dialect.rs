//! The omnichannel inbox writes errors as the WhatsApp business contract does, and what succeeded without an envelope.

pub(super) use crate::contracts::cloud::dialect::{error_body, error_schema};
