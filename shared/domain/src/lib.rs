//! The words Switchboard is written in: ids, channels, messages, statuses. Pure values; no I/O of any kind.

pub mod change;
pub mod channel_event;
pub mod channel_type;
pub mod contact_details;
pub mod delivery_status;
pub mod ids;
pub mod user_role;

pub use change::Change;
pub use channel_event::{
    ChannelEvent, Direction, EventBody, ListedTemplate, Media, MessageEdit, MessageReaction, MessageRevoke, NewMessage, PersonChanged,
    PersonRef, SeenUpTo, StatusUpdate, TemplateStatus, TemplateUpdate,
};
pub use channel_type::{ChannelNaming, ChannelType};
pub use delivery_status::DeliveryStatus;
pub use ids::{
    AgentId, CalendarEventId, ChannelInstanceId, ContactImportId, ConversationId, CustomerId, DocumentId, JobId, MessageId, RawEventId,
    SessionId, TemplateId, TenantId, TicketId, UserId, WorkerId,
};
pub use user_role::UserRole;
