//! An update, taken apart.

use super::{
    update,
    wire::{CallbackQuery, Update},
};
use crate::{
    ParseError,
    events::Events,
    lenient_json::{Raw, Readable},
};
use domain::ChannelEvent;

/// Reads a part of an update, which has this number.
type Read = fn(Raw<'_>, i64, &mut Events);

/// What an update tells. Fails only if it is not a JSON object.
pub fn parse(body: &[u8]) -> Result<Vec<ChannelEvent>, ParseError> {
    let readable = Readable::new(body)?;
    let update: Update<'_> = readable.read()?;
    let mut events = Events::default();
    let id = update.id.integer().unwrap_or(0);
    let parts: [(Raw<'_>, Read); 12] = [
        (update.message, update::message),
        (update.channel_post, update::message),
        (update.business_message, update::message),
        (update.edited_message, update::edit),
        (update.edited_channel_post, update::edit),
        (update.edited_business_message, update::edit),
        (update.deleted_business_messages, update::deleted),
        (update.callback_query, update::callback),
        (update.message_reaction, update::reaction),
        (update.my_chat_member, update::membership),
        (update.chat_member, update::membership),
        (update.chat_join_request, update::join_request),
    ];
    for (raw, read) in parts {
        if raw.is_present() {
            read(raw, id, &mut events);
        }
    }
    if events.count() == 0 {
        events.push_other("update", None);
    }
    Ok(events.into_list())
}

/// The id of the callback query that an update brings: the app shows it as pending until it is answered
/// (<https://core.telegram.org/bots/api#callbackquery>).
pub fn callback_to_answer(body: &[u8]) -> Option<String> {
    let readable = Readable::new(body).ok()?;
    let update: Update<'_> = readable.read().ok()?;
    update.callback_query.object::<CallbackQuery<'_>>()?.id.id()
}
