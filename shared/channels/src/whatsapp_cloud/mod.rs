//! WhatsApp Cloud API webhooks. The public face; the shapes are in `wire`, their meaning in `parse` and below.
//!
//! Written from Meta's reference: [webhooks](https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview),
//! [messages](https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages),
//! [echoes](https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_message_echoes) and
//! [user ids](https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids).

mod content;
mod message;
mod parse;
mod person;
mod route;
mod send;
mod status;
mod system;
mod wire;

#[cfg(test)]
mod tests;

use crate::{registry::ChannelKind, sending::Sender};
use domain::{ChannelNaming, ChannelType};

pub use parse::parse;
pub use route::route;

/// Its channels' external id is Meta's `phone_number_id`.
pub const KIND: &str = "whatsapp_cloud";

/// What the registry lists.
pub const CHANNEL: ChannelKind =
    ChannelKind { kind: KIND, naming: ChannelNaming::ExternalId(ChannelType::WhatsApp), by_address: false, route, parse };

/// How its messages are sent.
pub const SENDER: Sender = send::SENDER;

/// The only `object` whose webhooks are WhatsApp's.
/// Others (`page`, `instagram`) may reach the same address if one Meta app subscribes to several products.
const OBJECT: &str = "whatsapp_business_account";
