//! What a provider's webhook says, in one vocabulary for all channels. Channels produce these; the store writes them.

use crate::{DeliveryStatus, MessageId};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// One thing that happened on a channel, taken from one webhook body.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelEvent {
    /// The provider's id of the tenant's end (WhatsApp Cloud: `phone_number_id`). `None`: the body names none
    /// (for example an account update); such an event is kept in the raw body and writes nothing.
    pub channel_external_id: Option<String>,
    /// Counts the events of one body from 0, in the body's order. The same body always yields the same positions.
    pub position: u32,
    pub body: EventBody,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EventBody {
    /// A message to store: from the customer, from the business's own phone (an echo), or a notice of the system.
    Message(Box<NewMessage>),
    /// A receipt for a message of ours.
    Status(StatusUpdate),
    /// A receipt for all that a person was sent until some moment.
    SeenUpTo(SeenUpTo),
    Edit(Box<MessageEdit>),
    Revoke(MessageRevoke),
    Reaction(MessageReaction),
    /// A person's identity changed (WhatsApp: a new phone number). Comes beside the `Message` that tells of it.
    PersonChanged(PersonChanged),
    /// The provider's verdict on a message template.
    Template(TemplateUpdate),
    /// Kept in the raw event, not a message: account updates, calls, preferences, unknown fields.
    Other {
        field: String,
    },
}

/// What a provider says of a message template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateUpdate {
    /// The provider's id of it.
    pub external_id: String,
    pub name: String,
    pub language: String,
    /// `None`: as before.
    pub status: Option<TemplateStatus>,
    /// Why it is so, for people.
    pub reason: Option<String>,
    /// `MARKETING UTILITY AUTHENTICATION`. `None`: as before.
    pub category: Option<String>,
    /// The latest counts, whatever order they arrive in.
    pub at: Option<DateTime<Utc>>,
}

/// A message template as its provider lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedTemplate {
    pub external_id: String,
    pub name: String,
    pub language: String,
    /// `MARKETING UTILITY AUTHENTICATION`.
    pub category: String,
    pub status: TemplateStatus,
    pub components: Value,
    pub rejected_reason: Option<String>,
}

/// `message_templates.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TemplateStatus {
    Pending,
    Approved,
    Rejected,
    Paused,
    Disabled,
}

impl TemplateStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::Rejected => "REJECTED",
            Self::Paused => "PAUSED",
            Self::Disabled => "DISABLED",
        }
    }
}

/// `chat_messages.direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Inbound,
    Outbound,
    System,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::System => "system",
        }
    }
}

/// The customer's end, as the provider names it. At least one of `phone` and `user_id` is set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct PersonRef {
    /// Digits only, without `+` (WhatsApp's `wa_id`).
    pub phone: Option<String>,
    /// The provider's own id of the person (WhatsApp's business-scoped user id, `US.…`).
    pub user_id: Option<String>,
    /// The name that the person shows.
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    /// The provider's id, unique per channel instance.
    pub external_id: String,
    pub direction: Direction,
    /// True for an echo: a person sent it from the business's own phone.
    pub from_business_phone: bool,
    /// It is an echo that does not tell what we sent ourselves from what others did.
    pub may_be_ours: bool,
    pub person: PersonRef,
    /// `text image video audio document sticker location contacts interactive button order system unsupported`, or
    /// another word of the provider that we do not know.
    pub message_type: String,
    /// What to show: the text, the caption, the title of the button. `None` if there is nothing to read.
    pub content: Option<String>,
    pub media: Option<Media>,
    /// The provider's id of the message that this one answers.
    pub reply_to: Option<String>,
    /// The provider's time (WhatsApp: whole seconds). `None` if absent or not a number.
    pub sent_at: Option<DateTime<Utc>>,
    /// Everything specific to the type (location, contacts, order, interactive reply, referral, errors), else `null`.
    pub meta: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Media {
    /// `image video audio document sticker`, or another word of the provider.
    #[serde(rename = "type")]
    pub kind: String,
    /// The provider's id, with which the file can be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What else the channel tells of it (Telegram: `fileId`, sizes).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StatusUpdate {
    /// The provider's id of the message that it is about.
    pub external_id: String,
    /// Our own id of it, which we gave the provider with the message and it gives back.
    pub message_id: Option<MessageId>,
    pub status: DeliveryStatus,
    pub at: Option<DateTime<Utc>>,
    /// The provider's errors, as it sent them, when `status` is `Failed`.
    pub errors: Option<Value>,
}

/// Everything that was sent to the person until `at` has come that far.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenUpTo {
    pub person: PersonRef,
    /// `Delivered` or `Read`.
    pub status: DeliveryStatus,
    pub at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MessageEdit {
    pub target_external_id: String,
    pub message_type: String,
    pub content: Option<String>,
    pub media: Option<Media>,
    /// The latest edit wins, whatever order they arrive in.
    pub at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MessageRevoke {
    pub target_external_id: String,
    pub at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MessageReaction {
    pub target_external_id: String,
    /// Who reacted: the person's external id, or `business` for an echo. Each has at most one reaction.
    pub by: String,
    /// The provider's id of the reaction itself: tells one seen again from one that is new in the same second.
    pub id: Option<String>,
    /// `None`: the reaction was taken back.
    pub emoji: Option<String>,
    pub at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PersonChanged {
    pub old: PersonRef,
    pub new: PersonRef,
    /// The latest change counts, whatever order they arrive in.
    pub at: Option<DateTime<Utc>>,
}
