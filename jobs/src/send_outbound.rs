//! Handing a message to its provider. Until a channel can send, these jobs wait in their queue: no worker serves it, so they
//! cost nothing and do not die.

use crate::{Policy, enqueue::of_kind};
use domain::{ConversationId, MessageId, TenantId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::ledger::NewJob;

/// The queue of messages to send.
pub const QUEUE: &str = "outbound";

/// The job's kind. Never changes.
pub const KIND: &str = "send_outbound";

const POLICY: Policy = Policy {
    queue: QUEUE,
    max_attempts: 8,
    backoff: Duration::from_secs(2),
    max_backoff: Duration::from_mins(5),
    timeout: Duration::from_mins(1),
};

/// Which message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendOutbound {
    pub message_id: MessageId,
}

/// The job of a message that was just written. The caller still holds its conversation's lock: messages are sent in the order
/// in which they were written.
pub fn job_for(tenant: TenantId, conversation: ConversationId, message_id: MessageId, trace: Option<&str>) -> NewJob {
    let job = of_kind(KIND, &POLICY, tenant, &SendOutbound { message_id }, trace);
    NewJob { ordering_key: Some(conversation.to_string()), idempotency_key: Some(message_id.to_string()), ..job }
}
