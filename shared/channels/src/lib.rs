#![doc = include_str!("../README.md")]
//! The modules: one folder per channel, the list of them, and what they share.

mod events;
pub mod instagram;
mod lenient_json;
pub mod media;
pub mod messenger;
mod meta_graph;
mod meta_messaging;
pub mod meta_signature;
pub mod normalized;
pub mod pace;
mod parse_error;
pub mod profiles;
pub mod registry;
pub mod sending;
pub mod telegram_bot;
pub mod whatsapp_cloud;

pub use lenient_json::MAX_ID_BYTES;
pub use parse_error::ParseError;
