//! What a person said or pressed, and echoes of what the business said.

use super::{
    Product,
    wire::{Attachment, Coordinates, Message, Messaging, Postback, Referral},
};
use crate::{events::Events, lenient_json::Raw};
use aws_lc_rs::digest::{SHA256, digest};
use domain::{DeliveryStatus, Direction, EventBody, Media, MessageId, MessageRevoke, NewMessage, PersonRef, StatusUpdate};
use serde_json::{Map, Value};

/// What surrounds it.
pub(super) struct Around<'a> {
    pub(super) product: &'a Product,
    pub(super) event: &'a Messaging<'a>,
    /// Another app has the conversation now, and answers it
    /// (<https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/standby>).
    pub(super) is_standby: bool,
}

impl Around<'_> {
    fn message(&self, external_id: String, person: Raw<'_>, message_type: &str) -> Option<NewMessage> {
        let user_id = person.id()?;
        Some(NewMessage {
            external_id,
            direction: Direction::Inbound,
            from_business_phone: false,
            may_be_ours: false,
            person: PersonRef { phone: None, user_id: Some(user_id), name: None },
            // `chat_messages.message_type` holds no more.
            message_type: message_type.chars().take(32).collect(),
            content: None,
            media: None,
            reply_to: None,
            sent_at: self.event.timestamp.moment(),
            meta: Value::Null,
        })
    }

    fn push(&self, mut message: NewMessage, mut meta: Map<String, Value>, events: &mut Events) {
        if self.is_standby {
            meta.insert("standby".to_owned(), Value::Bool(true));
        }
        if !meta.is_empty() {
            message.meta = Value::Object(meta);
        }
        events.push(EventBody::Message(Box::new(message)));
    }

    /// What has no id of its own is known by who did it and when.
    fn made_up_id(&self, what: &str, raw: Raw<'_>) -> String {
        let who = self.event.sender.id.id().unwrap_or_default();
        let when = self.event.timestamp.id().unwrap_or_default();
        let said = raw.value().map(|value| value.to_string()).unwrap_or_default();
        let hash = digest(&SHA256, format!("{who}\n{when}\n{said}").as_bytes());
        format!("{what}:{}", hex::encode(hash.as_ref().get(..16).unwrap_or_default()))
    }
}

fn keep(meta: &mut Map<String, Value>, key: &str, value: Raw<'_>) {
    if let Some(value) = value.value() {
        meta.insert(key.to_owned(), value);
    }
}

/// An element's `message`.
pub(super) fn read(raw: Raw<'_>, message: &Message<'_>, around: &Around<'_>, events: &mut Events) {
    let Some(mid) = message.mid.id() else { return events.push_other("message", Some("no_id")) };
    if message.is_deleted.is_true() {
        return events.push(EventBody::Revoke(MessageRevoke { target_external_id: mid, at: around.event.timestamp.moment() }));
    }
    let is_echo = message.is_echo.is_true();
    if let (true, Some(id)) = (is_echo, message.metadata.string().and_then(|data| data.parse::<MessageId>().ok())) {
        // Our own message, come back: as good as a receipt.
        let (status, at) = (DeliveryStatus::Sent, around.event.timestamp.moment());
        return events.push(EventBody::Status(StatusUpdate { external_id: mid, message_id: Some(id), status, at, errors: None }));
    }
    let person = if is_echo { around.event.recipient.id } else { around.event.sender.id };
    let mut meta = Map::new();
    let attachments: Vec<Attachment<'_>> = message.attachments.list().into_iter().filter_map(Raw::object).collect();
    let (message_type, media, title) = match attachments.first() {
        Some(first) => of_attachment(first),
        None if message.text.is_present() => ("text".to_owned(), None, None),
        None => {
            keep(&mut meta, "raw", raw);
            ("unsupported".to_owned(), None, None)
        }
    };
    let needs_all = attachments.len() > 1 || attachments.first().is_some_and(|first| first.payload.url.text().is_none());
    if needs_all {
        keep(&mut meta, "attachments", message.attachments);
    }
    for (key, value) in [
        ("quick_reply", message.quick_reply),
        ("story", message.reply_to.story),
        ("referral", message.referral),
        ("app_id", if is_echo { message.app_id } else { Raw::default() }),
    ] {
        keep(&mut meta, key, value);
    }
    let Some(mut new) = around.message(mid, person, &message_type) else { return events.push_other("message", Some("no_sender")) };
    if is_echo {
        new.direction = Direction::Outbound;
        new.from_business_phone = true;
        new.may_be_ours = !around.product.echoes_tell_ours;
    }
    new.content = message.text.text().or(title);
    new.media = media;
    new.reply_to = message.reply_to.mid.id();
    around.push(new, meta, events);
}

/// The type of message that an attachment makes, its file, and what there is to read.
fn of_attachment(attachment: &Attachment<'_>) -> (String, Option<Media>, Option<String>) {
    let word = attachment.kind.text().unwrap_or_else(|| "unsupported".to_owned());
    let kind = match word.as_str() {
        _ if attachment.payload.sticker_id.is_present() => "sticker",
        "file" => "document",
        other => other,
    };
    let title = attachment.title.text().or_else(|| attachment.payload.title.text());
    if kind == "location" {
        let place: Coordinates<'_> = attachment.payload.coordinates.object().unwrap_or_default();
        let coordinates =
            place.latitude.number().zip(place.longitude.number()).map(|(latitude, longitude)| format!("{latitude},{longitude}"));
        return (kind.to_owned(), None, title.or(coordinates));
    }
    let url = attachment.payload.url.text().or_else(|| attachment.url.text());
    let media = url.map(|url| Media {
        kind: kind.chars().take(32).collect(),
        id: None,
        url: Some(url),
        mime_type: None,
        sha256: None,
        filename: None,
        extra: Map::new(),
    });
    (kind.to_owned(), media, title)
}

/// A button of ours was pressed. Newer versions of Meta's API give it an id.
pub(super) fn postback(raw: Raw<'_>, around: &Around<'_>, events: &mut Events) {
    let Some(postback) = raw.object::<Postback<'_>>() else { return events.push_other("postback", Some("not_an_object")) };
    let id = postback.mid.id().unwrap_or_else(|| around.made_up_id("postback", raw));
    let Some(mut new) = around.message(id, around.event.sender.id, "button") else {
        return events.push_other("postback", Some("no_sender"));
    };
    new.content = postback.title.text().or_else(|| postback.payload.text());
    let mut meta = Map::new();
    keep(&mut meta, "postback", raw);
    around.push(new, meta, events);
}

/// A person came by a link or an advertisement.
pub(super) fn referral(raw: Raw<'_>, around: &Around<'_>, events: &mut Events) {
    let Some(referral) = raw.object::<Referral<'_>>() else { return events.push_other("referral", Some("not_an_object")) };
    let Some(mut new) = around.message(around.made_up_id("referral", raw), around.event.sender.id, "system") else {
        return events.push_other("referral", Some("no_sender"));
    };
    let word = |raw: Raw<'_>, before: &str| raw.text().map(|text| format!("{before}{text}")).unwrap_or_default();
    new.direction = Direction::System;
    new.content = Some(format!("The person followed a link{}{}", word(referral.reference, ": "), word(referral.source, ", from ")));
    let mut meta = Map::new();
    keep(&mut meta, "referral", raw);
    around.push(new, meta, events);
}
