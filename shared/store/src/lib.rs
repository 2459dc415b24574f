#![doc = include_str!("../README.md")]

pub mod channel_instances;
pub mod channel_map;
pub mod connect;
pub mod conversations;
pub mod error;
pub mod inbound;
pub mod leader;
pub mod ledger;
pub mod maintenance;
pub mod operator_jobs;
pub mod operator_replay;
pub mod operator_status;
pub mod raw_events;
pub mod tenants;

pub use connect::{OwnConnection, connect, connect_relaxed, migrate, within};
pub use error::StoreError;
pub use sqlx::{PgConnection, PgPool, Postgres, Transaction};
