#![doc = include_str!("../README.md")]

mod accounts;
pub mod agent_tools;
pub mod context;
pub mod dispatch;
pub mod enqueue;
pub mod error;
pub mod handler;
pub mod job;
pub mod kinds;
pub mod knowledge;
pub mod live;
pub mod policy;
mod provider_call;
pub mod queue;
pub mod thinking;
pub mod together;
pub mod wake;

pub mod close_unfinished;
pub mod connect_channel;
pub mod copy_media;
pub mod expire_override;
pub mod import_contacts;
pub mod ingest_document;
pub mod look_up_profile;
pub mod probe;
pub mod process_webhook;
pub mod resume_webhooks;
pub mod run_auto_reply;
pub mod send_outbound;
pub mod templates;

pub use context::{Agents, Done, JobContext, Services};
pub use enqueue::new_job;
pub use error::JobError;
pub use handler::Handler;
pub use job::{BatchJob, Claimed, Job};
pub use kinds::pausable;
pub use policy::Policy;
