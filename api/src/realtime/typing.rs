//! Somebody types: passed on to the others who watch the conversation, at every process, and kept nowhere.

use super::{
    Hub,
    frames::Frame,
    hub::{Client, Room, Watcher},
};
use domain::{ConversationId, TenantId};
use redis::aio::ConnectionManagerConfig;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{sync::LazyLock, time::Duration};
use uuid::Uuid;

/// Redis channel on which processes tell each other.
pub(super) const TYPING_CHANNEL: &str = "switchboard:typing";

const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Which process this is: a client's number is its process's only.
static PROCESS: LazyLock<Uuid> = LazyLock::new(Uuid::new_v4);

#[derive(Debug, Serialize, Deserialize)]
struct Typing {
    process: Uuid,
    client: u64,
    tenant: TenantId,
    conversation: ConversationId,
    /// Null: a website's visitor.
    user: Option<Uuid>,
    started: bool,
}

/// A client says that its user types, or has stopped.
pub(super) async fn say(hub: &Hub, client: &Client, conversation: ConversationId, started: bool) {
    let user = match client.watcher {
        Watcher::User(user, _) => Some(user.0),
        Watcher::Visitor => None,
    };
    let typing = Typing { process: *PROCESS, client: client.id(), tenant: client.tenant, conversation, user, started };
    if publish(hub, &typing).await.is_none() {
        show(hub, &typing);
    }
}

/// `None`: there is no Redis, or it is away.
async fn publish(hub: &Hub, typing: &Typing) -> Option<()> {
    let client = hub.redis.as_ref()?;
    // Whoever types does not wait for a Redis that is away.
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(ANSWER_WITHIN))
        .set_response_timeout(Some(ANSWER_WITHIN))
        .set_number_of_retries(0);
    let manager = hub.publisher.get_or_try_init(|| client.get_connection_manager_with_config(config)).await.ok()?;
    let text = serde_json::to_string(typing).ok()?;
    redis::cmd("PUBLISH").arg(TYPING_CHANNEL).arg(text).query_async(&mut manager.clone()).await.ok()
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
