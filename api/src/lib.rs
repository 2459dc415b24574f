#![doc = include_str!("../README.md")]

pub mod app;
pub mod contracts;
pub mod error;
mod health;
mod ingress;
mod middleware;
mod partitions;

pub use app::{Running, StartError, start};
pub use error::ApiError;
