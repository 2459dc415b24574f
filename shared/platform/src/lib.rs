#![doc = include_str!("../README.md")]

pub mod clock;
pub mod config;
pub mod figures;
pub mod guarded;
pub mod http;
pub mod media_links;
pub mod media_store;
pub mod metrics;
pub mod passwords;
mod process;
pub mod sealing;
pub mod secret;
pub mod signed_links;
pub mod telemetry;
pub mod trace_context;

pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{Config, ConfigError, DispatchMode, LogFormat};
pub use guarded::GuardedClient;
pub use media_links::MediaLinks;
pub use media_store::MediaStore;
pub use sealing::{Sealing, SealingError};
pub use secret::{Secret, SecretUrl};
pub use signed_links::SignedLinks;
pub use trace_context::TraceContext;
