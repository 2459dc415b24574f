//! The scenarios: each sets up a lab, does one thing to the product, and reports.

pub mod backlog;
pub mod chats;
pub mod events;
pub mod fair;
pub mod idle;
pub mod knowledge;
pub mod load_only;
pub mod neighbour;
pub mod operators;
pub mod reads;
pub mod rest;
pub mod sends;
pub mod soak;
pub mod storm;
