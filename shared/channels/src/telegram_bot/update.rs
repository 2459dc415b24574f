//! The parts of an update.

use super::{
    content,
    wire::{Button, CallbackQuery, Deleted, Keyboard, Member, Membership, Message, Party, ReactionType, Reactions},
};
use crate::{events::Events, lenient_json::Raw};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Direction, EventBody, MessageEdit, MessageReaction, MessageRevoke, NewMessage, PersonChanged, PersonRef};
use serde_json::{Map, Value, json};

/// Where something happened.
struct Place<'a> {
    chat: Party<'a>,
    /// The chat's id, and the business connection that it is seen through.
    key: String,
}

impl<'a> Place<'a> {
    fn of(chat: Raw<'a>, connection: Raw<'_>) -> Option<Self> {
        let chat: Party<'_> = chat.object()?;
        let id = chat.id.integer()?;
        let key = connection.id().map_or_else(|| id.to_string(), |connection| format!("{connection}:{id}"));
        Some(Self { chat, key })
    }

    fn is_private(&self) -> bool {
        self.chat.kind.string().is_some_and(|kind| kind == "private")
    }

    /// A message's id is its chat's only.
    fn message(&self, id: Raw<'_>) -> Option<String> {
        Some(format!("{}:{}", self.key, id.integer()?))
    }

    fn person(&self) -> PersonRef {
        PersonRef { phone: None, user_id: Some(self.key.clone()), name: content::name_of(&self.chat) }
    }
}

/// Telegram's times are whole seconds, and its updates are numbered in order: the number tells two of one second apart.
fn moment(date: Raw<'_>, update: i64) -> Option<DateTime<Utc>> {
    Some(date.time()? + TimeDelta::milliseconds(update.rem_euclid(1_000)))
}

/// Who spoke in a chat of many, and what a person calls themselves.
fn speaker(message: &Message<'_>, place: &Place<'_>) -> Option<(String, Value)> {
    let from: Party<'_> = message.from.object().or_else(|| message.sender_chat.object())?;
    let mut about = Map::new();
    for (name, value) in [("id", from.id.value()), ("name", content::name_of(&from).map(Value::from)), ("username", from.username.value())]
    {
        if let Some(value) = value {
            about.insert(name.to_owned(), value);
        }
    }
    if place.is_private() && !about.contains_key("username") {
        return None;
    }
    Some(("from".to_owned(), Value::Object(about)))
}

/// `message`, `channel_post`, `business_message`.
pub(super) fn message(raw: Raw<'_>, _update: i64, events: &mut Events) {
    let Some(message) = raw.object::<Message<'_>>() else { return events.push_other("message", Some("not_an_object")) };
    let Some(place) = Place::of(message.chat, message.business_connection_id) else { return events.push_other("message", Some("no_chat")) };
    let Some(external_id) = place.message(message.id) else { return events.push_other("message", Some("no_id")) };
    if message.sender_business_bot.is_present() {
        // Sent for the business by a bot: by us, then it is known, or by another, then it is not ours.
        return events.push_other("business_message", Some("of_a_bot"));
    }
    let id_of = |party: Raw<'_>| party.object::<Party<'_>>().and_then(|party| party.id.integer());
    let from_business =
        message.business_connection_id.is_present() && id_of(message.from).is_some_and(|from| Some(from) != place.chat.id.integer());
    let read = content::read(raw, &message);
    let mut meta = read.meta;
    meta.extend(speaker(&message, &place));
    for (key, value) in
        [("message_thread_id", message.thread_id), ("media_group_id", message.media_group_id), ("forwarded", message.forward_origin)]
    {
        if let Some(value) = value.value() {
            meta.insert(key.to_owned(), value);
        }
    }
    let reply_to = message.answered.object::<Message<'_>>().and_then(|answered| place.message(answered.id));
    let at = message.date.time();
    events.push(EventBody::Message(Box::new(NewMessage {
        external_id,
        direction: match (read.is_notice, from_business) {
            (true, _) => Direction::System,
            (false, true) => Direction::Outbound,
            (false, false) => Direction::Inbound,
        },
        from_business_phone: from_business && !read.is_notice,
        may_be_ours: false,
        person: place.person(),
        message_type: read.message_type,
        content: read.text,
        media: read.media,
        reply_to,
        sent_at: at,
        meta: if meta.is_empty() { Value::Null } else { Value::Object(meta) },
    })));
    migration(&message, &place, at, events);
}

