#![doc = include_str!("../README.md")]

pub mod clock;
pub mod config;
pub mod metrics;
mod process;
pub mod secret;
pub mod telemetry;
pub mod trace_context;

pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{Config, ConfigError, DispatchMode, LogFormat};
pub use secret::{Secret, SecretUrl};
pub use trace_context::TraceContext;
