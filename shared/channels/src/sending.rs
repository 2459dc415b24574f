//! Sending: what a provider is asked, and what its answer means. Values only; whoever sends makes the call.

use crate::pace::Pace;
use chrono::TimeDelta;
use domain::MessageId;
use platform::Secret;
use serde_json::{Value, json};
use std::time::Duration;

/// How a channel sends.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The channel's secret that opens the provider's API.
    pub token: &'static str,
    /// The call that hands over a message, or why there is none.
    pub compose: fn(&Account, &Outgoing) -> Result<Call, Refusal>,
    /// The types of files that take a text along.
    pub captions: &'static [&'static str],
    /// What an answer means: status, `Retry-After` and body.
    pub read: fn(u16, Option<Duration>, &[u8]) -> Answer,
    /// How fast the provider takes them.
    pub pace: Pace,
}

/// Where providers are reached, without a slash at the end.
#[derive(Clone, Debug)]
pub struct ProviderUrls {
    pub meta_graph: String,
    pub telegram: String,
}

/// What a message is sent from.
#[derive(Clone, Debug)]
pub struct Account {
    /// The provider's id of our end.
    pub external_id: String,
    pub token: Secret,
    pub urls: ProviderUrls,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    pub id: MessageId,
    pub to: Recipient,
    /// `text image video audio document template interactive`.
    pub message_type: String,
    /// The text or caption.
    pub content: Option<String>,
    /// `{type, url, filename}`.
    pub media: Option<Value>,
    /// The provider's id of the message that it answers.
    pub reply_to: Option<String>,
    /// What is specific to the type: `{template}`, `{interactive}`.
    pub meta: Value,
    /// How long ago the customer last wrote on the channel, if ever.
    pub since_inbound: Option<TimeDelta>,
    /// A person wrote it, not a bot or a service.
    pub by_person: bool,
}

/// The customer, as far as is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipient {
    /// Digits only: a number that the customer has, perhaps not on this channel.
    pub phone: Option<String>,
    /// The channel's ids of the customer, the newest first.
    pub ids: Vec<String>,
}

/// A POST of JSON.
#[derive(Clone, Debug)]
pub struct Call {
    /// May hold the token, where the provider wants it there.
    pub url: Secret,
    pub bearer: Option<Secret>,
    pub body: Value,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The provider has the message, under this id.
    Accepted { external_id: String },
    /// The provider does not have it.
    Refused(Refusal),
    /// The answer does not tell: the provider may have it, or not.
    Unclear(String),
}

/// Why a provider does not take a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub then: Then,
    /// The provider's code; none: it gave none, or was not asked.
    pub code: Option<i64>,
    /// A sentence for people: what is wrong, and what to do.
    pub reason: String,
    /// What the provider said.
    pub detail: Option<String>,
    /// The customer's new id, if that is what the refusal tells.
    pub moved_to: Option<String>,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Something went wrong with it: again later, a few times.
    Retry,
    /// The provider is away: again later, for as long as it takes.
    Unavailable,
    /// Too fast: again, not before `delay`. `all`: that goes for every message of the channel.
    Wait { delay: Duration, all: bool },
    /// The channel cannot send until somebody sees to its account: this message fails, others wait.
    Reconnect,
    /// This message will never be taken.
    GiveUp,
    /// The customer has another id now, [`Refusal::moved_to`]: again, there.
    Move,
}

impl Refusal {
    /// A message that cannot be handed over as it is.
    pub fn give_up(reason: impl Into<String>) -> Self {
        Self { then: Then::GiveUp, code: None, reason: reason.into(), detail: None, moved_to: None }
    }

    /// As `chat_messages.errors` keeps it, in the shape in which Meta reports errors of messages.
    pub fn errors(&self) -> Value {
        json!([{"code": self.code, "title": self.reason, "message": self.detail}])
    }
}
