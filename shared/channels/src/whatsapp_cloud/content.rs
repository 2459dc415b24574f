//! What a message says, by its type. `None`: the content is missing or has another shape, so the message is not understood.

use super::wire::{Card, CardName, CardPhone, Interactive, Location, MediaFile, Message, Reply, Words};
use crate::lenient_json::Raw;
use domain::Media;
use serde_json::{Map, Value};

pub(super) struct Content {
    pub(super) message_type: &'static str,
    pub(super) text: Option<String>,
    pub(super) media: Option<Media>,
    pub(super) meta: Map<String, Value>,
}

impl Content {
    fn new(message_type: &'static str, text: Option<String>) -> Self {
        Self { message_type, text, media: None, meta: Map::new() }
    }

    /// Content of which `value` is kept in meta.
    pub(super) fn with_meta(message_type: &'static str, key: &str, value: Raw<'_>) -> Self {
        let mut content = Self::new(message_type, None);
        content.keep(key, value);
        content
    }

    pub(super) fn with_text(self, text: Option<String>) -> Self {
        Self { text, ..self }
    }

    pub(super) fn keep(&mut self, key: &str, value: Raw<'_>) {
        keep(&mut self.meta, key, value);
    }
}

/// Puts a value into meta, if there is one.
pub(super) fn keep(meta: &mut Map<String, Value>, key: &str, value: Raw<'_>) {
    if let Some(value) = value.value() {
        meta.insert(key.to_owned(), value);
    }
}

/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages>, one page per type.
pub(super) fn read(kind: &str, message: &Message<'_>) -> Option<Content> {
    match kind {
        "text" => text(message.text),
        "image" => media("image", message.image),
        "video" => media("video", message.video),
        "audio" => media("audio", message.audio),
        "voice" => media("audio", message.voice),
        "document" => media("document", message.document),
        "sticker" => media("sticker", message.sticker),
        "location" => location(message.location),
        "contacts" => contacts(message.contacts),
        "interactive" => interactive(message.interactive),
        "button" => words("button", message.button),
        "order" => words("order", message.order),
        _ => None,
    }
}

fn text(text: Raw<'_>) -> Option<Content> {
    let body = text.object::<Words<'_>>()?.body.string()?;
    Some(Content::new("text", Some(body.into_owned()).filter(|body| !body.is_empty())))
}

/// The id fetches the file for 30 days, the url (only some accounts get it) for minutes. A voice note is audio with a flag.
fn media(kind: &'static str, media: Raw<'_>) -> Option<Content> {
    let file: MediaFile<'_> = media.object()?;
    let mut content = Content::new(kind, file.caption.text());
    content.media = Some(Media {
        kind: kind.to_owned(),
        id: file.id.id(),
        url: file.url.text().or_else(|| file.link.text()),
        mime_type: file.mime_type.text(),
        sha256: file.sha256.text(),
        filename: file.filename.text(),
        extra: Map::new(),
    });
    for (key, flag) in [("voice", file.voice), ("animated", file.animated)] {
        if flag.is_true() {
            content.keep(key, flag);
        }
    }
    Some(content)
}

fn location(location: Raw<'_>) -> Option<Content> {
    let place: Location<'_> = location.object()?;
    let coordinate = |raw: Raw<'_>| raw.number().map(str::to_owned).or_else(|| raw.text());
    let coordinates = || Some(format!("{},{}", coordinate(place.latitude)?, coordinate(place.longitude)?));
    let text = place.name.text().or_else(|| place.address.text()).or_else(coordinates);
    Some(Content::with_meta("location", "location", location).with_text(text))
}

fn contacts(contacts: Raw<'_>) -> Option<Content> {
    let cards: Vec<Card<'_>> = contacts.list().into_iter().filter_map(Raw::object).collect();
    if cards.is_empty() {
        return None;
    }
    let names: Vec<String> = cards.iter().filter_map(card_title).collect();
    let text = Some(names.join(", ")).filter(|names| !names.is_empty());
    Some(Content::with_meta("contacts", "contacts", contacts).with_text(text))
}

/// The name on a card, else its first number (a card sent on request has no name).
fn card_title(card: &Card<'_>) -> Option<String> {
    let name: CardName<'_> = card.name.object().unwrap_or_default();
    let parts = || {
        let parts: Vec<String> = [name.first.text(), name.last.text()].into_iter().flatten().collect();
        Some(parts.join(" ")).filter(|name| !name.is_empty())
    };
    let phone = || card.phones.list().into_iter().find_map(|phone| phone.object::<CardPhone<'_>>()?.phone.text());
    name.formatted.text().or_else(parts).or_else(phone)
}

/// Replies to buttons, lists and flows; other kinds (a call permission) have nothing to read and are kept whole as well.
fn interactive(interactive: Raw<'_>) -> Option<Content> {
    let object: Interactive<'_> = interactive.object()?;
    let words = |raw: Raw<'_>| {
        let reply: Reply<'_> = raw.object()?;
        reply.title.text().or_else(|| reply.body.text()).or_else(|| reply.text.text())
    };
    let text = [object.button_reply, object.list_reply, object.nfm_reply, object.body].into_iter().find_map(words);
    Some(Content::with_meta("interactive", "interactive", interactive).with_text(text))
}

/// A template's quick reply, or an order with the words sent along.
fn words(kind: &'static str, raw: Raw<'_>) -> Option<Content> {
    let words: Words<'_> = raw.object()?;
    Some(Content::with_meta(kind, kind, raw).with_text(words.text.text()))
}
