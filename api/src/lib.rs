#![doc = include_str!("../README.md")]

pub mod app;
mod assets;
mod auth;
mod body;
mod channel_setup;
mod chat;
mod contracts;
mod dashboard;
pub mod error;
mod health;
mod ingress;
mod media;
mod middleware;
mod openapi;
mod outbound;
mod partitions;
mod prelude;
mod realtime;
mod reply;
mod request;
mod routes;
mod state;
mod wire;

pub use app::{Running, StartError, start};
pub use error::ApiError;
pub(crate) use state::App;
