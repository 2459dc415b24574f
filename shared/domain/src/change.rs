//! What changed, for those who watch. It names rows only: whoever shows it reads them as they are then.

use crate::{ChannelInstanceId, ConversationId, MessageId};
use serde::{Deserialize, Serialize};

/// One thing that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// A message is there that was not.
    MessageCreated { message: MessageId },
    /// A message has come further, or not.
    MessageStatus { message: MessageId },
    /// A message says something else: it was edited, revoked or reacted to.
    MessageEdited { message: MessageId },
    /// A conversation is new, or another: its newest message, its state, who has it.
    ConversationUpdated { conversation: ConversationId },
    /// A channel's connection is another.
    ChannelStatus { channel: ChannelInstanceId },
}
