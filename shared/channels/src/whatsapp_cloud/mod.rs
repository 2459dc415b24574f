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
pub mod templates;
mod wire;

#[cfg(test)]
mod tests;

use crate::{
    media::{File, MediaSource, Place},
    meta_graph,
    registry::ChannelKind,
    sending::{Account, Sender},
};
use domain::{ChannelNaming, ChannelType};
use platform::Secret;
use serde_json::Value;

pub use parse::parse;
pub use route::route;

/// Its channels' external id is Meta's `phone_number_id`. What concerns a template names its account.
pub const KIND: &str = "whatsapp_cloud";

/// What the registry lists.
pub const CHANNEL: ChannelKind =
    ChannelKind { kind: KIND, naming: ChannelNaming::ExternalId(ChannelType::WhatsApp), by_address: false, route, parse };

/// Files are named by an id, which is asked for their address: <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media>.
pub const MEDIA: MediaSource = MediaSource { token: "accessToken", locate };

fn locate(account: &Account, media: &Value) -> Option<Place> {
    let id = media.get("id")?.as_str()?;
    Some(Place::Ask { url: Secret::new(meta_graph::object(&account.urls.meta_graph, id)), bearer: Some(account.token.clone()), read })
}

fn read(account: &Account, answer: &Value) -> Option<File> {
    let url = answer.get("url")?.as_str()?;
    Some(File { url: Secret::new(url), bearer: Some(account.token.clone()), trusted: false })
}

/// How its messages are sent.
pub const SENDER: Sender = send::SENDER;

/// The only `object` whose webhooks are WhatsApp's.
/// Others (`page`, `instagram`) may reach the same address if one Meta app subscribes to several products.
const OBJECT: &str = "whatsapp_business_account";
