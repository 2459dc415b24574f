//! Webhooks of providers: verify, hand to the inbox, answer when they are durable. `README.md` has the steps.

mod backlog;
mod batches;
mod channel_owners;
mod group_commit;
mod inbox;
mod measures;
mod meta_webhook;
mod normalized;
mod parts;
mod seldom;
mod writer;

pub(crate) use backlog::Backlog;
pub(crate) use group_commit::GroupCommit;
pub(crate) use inbox::{Inbox, Limits};
pub(crate) use measures::Measures;
pub(crate) use meta_webhook::{Handshake, LARGEST_KIB, MetaWebhook, Receive};
pub(crate) use seldom::Seldom;
