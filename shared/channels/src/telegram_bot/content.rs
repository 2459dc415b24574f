//! What a message says. Every kind of file keeps its `fileId`, with which the bot can fetch it.

use super::wire::{Contact, File, Location, Message, Party, Venue};
use crate::lenient_json::Raw;
use domain::Media;
use serde_json::{Map, Value};

/// Parts of a message that surround what it says.
const AROUND: [&str; 30] = [
    "message_id",
    "date",
    "edit_date",
    "from",
    "sender_chat",
    "sender_business_bot",
    "sender_boost_count",
    "sender_tag",
    "business_connection_id",
    "chat",
    "reply_to_message",
    "reply_to_story",
    "external_reply",
    "quote",
    "message_thread_id",
    "is_topic_message",
    "media_group_id",
    "forward_origin",
    "forward_from",
    "forward_date",
    "reply_markup",
    "via_bot",
    "has_protected_content",
    "is_automatic_forward",
    "is_from_offline",
    "author_signature",
    "entities",
    "caption_entities",
    "link_preview_options",
    "effect_id",
];

/// What happened in a chat, rather than what somebody said (<https://core.telegram.org/bots/api#message>, "Service message").
const SERVICE: [&str; 32] = [
    "new_chat_members",
    "new_chat_member",
    "left_chat_member",
    "chat_owner_left",
    "chat_owner_changed",
    "new_chat_title",
    "new_chat_photo",
    "delete_chat_photo",
    "group_chat_created",
    "supergroup_chat_created",
    "channel_chat_created",
    "message_auto_delete_timer_changed",
    "migrate_to_chat_id",
    "migrate_from_chat_id",
    "pinned_message",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_closed",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "video_chat_scheduled",
    "video_chat_started",
    "video_chat_ended",
    "video_chat_participants_invited",
    "proximity_alert_triggered",
    "boost_added",
    "chat_background_set",
    "giveaway_created",
    "giveaway_completed",
    "write_access_allowed",
    "connected_website",
];

pub(super) struct Content {
    pub(super) message_type: String,
    pub(super) text: Option<String>,
    pub(super) media: Option<Media>,
    pub(super) meta: Map<String, Value>,
    /// It tells of the chat; nobody said it.
    pub(super) is_notice: bool,
}

impl Content {
    fn new(message_type: &str, text: Option<String>) -> Self {
        Self { message_type: message_type.to_owned(), text, media: None, meta: Map::new(), is_notice: false }
    }

    fn keeping(mut self, key: &str, value: Raw<'_>) -> Self {
        if let Some(value) = value.value() {
            self.meta.insert(key.to_owned(), value);
        }
        self
    }
}

/// Reads a message. What is not understood is kept whole.
pub(super) fn read(raw: Raw<'_>, message: &Message<'_>) -> Content {
    known(message).unwrap_or_else(|| unknown(raw))
}

fn known(message: &Message<'_>) -> Option<Content> {
    if let Some(text) = message.text.string() {
        return Some(Content::new("text", Some(text.into_owned()).filter(|text| !text.is_empty())));
    }
    // An animation comes with a document too, for older apps, and a venue with a location.
    let files = [
        ("video", "animation", message.animation),
        ("video", "video", message.video),
        ("video", "video_note", message.video_note),
        ("audio", "audio", message.audio),
        ("audio", "voice", message.voice),
        ("sticker", "sticker", message.sticker),
        ("document", "document", message.document),
    ];
    let photo = message.photo.list().into_iter().filter_map(Raw::object::<File<'_>>).max_by_key(|size| size.width.integer());
    if let Some(photo) = photo {
        return Some(of_file("image", "photo", &photo, message.caption));
    }
    for (kind, word, raw) in files {
        if let Some(file) = raw.object::<File<'_>>() {
            return Some(of_file(kind, word, &file, message.caption));
        }
    }
    if let Some(venue) = message.venue.object::<Venue<'_>>() {
        let text = venue.title.text().or_else(|| venue.address.text());
        return Some(Content::new("location", text).keeping("location", message.venue));
    }
    if let Some(place) = message.location.object::<Location<'_>>() {
        let text = place.latitude.number().zip(place.longitude.number()).map(|(latitude, longitude)| format!("{latitude},{longitude}"));
        return Some(Content::new("location", text).keeping("location", message.location));
    }
    let contact: Contact<'_> = message.contact.object()?;
    let text = joined(contact.first_name, contact.last_name).or_else(|| contact.phone_number.text());
    Some(Content::new("contacts", text).keeping("contacts", message.contact))
}

fn of_file(kind: &str, word: &str, file: &File<'_>, caption: Raw<'_>) -> Content {
    let mut extra = Map::new();
    let parts = [
        ("fileId", file.id),
        ("fileUniqueId", file.unique_id),
        ("fileSize", file.size),
        ("width", file.width),
        ("height", file.height),
        ("duration", file.duration),
        ("emoji", file.emoji),
    ];
    for (name, part) in parts {
        if let Some(value) = part.value() {
            extra.insert(name.to_owned(), value);
        }
    }
    extra.insert("kind".to_owned(), Value::from(word));
    let mut content = Content::new(kind, caption.text().or_else(|| file.emoji.text().filter(|_| kind == "sticker")));
    content.media = Some(Media {
        kind: kind.to_owned(),
        id: file.id.id(),
        url: None,
        mime_type: file.mime_type.text(),
        sha256: None,
        filename: file.name.text(),
        extra,
    });
    content
}

fn unknown(raw: Raw<'_>) -> Content {
    let whole = raw.value();
    let keys = || whole.as_ref().and_then(Value::as_object).into_iter().flat_map(Map::keys);
    if let Some(service) = keys().find(|key| SERVICE.contains(&key.as_str())) {
        let mut content = Content::new("system", Some(sentence(service, whole.as_ref().and_then(|whole| whole.get(service)))));
        content.meta.insert("event".to_owned(), Value::from(service.as_str()));
        content.is_notice = true;
        return content;
    }
    let kind = keys().find(|key| !AROUND.contains(&key.as_str())).cloned();
    let mut content = Content::new("unsupported", None).keeping("raw", raw);
    if let Some(kind) = kind {
        content.meta.insert("type".to_owned(), Value::from(kind));
    }
    content
}

fn sentence(event: &str, value: Option<&Value>) -> String {
    let words = event.replace('_', " ");
    match value {
        Some(Value::String(text)) => format!("{words}: {text}"),
        Some(Value::Array(people)) => {
            let names: Vec<&str> = people.iter().filter_map(|person| person.get("first_name")?.as_str()).collect();
            if names.is_empty() { words } else { format!("{words}: {}", names.join(", ")) }
        }
        Some(Value::Object(person)) => match person.get("first_name").and_then(Value::as_str) {
            Some(name) => format!("{words}: {name}"),
            None => words,
        },
        _ => words,
    }
}

/// First and last name, as far as they are there.
pub(super) fn joined(first: Raw<'_>, last: Raw<'_>) -> Option<String> {
    let parts: Vec<String> = [first.text(), last.text()].into_iter().flatten().collect();
    Some(parts.join(" ")).filter(|name| !name.is_empty())
}

/// What a user or a chat is called.
pub(super) fn name_of(party: &Party<'_>) -> Option<String> {
    party.title.text().or_else(|| joined(party.first_name, party.last_name)).or_else(|| party.username.text())
}
