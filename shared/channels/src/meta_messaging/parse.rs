//! A body, taken apart: entries, and the events of each, in order.

use super::{
    Product,
    message::{self, Around},
    wire::{Body, Edit, Message, Messaging, Reaction, Receipt, Subject},
};
use crate::{
    ParseError,
    events::Events,
    lenient_json::{Raw, Readable},
};
use domain::{ChannelEvent, DeliveryStatus, EventBody, MessageEdit, MessageReaction, PersonRef, SeenUpTo, StatusUpdate};
use std::collections::HashSet;

/// Which of Meta's products a body is of.
pub(crate) fn object(body: &[u8]) -> Option<String> {
    let readable = Readable::new(body).ok()?;
    readable.read::<Subject<'_>>().ok()?.object.text()
}

/// The distinct ids of our ends, in the body's order. Empty if it belongs to another product.
pub(crate) fn route(product: &Product, body: &[u8]) -> Result<Vec<String>, ParseError> {
    let readable = Readable::new(body)?;
    let body: Body<'_> = readable.read()?;
    if body.object.string().is_none_or(|object| object != product.object) {
        return Ok(Vec::new());
    }
    let mut seen = HashSet::new();
    let mut ids = Vec::new();
    for entry in body.entry.iter() {
        let events = entry.messaging.iter().chain(entry.standby.iter()).filter_map(|raw| raw.object::<Messaging<'_>>());
        let named = events.map(|event| business_id(&event, entry.id));
        ids.extend(named.flatten().filter(|id| seen.insert(id.clone())));
    }
    Ok(ids)
}

/// Our end: whom a person wrote to, or who wrote an echo; the entry says it too.
fn business_id(event: &Messaging<'_>, entry: Raw<'_>) -> Option<String> {
    let is_echo = event.message.object::<Message<'_>>().is_some_and(|message| message.is_echo.is_true());
    let named = if is_echo { event.sender.id } else { event.recipient.id };
    named.id().or_else(|| entry.id())
}

/// Everything that a body tells, in its order. Fails only if the body is not a JSON object.
pub(crate) fn parse(product: &Product, body: &[u8]) -> Result<Vec<ChannelEvent>, ParseError> {
    let readable = Readable::new(body)?;
    let body: Body<'_> = readable.read()?;
    let mut events = Events::default();
    if let Some(object) = body.object.string().filter(|object| object != product.object) {
        events.push_other("object", Some(&object));
        return Ok(events.into_list());
    }
    for entry in body.entry.iter() {
        for (list, is_standby) in [(&entry.messaging, false), (&entry.standby, true)] {
            for raw in list.iter() {
                read(product, *raw, entry.id, is_standby, &mut events);
            }
        }
        events.set_channel(entry.id.id());
        for change in entry.changes.iter() {
            events.push_other("changes", change.field.string().as_deref());
        }
    }
    Ok(events.into_list())
}

fn read(product: &Product, raw: Raw<'_>, entry: Raw<'_>, is_standby: bool, events: &mut Events) {
    let Some(event) = raw.object::<Messaging<'_>>() else { return events.push_other("messaging", Some("not_an_object")) };
    events.set_channel(business_id(&event, entry));
    let before = events.count();
    let around = Around { product, event: &event, is_standby };
    if let Some(message) = event.message.object::<Message<'_>>() {
        message::read(event.message, &message, &around, events);
    }
    if event.postback.is_present() {
        message::postback(event.postback, &around, events);
    } else if event.referral.is_present() {
        message::referral(event.referral, &around, events);
    }
    edit(&event, events);
    receipts(&event, events);
    reaction(&event, events);
    if events.count() == before {
        let known = [("optin", event.optin), ("message", event.message)];
        let field = known.iter().find(|(_, part)| part.is_present()).map_or("unknown", |(field, _)| field);
        events.push_other("messaging", Some(field));
    }
}

/// `message_edit` (Instagram).
fn edit(event: &Messaging<'_>, events: &mut Events) {
    let Some(edit) = event.edit.object::<Edit<'_>>() else { return };
    if let Some(target_external_id) = edit.mid.id() {
        let content = edit.text.text();
        let edit = MessageEdit { target_external_id, message_type: "text".to_owned(), content, media: None, at: event.timestamp.moment() };
        events.push(EventBody::Edit(Box::new(edit)));
    }
}

/// `delivery` and `read`: of single messages, or of all up to a moment.
fn receipts(event: &Messaging<'_>, events: &mut Events) {
    for (raw, status) in [(event.delivery, DeliveryStatus::Delivered), (event.read, DeliveryStatus::Read)] {
        let Some(receipt) = raw.object::<Receipt<'_>>() else { continue };
        let named: Vec<String> = receipt.mids.list().into_iter().chain([receipt.mid]).filter_map(Raw::id).collect();
        for external_id in named {
            let at = event.timestamp.moment();
            events.push(EventBody::Status(StatusUpdate { external_id, message_id: None, status, at, errors: None }));
        }
        if let (Some(at), Some(user_id)) = (receipt.watermark.moment(), event.sender.id.id()) {
            let person = PersonRef { phone: None, user_id: Some(user_id), name: None };
            events.push(EventBody::SeenUpTo(SeenUpTo { person, status, at }));
        }
    }
}

/// <https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/message-reactions>
fn reaction(event: &Messaging<'_>, events: &mut Events) {
    let Some(reaction) = event.reaction.object::<Reaction<'_>>() else { return };
    let (Some(target_external_id), Some(by)) = (reaction.mid.id(), event.sender.id.id()) else { return };
    let taken_back = reaction.action.string().is_some_and(|action| action == "unreact");
    let emoji = reaction.emoji.text().or_else(|| reaction.word.text()).filter(|_| !taken_back);
    events.push(EventBody::Reaction(MessageReaction { target_external_id, by, id: None, emoji, at: event.timestamp.moment() }));
}
