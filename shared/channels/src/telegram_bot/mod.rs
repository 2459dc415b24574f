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
    registry::{ChannelKind, Connector},
    sending::Sender,
};
use domain::ChannelNaming;

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

/// The secret that Telegram sends with every update.
pub const WEBHOOK_SECRET: &str = "webhookSecret";

/// The bot's token.
pub const TOKEN: &str = "botToken";

/// A body names no channel.
fn route(body: &[u8]) -> Result<Vec<String>, ParseError> {
    Readable::new(body).map(|_| Vec::new())
}
