//! Somebody types: passed on to the others who watch the conversation, at every process, and kept nowhere.

use super::{
    Hub,
    frames::Frame,
    hub::{Client, Room},
};
use domain::{ConversationId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::LazyLock;
use uuid::Uuid;

/// Redis channel on which processes tell each other.
pub(super) const TYPING_CHANNEL: &str = "switchboard:typing";

/// Which process this is: a client's number is its process's only.
static PROCESS: LazyLock<Uuid> = LazyLock::new(Uuid::new_v4);

#[derive(Debug, Serialize, Deserialize)]
struct Typing {
    process: Uuid,
    client: u64,
    tenant: TenantId,
    conversation: ConversationId,
    user: Uuid,
    started: bool,
}

/// A client says that its user types, or has stopped.
pub(super) async fn say(hub: &Hub, client: &Client, conversation: ConversationId, started: bool) {
    let typing = Typing { process: *PROCESS, client: client.id(), tenant: client.tenant, conversation, user: client.user.0, started };
    let sent = match &hub.redis {
        Some(redis) => publish(redis, &typing).await.is_ok(),
        None => false,
    };
    if !sent {
        show(hub, &typing);
    }
}

async fn publish(redis: &redis::Client, typing: &Typing) -> redis::RedisResult<()> {
    let text = serde_json::to_string(typing).unwrap_or_default();
    let mut connection = redis.get_multiplexed_async_connection().await?;
    redis::cmd("PUBLISH").arg(TYPING_CHANNEL).arg(text).query_async(&mut connection).await
}

/// Some process tells.
pub(super) fn heard(hub: &Hub, text: &str) {
    if let Ok(typing) = serde_json::from_str(text) {
        show(hub, &typing);
    }
}

fn show(hub: &Hub, typing: &Typing) {
    let event = if typing.started { "typing:start" } else { "typing:stop" };
    let data = json!({"conversationId": typing.conversation, "userId": typing.user});
    let except = (typing.process == *PROCESS).then_some(typing.client);
    hub.pass_on(typing.tenant, Frame { room: Room::Conversation(typing.conversation), event, data }, except);
}
