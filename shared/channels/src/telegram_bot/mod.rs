//! Telegram bots: their updates, and sending by the [Bot API](https://core.telegram.org/bots/api).
//!
//! A chat is the customer: a private chat is one person (its id is theirs), a group or a channel is one customer with many voices, so that
//! an answer goes where the question was asked. A chat that the bot handles for a business account ([business
//! connections](https://core.telegram.org/bots/api#businessconnection)) is `{connection}:{chat}`.

mod content;
mod parse;
mod send;
mod update;
mod wire;

#[cfg(test)]
mod tests;

use crate::{
    ParseError,
    lenient_json::Readable,
    media::{File, MediaSource, Place},
    registry::{ChannelKind, Connector},
    sending::{Account, Sender},
};
use domain::ChannelNaming;
use platform::Secret;
use serde_json::Value;

pub use parse::{callback_to_answer, parse};

/// Its webhooks come to an address of each channel, since an update does not name its bot.
pub const KIND: &str = "telegram_bot";

/// What the registry lists.
pub const CHANNEL: ChannelKind = ChannelKind { kind: KIND, naming: ChannelNaming::InstanceId, by_address: true, route, parse };

/// How its messages are sent.
pub const SENDER: Sender = send::SENDER;

/// How its webhooks are asked for.
pub const CONNECTOR: Connector = Connector {
    token: TOKEN,
    secret: WEBHOOK_SECRET,
    path: "/api/telegram/bot/webhook",
    call: send::set_webhook,
    read: send::webhook_was_set,
};

/// Files are named by an id, which is asked for their path: <https://core.telegram.org/bots/api#getfile>. Up to 20 MB.
pub const MEDIA: MediaSource = MediaSource { token: TOKEN, locate };

fn locate(account: &Account, media: &Value) -> Option<Place> {
    let id: String = media.get("id")?.as_str()?.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    let url = format!("{}/bot{}/getFile?file_id={id}", account.urls.telegram, account.token.expose());
    Some(Place::Ask { url: Secret::new(url), bearer: None, read })
}

fn read(account: &Account, answer: &Value) -> Option<File> {
    let path = answer.pointer("/result/file_path")?.as_str()?;
    let url = format!("{}/file/bot{}/{path}", account.urls.telegram, account.token.expose());
    Some(File { url: Secret::new(url), bearer: None, trusted: true })
}

/// The secret that Telegram sends with every update.
pub const WEBHOOK_SECRET: &str = "webhookSecret";

/// The bot's token.
pub const TOKEN: &str = "botToken";

/// A body names no channel.
fn route(body: &[u8]) -> Result<Vec<String>, ParseError> {
    Readable::new(body).map(|_| Vec::new())
}