/// A group became a supergroup, which has another id (<https://core.telegram.org/bots/api#message>, `migrate_to_chat_id`). Both chats tell.
fn migration(message: &Message<'_>, place: &Place<'_>, at: Option<DateTime<Utc>>, events: &mut Events) {
    let named = |id: i64| PersonRef { phone: None, user_id: Some(id.to_string()), name: None };
    let (old, new) = match (message.migrate_to_chat_id.integer(), message.migrate_from_chat_id.integer()) {
        (Some(to), _) => (place.person(), named(to)),
        (None, Some(from)) => (named(from), place.person()),
        (None, None) => return,
    };
    events.push(EventBody::PersonChanged(PersonChanged { old, new, at }));
}

/// `edited_message`, `edited_channel_post`, `edited_business_message`.
pub(super) fn edit(raw: Raw<'_>, update: i64, events: &mut Events) {
    let Some(message) = raw.object::<Message<'_>>() else { return events.push_other("edit", Some("not_an_object")) };
    let target = Place::of(message.chat, message.business_connection_id).and_then(|place| place.message(message.id));
    let Some(target_external_id) = target else { return events.push_other("edit", Some("no_id")) };
    let read = content::read(raw, &message);
    events.push(EventBody::Edit(Box::new(MessageEdit {
        target_external_id,
        message_type: read.message_type,
        content: read.text,
        media: read.media,
        at: moment(message.edit_date.or(message.date), update),
    })));
}

/// `deleted_business_messages`.
pub(super) fn deleted(raw: Raw<'_>, _update: i64, events: &mut Events) {
    let Some(deleted) = raw.object::<Deleted<'_>>() else { return events.push_other("deleted", Some("not_an_object")) };
    let Some(place) = Place::of(deleted.chat, deleted.business_connection_id) else { return events.push_other("deleted", Some("no_chat")) };
    for target_external_id in deleted.message_ids.list().into_iter().filter_map(|id| place.message(id)) {
        events.push(EventBody::Revoke(MessageRevoke { target_external_id, at: None }));
    }
}

/// `callback_query`: a button under a message was pressed. Under a message that is no longer known to the bot, it is the person's chat.
pub(super) fn callback(raw: Raw<'_>, _update: i64, events: &mut Events) {
    let Some(query) = raw.object::<CallbackQuery<'_>>() else { return events.push_other("callback_query", Some("not_an_object")) };
    let Some(id) = query.id.id() else { return events.push_other("callback_query", Some("no_id")) };
    let under: Option<Message<'_>> = query.message.object();
    let in_chat = under.as_ref().and_then(|message| Place::of(message.chat, message.business_connection_id));
    let Some(place) = in_chat.or_else(|| Place::of(query.from, Raw::default())) else {
        return events.push_other("callback_query", Some("no_sender"));
    };
    let data = query.data.text();
    let keyboard: Keyboard<'_> = under.as_ref().and_then(|message| message.reply_markup.object()).unwrap_or_default();
    let pressed = |button: &&Button<'_>| data.is_some() && button.data.text() == data;
    let label = keyboard.rows.iter().flat_map(|row| row.iter()).find(pressed).and_then(|button| button.text.text());
    let from: Option<Party<'_>> = query.from.object();
    events.push(EventBody::Message(Box::new(NewMessage {
        external_id: format!("callback:{id}"),
        direction: Direction::Inbound,
        from_business_phone: false,
        may_be_ours: false,
        person: place.person(),
        message_type: "button".to_owned(),
        content: label.or_else(|| data.clone()).or_else(|| query.game_short_name.text()),
        media: None,
        reply_to: under.and_then(|message| place.message(message.id)),
        sent_at: None,
        meta: json!({"callback_query": {"id": id, "data": data, "from": from.and_then(|from| from.id.value())}}),
    })));
}

