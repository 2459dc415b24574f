//! What clients are sent: the rows that changed, in the words of the contracts.

use super::{cursor::Cursor, hub::Room};
use crate::{
    ApiError, App,
    contracts::views::{ConversationView, InboxMessage, MessageView},
};
use domain::{Change, ChannelInstanceId, ConversationId, TenantId};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use store::{
    channels::{self, Channel},
    conversation_cards::{self, ConversationCard},
    messages::{self, Message},
    realtime::{Changes, Position},
    tenants,
};
use uuid::Uuid;

/// One event for the clients in one room.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(super) room: Room,
    pub(super) event: &'static str,
    pub(super) data: Value,
}

impl Frame {
    fn new(room: Room, event: &'static str, data: impl Serialize, cursor: Cursor) -> Self {
        // Views are plain structs: they become JSON.
        let mut data = serde_json::to_value(data).unwrap_or_default();
        if let Value::Object(data) = &mut data {
            data.insert("cursor".to_owned(), Value::String(cursor.to_string()));
        }
        Self { room, event, data }
    }
}

/// The rows that some changes name, of one tenant, as they are now.
#[derive(Default)]
struct Rows {
    public_id: Uuid,
    messages: HashMap<Uuid, Message>,
    conversations: HashMap<Uuid, ConversationCard>,
    channels: HashMap<Uuid, Channel>,
}

/// What one row is shown as.
pub(super) struct Shown {
    pub(super) position: Position,
    pub(super) tenant: TenantId,
    pub(super) frames: Vec<Frame>,
}

/// What `rows` are shown as, in their order. The first `seen` changes of the first row are left out.
pub(super) async fn render(app: &App, rows: &[Changes], seen: usize) -> Result<Vec<Shown>, ApiError> {
    let mut by_tenant: BTreeMap<TenantId, Vec<Change>> = BTreeMap::new();
    for row in rows {
        by_tenant.entry(row.tenant).or_default().extend(&row.changes);
    }
    let mut loaded = HashMap::new();
    for (tenant, changes) in by_tenant {
        loaded.insert(tenant, load(app, tenant, &changes).await?);
    }
    let mut shown = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let Some(known) = loaded.get(&row.tenant) else { continue };
        let mut frames = Vec::new();
        let skip = if index == 0 { seen } else { 0 };
        for (place, change) in row.changes.iter().enumerate().skip(skip) {
            let mut told = known.tell(*change);
            let last = told.pop();
            // Until the last frame of a change has come, the change has not been seen.
            let cursor = |seen: usize| Cursor { row: row.position, seen: (seen < row.changes.len()).then_some(seen) };
            let before = told.into_iter().map(|told| (told, cursor(place)));
            let all = before.chain(last.map(|told| (told, cursor(place + 1))));
            frames.extend(all.map(|((room, event, data), cursor)| Frame::new(room, event, data, cursor)));
        }
        shown.push(Shown { position: row.position, tenant: row.tenant, frames });
    }
    Ok(shown)
}

async fn load(app: &App, tenant: TenantId, changes: &[Change]) -> Result<Rows, ApiError> {
    let (mut messages, mut conversations, mut channels) = (HashSet::new(), HashSet::new(), HashSet::new());
    for change in changes {
        match change {
            Change::MessageCreated { message } | Change::MessageStatus { message, .. } | Change::MessageEdited { message } => {
                messages.insert(message.0);
            }
            Change::ConversationUpdated { conversation } => {
                conversations.insert(conversation.0);
            }
            Change::ChannelStatus { channel } => {
                channels.insert(channel.0);
            }
        }
    }
    let list = |ids: HashSet<Uuid>| ids.into_iter().collect::<Vec<_>>();
    let mut tx = app.tenants.begin_planning(tenant).await?;
    let mut rows = Rows { public_id: tenants::public_id(&mut tx, tenant).await?.unwrap_or_default(), ..Rows::default() };
    if !messages.is_empty() {
        let mut found = messages::by_ids(&mut tx, tenant, &list(messages)).await?;
        app.link_media(&mut found);
        rows.messages = found.into_iter().map(|row| (row.id, row)).collect();
    }
    if !conversations.is_empty() {
        let cards = conversation_cards::read(&mut tx, tenant, &list(conversations)).await?;
        rows.conversations = cards.into_iter().map(|row| (row.id, row)).collect();
    }
    if !channels.is_empty() {
        rows.channels = self::channels::list(&mut tx, tenant, None).await?.into_iter().map(|row| (row.id.0, row)).collect();
    }
    Ok(rows)
}

type Told = (Room, &'static str, Value);

impl Rows {
    /// What a change is told as. A row that is gone since is told as nothing.
    fn tell(&self, change: Change) -> Vec<Told> {
        match change {
            Change::MessageCreated { message } => self.message(message.0, "message-created", "message:new"),
            Change::MessageEdited { message } => self.message(message.0, "message-updated", "message:updated"),
            Change::MessageStatus { message, .. } => self.messages.get(&message.0).map(|row| self.status(row)).into_iter().collect(),
            Change::ConversationUpdated { conversation } => {
                self.conversations.get(&conversation.0).into_iter().flat_map(conversation_updated).collect()
            }
            Change::ChannelStatus { channel } => vec![channel_status(channel, self.channels.get(&channel.0))],
        }
    }

    fn message(&self, id: Uuid, inbox: &'static str, cloud: &'static str) -> Vec<Told> {
        let Some(row) = self.messages.get(&id) else { return Vec::new() };
        let message = value(InboxMessage::from(row));
        let data = json!({"channelInstanceId": row.channel_instance_id, "conversationId": row.conversation_id, "message": message});
        vec![
            (Room::Channel(ChannelInstanceId(row.channel_instance_id)), inbox, data),
            (Room::Conversation(ConversationId(row.conversation_id)), cloud, value(MessageView::new(row, self.public_id))),
        ]
    }

    fn status(&self, row: &Message) -> Told {
        let view = value(MessageView::new(row, self.public_id));
        let mut data = Map::new();
        data.insert("messageId".to_owned(), json!(row.id));
        for name in ["id", "whatsappId", "conversationId", "status", "errors", "meta"] {
            data.insert(name.to_owned(), view.get(name).cloned().unwrap_or_default());
        }
        (Room::Conversation(ConversationId(row.conversation_id)), "message:status", Value::Object(data))
    }
}

fn conversation_updated(card: &ConversationCard) -> [Told; 2] {
    let conversation = value(ConversationView::from(card));
    let data = json!({"channelInstanceId": card.channel_instance_id, "conversation": conversation});
    [
        (Room::Channel(ChannelInstanceId(card.channel_instance_id)), "conversation-updated", data),
        (Room::Conversation(ConversationId(card.id)), "conversation:updated", conversation),
    ]
}

/// A channel that is gone is not connected.
fn channel_status(id: ChannelInstanceId, channel: Option<&Channel>) -> Told {
    let status = channel.map_or("DISCONNECTED", |channel| &channel.status);
    let error = channel.and_then(|channel| channel.metadata.get("error"));
    (Room::Channel(id), "channel-status", json!({"channelInstanceId": id, "status": status, "error": error}))
}

fn value(view: impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}
