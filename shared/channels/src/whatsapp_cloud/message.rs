//! One element of `messages` or `message_echoes`: a message, or something done to one (reaction, edit, revoke).

use super::{
    content::{self, Content},
    person, system,
    wire::{Context, Edit, Message, Reaction, Revoke},
};
use crate::{events::Events, lenient_json::Raw};
use chrono::{DateTime, Utc};
use domain::{Direction, EventBody, MessageEdit, MessageReaction, MessageRevoke, NewMessage, PersonRef};
use serde_json::{Map, Value};

/// `MessageReaction::by` of an echo.
const BUSINESS: &str = "business";

/// What a message shares with its neighbours in one change.
pub(super) struct Around<'a> {
    /// `smb_message_echoes`: the business wrote them on its own phone.
    /// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_message_echoes>
    pub(super) are_echoes: bool,
    pub(super) contacts: person::Contacts<'a>,
    pub(super) only_contact: Option<&'a PersonRef>,
    pub(super) errors: Raw<'a>,
}

/// Pushes what the element tells. What is not understood is kept as `unsupported`.
pub(super) fn read(raw: Raw<'_>, message: &Message<'_>, around: &Around<'_>, events: &mut Events) {
    let Some(external_id) = message.id.id() else {
        return events.push_other("message", Some("no_id"));
    };
    let kind = message.kind.string().unwrap_or_default();
    let at = message.timestamp.time();
    if let Some(event) = edit_or_revoke(&kind, message, at) {
        return events.push(event);
    }
    let mut person = customer(message, around);
    if &*kind == "system" && !person::is_identified(&person) {
        person = system::former_self(message);
    }
    if let Some(reaction) = reaction(&kind, message, &person, around.are_echoes, at) {
        return events.push(EventBody::Reaction(reaction));
    }
    if !person::is_identified(&person) {
        return events.push_other("message", Some("no_sender"));
    }
    let notice = if &*kind == "system" && !around.are_echoes { system::notice(message) } else { None };
    let direction = match (&notice, around.are_echoes) {
        (Some(_), _) => Direction::System,
        (None, true) => Direction::Outbound,
        (None, false) => Direction::Inbound,
    };
    let read = notice.or_else(|| content::read(&kind, message)).or_else(|| interactive_lost(&kind, message, around));
    let content = read.unwrap_or_else(|| unsupported(&kind, raw, around));
    let (meta, reply_to) = with_circumstances(content.meta, message);
    events.push(EventBody::Message(Box::new(NewMessage {
        external_id,
        direction,
        from_business_phone: around.are_echoes,
        may_be_ours: false,
        person,
        message_type: content.message_type.to_owned(),
        content: content.text,
        media: content.media,
        reply_to,
        sent_at: at,
        meta,
    })));
    if direction == Direction::System
        && let Some(change) = system::person_changed(message, at)
    {
        events.push(EventBody::PersonChanged(change));
    }
}

/// The person at the other end from the business.
fn customer(message: &Message<'_>, around: &Around<'_>) -> PersonRef {
    let (phone, user_id) = person::ids(message, around.are_echoes);
    let mut customer = person::from_ids(phone, user_id);
    // An echo's contact may be the business itself.
    let is_sender =
        |contact: &&PersonRef| around.are_echoes && person::is_same(contact, &person::from_ids(message.from, message.from_user_id));
    person::complete(&mut customer, &around.contacts, around.only_contact.filter(|contact| !is_sender(contact)));
    customer
}

fn edit_or_revoke(kind: &str, message: &Message<'_>, at: Option<DateTime<Utc>>) -> Option<EventBody> {
    match kind {
        "edit" => {
            let edit: Edit<'_> = message.edit.object()?;
            let new: Message<'_> = edit.message.object()?;
            let content = content::read(&new.kind.string()?, &new)?;
            Some(EventBody::Edit(Box::new(MessageEdit {
                target_external_id: edit.original_message_id.id()?,
                message_type: content.message_type.to_owned(),
                content: content.text,
                media: content.media,
                at,
            })))
        }
        "revoke" => {
            let revoke: Revoke<'_> = message.revoke.object()?;
            Some(EventBody::Revoke(MessageRevoke { target_external_id: revoke.original_message_id.id()?, at }))
        }
        _ => None,
    }
}

/// The user id names the person here if there is one: Meta sends it always, and may stop sending the phone between a reaction and
/// its removal.
fn reaction(kind: &str, message: &Message<'_>, person: &PersonRef, is_echo: bool, at: Option<DateTime<Utc>>) -> Option<MessageReaction> {
    if kind != "reaction" {
        return None;
    }
    let reaction: Reaction<'_> = message.reaction.object()?;
    let by = if is_echo { BUSINESS.to_owned() } else { person.user_id.clone().or_else(|| person.phone.clone())? };
    Some(MessageReaction { target_external_id: reaction.message_id.id()?, by, id: message.id.id(), emoji: reaction.emoji.text(), at })
}

/// A reply that Meta could not put into the webhook comes without its content, with errors on the message or on the change.
fn interactive_lost(kind: &str, message: &Message<'_>, around: &Around<'_>) -> Option<Content> {
    let errors = message.errors.or(around.errors);
    if kind != "interactive" || message.interactive.is_present() || !errors.is_present() {
        return None;
    }
    Some(Content::with_meta("interactive", "errors", errors))
}

fn unsupported(kind: &str, raw: Raw<'_>, around: &Around<'_>) -> Content {
    let mut content = Content::with_meta("unsupported", "raw", raw);
    if !kind.is_empty() {
        content.meta.insert("type".to_owned(), Value::from(kind));
    }
    content.keep("errors", around.errors);
    content
}

/// Adds what any message may carry beside its content. Returns the meta and the message that this one answers.
fn with_circumstances(mut meta: Map<String, Value>, message: &Message<'_>) -> (Value, Option<String>) {
    let context: Context<'_> = message.context.object().unwrap_or_default();
    for (key, value) in [
        ("errors", message.errors),
        ("group_id", message.group_id),
        ("identity", message.identity),
        ("referral", message.referral),
        ("referred_product", context.referred_product),
    ] {
        content::keep(&mut meta, key, value);
    }
    for (key, flag) in [("forwarded", context.forwarded), ("frequently_forwarded", context.frequently_forwarded)] {
        if flag.is_true() {
            meta.insert(key.to_owned(), Value::Bool(true));
        }
    }
    let meta = if meta.is_empty() { Value::Null } else { Value::Object(meta) };
    (meta, context.id.id())
}
