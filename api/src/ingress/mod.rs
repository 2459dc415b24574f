//! Webhooks of providers: verify, hand to the inbox, answer when they are durable. `README.md` has the steps.

mod backlog;
mod batches;
mod channel_owners;
mod channel_secrets;
mod group_commit;
mod inbox;
mod intake;
mod measures;
mod meta_webhook;
mod normalized;
mod parts;
mod seldom;
mod telegram_webhook;
mod writer;

pub(crate) use backlog::Backlog;
pub(crate) use channel_secrets::ChannelSecrets;
pub(crate) use group_commit::GroupCommit;
pub(crate) use inbox::{Inbox, Limits};
pub(crate) use intake::{Intake, LARGEST_KIB};
pub(crate) use measures::Measures;
pub(crate) use meta_webhook::{Handshake, MetaWebhook, Receive};
pub(crate) use seldom::Seldom;
pub(crate) use telegram_webhook::TelegramWebhook;
