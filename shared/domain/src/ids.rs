//! Ids as newtypes, so that one cannot stand where another belongs.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A tenant: the integer key that leads every tenant-scoped table. `TenantId::NONE` owns what belongs to nobody yet; jobs that
/// several tenants share are in lanes below zero ([`TenantId::shared_lane`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub i32);

impl TenantId {
    /// The owner of jobs for raw events whose channel is not known (yet). No row of `tenants` has it.
    pub const NONE: Self = Self(0);

    /// Batches run side by side best if they do not want the same rows, so tenants are dealt to this many shards.
    pub const SHARDS: i32 = 2;

    /// The shard of a tenant, or of a shared lane.
    pub fn shard(self) -> i32 {
        if self.0 < 0 { -1 - self.0 } else { self.0 % Self::SHARDS }
    }

    /// The lane of jobs that tenants of this one's shard share.
    #[must_use]
    pub fn shared_lane(self) -> Self {
        Self(-1 - self.shard())
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id. Version 7: ids made later sort later, which keeps indexes dense.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

uuid_ids! {
    /// An AI agent (`agents.id`).
    AgentId,
    /// One connection of a tenant to a provider (`channel_instances.id`).
    ChannelInstanceId,
    /// A person who writes to a tenant (`customers.id`).
    CustomerId,
    /// A thread with one customer on one channel (`chat_conversations.id`).
    ConversationId,
    /// One message (`chat_messages.id`).
    MessageId,
    /// One webhook body as it was received (`raw_webhook_events.id`).
    RawEventId,
    /// One unit of background work (`jobs.id`).
    JobId,
    /// A person of a tenant who signs in (`users.id`).
    UserId,
    /// A file that agents shall know (`knowledge_documents.id`).
    DocumentId,
    /// One sign-in, the family of its refresh tokens (`user_sessions.id`).
    SessionId,
    /// A customer's request that somebody works on (`tickets.id`).
    TicketId,
    /// An appointment (`calendar_events.id`).
    CalendarEventId,
    /// A WhatsApp message template (`message_templates.id`).
    TemplateId,
    /// A CSV file of contacts that is taken over (`contact_imports.id`).
    ContactImportId,
    /// One incarnation of a worker process (`job_workers.id`).
    WorkerId,
}
