#![doc = include_str!("../README.md")]

pub mod clock;
pub mod config;
pub mod http;
pub mod metrics;
pub mod passwords;
mod process;
pub mod sealing;
pub mod secret;
pub mod telemetry;
pub mod trace_context;

pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{Config, ConfigError, DispatchMode, LogFormat};
pub use sealing::{Sealing, SealingError};
pub use secret::{Secret, SecretUrl};
pub use trace_context::TraceContext;
