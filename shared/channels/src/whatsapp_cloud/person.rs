//! Who a message is from, or, for an echo, to. Two ids are one person's only if Meta gives them in one element.
//!
//! Since 2026 a person may hide the phone number behind a username: then only the business-scoped user id is sent (`US.…`), see
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids>.

use super::wire::{Contact, Message};
use crate::lenient_json::Raw;
use domain::PersonRef;
use std::collections::HashMap;

/// An element of `contacts`. A profile without a name shows its username.
pub(super) fn of_contact(contact: &Contact<'_>) -> PersonRef {
    let name = contact.profile.name.text().or_else(|| contact.profile.username.text());
    PersonRef { name, ..from_ids(contact.wa_id, contact.user_id) }
}

/// The ids that a message gives of the customer: (phone, user id).
pub(super) fn ids<'a>(message: &Message<'a>, is_echo: bool) -> (Raw<'a>, Raw<'a>) {
    if is_echo { (message.to, message.to_user_id) } else { (message.from, message.from_user_id) }
}

/// A person by the ids alone. What stands for the phone may be a user id too: it is a phone only if it is all digits.
pub(super) fn from_ids(phone: Raw<'_>, user_id: Raw<'_>) -> PersonRef {
    let mut person = PersonRef { user_id: user_id.id(), ..PersonRef::default() };
    if let Some(id) = phone.id() {
        let digits = id.strip_prefix('+').unwrap_or(&id);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            person.phone = Some(digits.to_owned());
        } else if id != "+" && person.user_id.is_none() {
            person.user_id = Some(id);
        }
    }
    person
}

/// The contacts of one change by their ids: a body may hold thousands of them, and of messages.
pub(super) struct Contacts<'a> {
    by_user_id: HashMap<&'a str, &'a PersonRef>,
    by_phone: HashMap<&'a str, &'a PersonRef>,
}

impl<'a> Contacts<'a> {
    /// Of contacts with the same id the first one counts.
    pub(super) fn of(contacts: &'a [PersonRef]) -> Self {
        let mut index = Self { by_user_id: HashMap::new(), by_phone: HashMap::new() };
        for contact in contacts {
            if let Some(user_id) = &contact.user_id {
                index.by_user_id.entry(user_id).or_insert(contact);
            }
            if let Some(phone) = &contact.phone {
                index.by_phone.entry(phone).or_insert(contact);
            }
        }
        index
    }

    fn find(&self, person: &PersonRef) -> Option<&'a PersonRef> {
        let by_user_id = person.user_id.as_deref().and_then(|id| self.by_user_id.get(id));
        by_user_id.or_else(|| person.phone.as_deref().and_then(|phone| self.by_phone.get(phone))).copied()
    }
}

/// Adds what a contact knows of the person: the name, and the id that is missing. Without a contact that shares an id,
/// `only_contact` is taken, the one that came with messages of one person.
pub(super) fn complete(person: &mut PersonRef, contacts: &Contacts<'_>, only_contact: Option<&PersonRef>) {
    let known = contacts.find(person);
    let Some(contact) = known.or(only_contact) else {
        return;
    };
    if known.is_none() && differ(contact.user_id.as_ref(), person.user_id.as_ref()) {
        return;
    }
    person.name.clone_from(&contact.name);
    // Meta documents that a number and its `wa_id` may differ (an added ninth digit), so the name is right; a second id is not sure.
    if known.is_none() && differ(contact.phone.as_ref(), person.phone.as_ref()) {
        return;
    }
    if person.phone.is_none() {
        person.phone.clone_from(&contact.phone);
    }
    if person.user_id.is_none() {
        person.user_id.clone_from(&contact.user_id);
    }
}

/// Do both name the same phone or the same user id?
pub(super) fn is_same(one: &PersonRef, other: &PersonRef) -> bool {
    is_shared(one.phone.as_ref(), other.phone.as_ref()) || is_shared(one.user_id.as_ref(), other.user_id.as_ref())
}

/// A person whom nothing identifies cannot be given a message.
pub(super) fn is_identified(person: &PersonRef) -> bool {
    person.phone.is_some() || person.user_id.is_some()
}

fn is_shared(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_some() && one == other
}

fn differ(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_some() && other.is_some() && one != other
}
