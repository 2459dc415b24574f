#![doc = include_str!("../README.md")]
//! The modules: one folder per channel, the list of them, and what they share.

mod lenient_json;
mod meta_graph;
pub mod meta_signature;
pub mod normalized;
mod parse_error;
pub mod registry;
pub mod sending;
pub mod whatsapp_cloud;

pub use lenient_json::MAX_ID_BYTES;
pub use parse_error::ParseError;
