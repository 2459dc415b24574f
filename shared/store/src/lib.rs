#![doc = include_str!("../README.md")]

pub mod agents;
pub mod audit;
pub mod auto_reply;
pub mod calendar_events;
pub mod channel_instances;
pub mod channel_map;
pub mod channels;
pub mod connect;
pub mod contact_imports;
pub mod contacts;
pub mod conversation_cards;
pub mod conversation_lists;
pub mod conversations;
pub mod counts;
pub mod demo;
pub mod error;
pub mod held_events;
pub mod idempotency;
pub mod inbound;
pub mod leader;
pub mod ledger;
pub mod maintenance;
pub mod media;
pub mod messages;
pub mod operator_jobs;
pub mod operator_replay;
pub mod operator_status;
pub mod outbound;
pub mod raw_events;
pub mod realtime;
pub mod sending;
pub mod sessions;
pub mod settings;
pub mod sign_in;
pub mod templates;
pub mod templates_at_meta;
pub mod tenancy;
pub mod tenants;
pub mod tickets;
pub mod users;
pub mod watching;

pub use connect::{OwnConnection, Role, connect, connect_relaxed, migrate, within};
pub use conversation_cards::ConversationCards;
pub use error::StoreError;
pub use sqlx::{PgConnection, PgPool, Postgres, Transaction};
pub use tenancy::{TenantTx, Tenants};

/// A connection of a pool.
pub type PoolConnection = sqlx::pool::PoolConnection<Postgres>;
