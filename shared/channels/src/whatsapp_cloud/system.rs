//! Notices of WhatsApp about a person: the number, the user id or the device changed.
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system>

use super::{
    content::Content,
    person,
    wire::{Message, System},
};
use chrono::{DateTime, Utc};
use domain::{PersonChanged, PersonRef};

pub(super) fn notice(message: &Message<'_>) -> Option<Content> {
    let system: System<'_> = message.system.object()?;
    Some(Content::with_meta("system", "system", message.system).with_text(system.body.text()))
}

/// Whom the notice is about, by the ids from before the change.
/// `from` is the old number; `customer` says so too in older versions. `from_user_id` may be the old or the new id.
pub(super) fn former_self(message: &Message<'_>) -> PersonRef {
    let system: System<'_> = message.system.object().unwrap_or_default();
    let mut old = person::from_ids(message.from.or(system.customer), system.previous_user_id);
    if old.user_id.is_none() {
        old.user_id = message.from_user_id.id().filter(|id| Some(id) != system.user_id.id().as_ref());
    }
    old
}

/// Who became whom. Known kinds only: a notice about something else may name ids too.
pub(super) fn person_changed(message: &Message<'_>, at: Option<DateTime<Utc>>) -> Option<PersonChanged> {
    let system: System<'_> = message.system.object()?;
    let kind = system.kind.string()?;
    if !matches!(&*kind, "user_changed_number" | "customer_changed_number" | "user_changed_user_id") {
        return None;
    }
    let old = former_self(message);
    // Meta calls the new number `wa_id`; until Graph API v12 it was `new_wa_id`.
    let new = person::from_ids(system.wa_id.or(system.new_wa_id), system.user_id);
    let is_change = person::is_identified(&old) && person::is_identified(&new) && old != new;
    is_change.then_some(PersonChanged { old, new, at })
}
