//! What changed, for those who watch. It names rows: whoever shows them reads them as they are then.

use crate::{ChannelInstanceId, ConversationId, DeliveryStatus, MessageId};
use serde::{Deserialize, Deserializer, Serialize};

/// One thing that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// A message is there that was not.
    MessageCreated { message: MessageId },
    /// A message has come further, or not.
    MessageStatus {
        message: MessageId,
        /// How far, for operators who ask later. `None`: the version before does not say it, or a later one has a word of its own.
        #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
        status: Option<DeliveryStatus>,
    },
    /// A message says something else: it was edited, revoked or reacted to.
    MessageEdited { message: MessageId },
    /// A conversation is new, or another: its newest message, its state, who has it.
    ConversationUpdated { conversation: ConversationId },
    /// A channel's connection is another.
    ChannelStatus { channel: ChannelInstanceId },
}

/// A status that is not known here does not keep the change from being told.
fn known<'de, D: Deserializer<'de>>(status: D) -> Result<Option<DeliveryStatus>, D::Error> {
    Ok(Option::<String>::deserialize(status)?.as_deref().and_then(DeliveryStatus::parse))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_moved_status_is_read_from_versions_that_do_not_say_it_and_from_later_ones() {
        let message = MessageId::generate();
        let read = |event| serde_json::from_value::<Change>(event).unwrap();
        let moved = |status| Change::MessageStatus { message, status };
        let without = json!({"kind": "message_status", "message": message});
        assert_eq!((read(without.clone()), serde_json::to_value(moved(None)).unwrap()), (moved(None), without));
        for status in DeliveryStatus::ALL {
            let event = json!({"kind": "message_status", "message": message, "status": status.as_str()});
            assert_eq!((read(event.clone()), serde_json::to_value(moved(Some(status))).unwrap()), (moved(Some(status)), event));
        }
        assert_eq!(read(json!({"kind": "message_status", "message": message, "status": "framed"})), moved(None));
        // What a version does not know of an event, it leaves.
        assert_eq!(read(json!({"kind": "message_edited", "message": message, "by": "x"})), Change::MessageEdited { message });
    }
}
