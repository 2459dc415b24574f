//! A body, taken apart: entries, changes, and what each holds, in order.

use super::{
    OBJECT, message, person, status,
    wire::{Body, Change, Message, Value},
};
use crate::{
    ParseError,
    lenient_json::{Raw, Readable},
};
use domain::{ChannelEvent, EventBody, PersonRef};

/// Everything that a body tells, in its order. Fails only if the body is not a JSON object.
pub fn parse(body: &[u8]) -> Result<Vec<ChannelEvent>, ParseError> {
    let readable = Readable::new(body)?;
    let body: Body<'_> = readable.read()?;
    let mut events = Events { list: Vec::new(), channel: None };
    if let Some(object) = body.object.string().filter(|object| object != OBJECT) {
        events.push_other("object", Some(&object));
        return Ok(events.list);
    }
    for change in body.entry.iter().flat_map(|entry| entry.changes.iter()) {
        read_change(change, &mut events);
    }
    Ok(events.list)
}

/// The events so far, and the channel that the next ones belong to.
pub(super) struct Events {
    list: Vec<ChannelEvent>,
    channel: Option<String>,
}

impl Events {
    pub(super) fn push(&mut self, body: EventBody) {
        let position = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(ChannelEvent { channel_external_id: self.channel.clone(), position, body });
    }

    /// What is kept in the raw event only: `field`, or `field:detail`.
    pub(super) fn push_other(&mut self, field: &str, detail: Option<&str>) {
        /// Longer than any word of Meta's; it is shown and counted by.
        const MAX_CHARS: usize = 64;
        let field = field.chars().take(MAX_CHARS);
        let field = match detail {
            Some(detail) => field.chain([':']).chain(detail.chars().take(MAX_CHARS)).collect(),
            None => field.collect(),
        };
        self.push(EventBody::Other { field });
    }
}

fn read_change(change: &Change<'_>, events: &mut Events) {
    let before = events.list.len();
    let field = change.field.string().unwrap_or_default();
    events.channel = change.value.metadata.phone_number_id.id();
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
        _ => {}
    }
    if events.list.len() == before {
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
