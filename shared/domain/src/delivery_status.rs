//! How far a message has come. Statuses only ever move forward, in whatever order receipts arrive.

use serde::{Deserialize, Serialize};

/// `chat_messages.status`. The order of the variants is the order of progress: of two statuses the greater one stays.
///
/// `Failed` lies between `Sent` and `Delivered`: a provider may accept a message and fail it later, but a receipt that it
/// was delivered or read proves that the customer has it. Any order of arrival ends at the same status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Written, not handed to a provider yet.
    Pending,
    /// Being handed to the provider now.
    Sending,
    /// The provider's answer was lost: it may or may not have been sent.
    Unknown,
    /// The provider accepted it.
    Sent,
    /// The provider gave it up.
    Failed,
    /// It reached the customer's device.
    Delivered,
    /// The customer opened it (or played it).
    Read,
    /// It came from the customer.
    Received,
}

impl DeliveryStatus {
    pub const ALL: [Self; 8] =
        [Self::Pending, Self::Sending, Self::Unknown, Self::Sent, Self::Failed, Self::Delivered, Self::Read, Self::Received];

    /// The text stored in `chat_messages.status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Received => "received",
        }
    }

    /// Reads what `as_str` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// What remains when `next` arrives for a message that has `self`.
    #[must_use]
    pub fn advance(self, next: Self) -> Self {
        self.max(next)
    }
}
