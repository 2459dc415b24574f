//! SendOutbound: hands a message to its provider, once.
//!
//! The message is made `sending`, durably, before the call; the call is made outside of any transaction; what became of it is written
//! together with the job's end. A run that finds its message `sending` was preceded by one that died during its call: the
//! answer is lost, the message is `unknown`, and the conversation goes on. It is never sent a second time.

mod lanes;
mod run;
mod statements;
mod throttle;

pub use lanes::Lanes;
pub use statements::Statements;
pub use throttle::Throttle;

use crate::{Done, Job, JobContext, JobError, Policy, new_job, queue};
use domain::{ConversationId, MessageId, TenantId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::ledger::NewJob;

/// Which message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendOutbound {
    pub message_id: MessageId,
}

impl Job for SendOutbound {
    const KIND: &'static str = "send_outbound";
    /// Attempts are for what is wrong with the message; a provider that is away costs none.
    const POLICY: Policy = Policy {
        queue: queue::OUTBOUND.name,
        max_attempts: 8,
        backoff: Duration::from_secs(2),
        max_backoff: Duration::from_mins(5),
        timeout: Duration::from_mins(1),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        Box::pin(run::run(self.message_id, ctx)).await
    }
}

/// The job of a message that was just written. The caller still holds its conversation's lock: messages are sent in the order
/// in which they were written.
pub fn job_for(tenant: TenantId, conversation: ConversationId, message_id: MessageId, trace: Option<&str>) -> NewJob {
    let job = new_job(tenant, &SendOutbound { message_id }, trace);
    NewJob { ordering_key: Some(conversation.to_string()), idempotency_key: Some(message_id.to_string()), ..job }
}
