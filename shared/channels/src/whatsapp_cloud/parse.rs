//! A body, taken apart: entries, changes, and what each holds, in order.

use super::{
    OBJECT, message, person, status, templates,
    wire::{Body, Change, Entry, Message, Value},
};
use crate::{
    ParseError,
    events::Events,
    lenient_json::{Raw, Readable},
};
use domain::{ChannelEvent, PersonRef};

/// Everything that a body tells, in its order. Fails only if the body is not a JSON object.
pub fn parse(body: &[u8]) -> Result<Vec<ChannelEvent>, ParseError> {
    let readable = Readable::new(body)?;
    let body: Body<'_> = readable.read()?;
    let mut events = Events::default();
    if let Some(object) = body.object.string().filter(|object| object != OBJECT) {
        events.push_other("object", Some(&object));
        return Ok(events.into_list());
    }
    for (entry, change) in body.entry.iter().flat_map(|entry| entry.changes.iter().map(move |change| (entry, change))) {
        read_change(entry, change, &mut events);
    }
    Ok(events.into_list())
}

fn read_change(entry: &Entry<'_>, change: &Change<'_>, events: &mut Events) {
    let before = events.count();
    let field = change.field.string().unwrap_or_default();
    let number = change.value.metadata.phone_number_id.id();
    events.set_channel(number.or_else(|| templates::account(&field, entry.id)));
    match &*field {
        "messages" => {
            read_messages(&change.value, false, events);
            for status in change.value.statuses.iter() {
                status::read(*status, events);
            }
            if change.value.messages.is_empty() && change.value.errors.is_present() {
                events.push_other("errors", None);
            }
        }
        "smb_message_echoes" => read_messages(&change.value, true, events),
        field if templates::concerns(field) => templates::read(entry.time, &change.value, events),
        _ => {}
    }
    if events.count() == before {
        events.push_other(if field.is_empty() { "unknown" } else { &field }, None);
    }
}

fn read_messages(value: &Value<'_>, are_echoes: bool, events: &mut Events) {
    let elements = if are_echoes { &value.message_echoes } else { &value.messages };
    let messages: Vec<(Raw<'_>, Option<Message<'_>>)> = elements.iter().map(|element| (*element, element.object())).collect();
    let contacts: Vec<PersonRef> = value.contacts.iter().map(person::of_contact).collect();
    let only_contact = match contacts.as_slice() {
        [contact] if have_one_customer(&messages, are_echoes) => Some(contact),
        _ => None,
    };
    let around = message::Around { are_echoes, contacts: person::Contacts::of(&contacts), only_contact, errors: value.errors };
    for (raw, message) in &messages {
        match message {
            Some(message) => message::read(*raw, message, &around, events),
            None => events.push_other("message", Some("not_an_object")),
        }
    }
}

/// Are all these messages from (echoes: to) the same person, as far as they say?
fn have_one_customer(messages: &[(Raw<'_>, Option<Message<'_>>)], are_echoes: bool) -> bool {
    let mut customers = messages.iter().filter_map(|(_, message)| message.as_ref()).map(|message| person::ids(message, are_echoes));
    let first = customers.next();
    customers.all(|customer| Some(customer) == first)
}