/// `message_reaction`: all that one person (or a chat, for anonymous admins) has put under a message now.
pub(super) fn reaction(raw: Raw<'_>, update: i64, events: &mut Events) {
    let Some(change) = raw.object::<Reactions<'_>>() else { return events.push_other("message_reaction", Some("not_an_object")) };
    let target = Place::of(change.chat, Raw::default()).and_then(|place| place.message(change.message_id));
    let by = change.user.object::<Party<'_>>().or_else(|| change.actor_chat.object()).and_then(|who| who.id.integer());
    let (Some(target_external_id), Some(by)) = (target, by) else { return events.push_other("message_reaction", Some("no_id")) };
    let first: Option<ReactionType<'_>> = change.new.list().into_iter().find_map(Raw::object);
    let emoji = first.and_then(|first| first.emoji.text().or_else(|| first.custom_emoji_id.text()).or_else(|| first.kind.text()));
    events.push(EventBody::Reaction(MessageReaction {
        target_external_id,
        by: by.to_string(),
        id: Some(update.to_string()),
        emoji,
        at: moment(change.date, update),
    }));
}

/// `my_chat_member`, `chat_member`: somebody's place in a chat changed; in a private chat the person blocked the bot, or let it in again.
pub(super) fn membership(raw: Raw<'_>, update: i64, events: &mut Events) {
    let Some(change) = raw.object::<Membership<'_>>() else { return events.push_other("chat_member", Some("not_an_object")) };
    let Some(place) = Place::of(change.chat, Raw::default()) else { return events.push_other("chat_member", Some("no_chat")) };
    let member: Member<'_> = change.new.object().unwrap_or_default();
    let status = member.status.text().unwrap_or_default();
    let who = member.user.object::<Party<'_>>().as_ref().and_then(content::name_of).unwrap_or_else(|| "Somebody".to_owned());
    let text = match (place.is_private(), status.as_str()) {
        (true, "kicked") => "The person has blocked the bot".to_owned(),
        (true, "member") => "The person has started the bot".to_owned(),
        (_, "kicked") => format!("{who} was removed"),
        (_, "left") => format!("{who} has left"),
        (_, "member") => format!("{who} has joined"),
        (_, other) => format!("{who} is {other} now"),
    };
    notice(&place, update, change.date, text, json!({"event": "chat_member", "status": status}), events);
}

/// `chat_join_request`.
pub(super) fn join_request(raw: Raw<'_>, update: i64, events: &mut Events) {
    let Some(request) = raw.object::<Membership<'_>>() else { return events.push_other("chat_join_request", Some("not_an_object")) };
    let Some(place) = Place::of(request.chat, Raw::default()) else { return events.push_other("chat_join_request", Some("no_chat")) };
    let who = request.from.object::<Party<'_>>().as_ref().and_then(content::name_of).unwrap_or_else(|| "Somebody".to_owned());
    notice(&place, update, request.date, format!("{who} asks to join"), json!({"event": "chat_join_request"}), events);
}

fn notice(place: &Place<'_>, update: i64, date: Raw<'_>, text: String, meta: Value, events: &mut Events) {
    events.push(EventBody::Message(Box::new(NewMessage {
        external_id: format!("update:{update}"),
        direction: Direction::System,
        from_business_phone: false,
        may_be_ours: false,
        person: place.person(),
        message_type: "system".to_owned(),
        content: Some(text),
        media: None,
        reply_to: None,
        sent_at: date.time(),
        meta,
    })));
}
