//! A website's visitor, who watches one conversation over server-sent events.

use super::{
    catch_up,
    frames::Frame,
    hub::{Client, Room, Sink, Watcher},
};
use crate::{App, reply::EventStream};
use bytes::Bytes;
use domain::{ConversationId, TenantId};
use futures::{Stream, stream};
use serde_json::{Value, json};
use std::{convert::Infallible, time::Duration};
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle, time::timeout};

/// Events that may wait for a visitor.
const BUFFER: usize = 256;
/// A comment this often tells both ends that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

struct VisitorSink {
    conversation: ConversationId,
    events: mpsc::Sender<Option<Bytes>>,
}

impl Sink for VisitorSink {
    fn send(&self, frame: &Frame) -> bool {
        told(self.conversation, frame).is_none_or(|event| self.events.try_send(Some(event)).is_ok())
    }

    fn close(&self) {
        // Full: the visitor is too slow, and is cut off when what waits was sent. Gone: nothing to close.
        self.events.try_send(None).unwrap_or_default();
    }
}

/// What a visitor is told: what is said in their conversation, and that a person types.
fn told(conversation: ConversationId, frame: &Frame) -> Option<Bytes> {
    let own = frame.room == Room::Conversation(conversation);
    let data = &frame.data;
    match frame.event {
        "ready" => Some(EventStream::event("ready", &json!({}))),
        "message:new" if own => {
            let role = if data.get("direction").and_then(Value::as_str) == Some("INBOUND") { "user" } else { "assistant" };
            let message =
                json!({"id": data.get("id"), "role": role, "content": data.pointer("/content/text"), "created_at": data.get("createdAt")});
            Some(EventStream::event("message", &message))
        }
        "typing:start" | "typing:stop" if own => Some(EventStream::event("typing", &json!({"started": frame.event == "typing:start"}))),
        _ => None,
    }
}

/// Takes the client out when the visitor is gone.
struct Watching {
    app: App,
    client: u64,
    /// `None`: it is being taken out.
    entering: Option<JoinHandle<()>>,
    events: mpsc::Receiver<Option<Bytes>>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let (Some(entering), Ok(runtime)) = (self.entering.take(), Handle::try_current()) else { return };
        let (app, client) = (self.app.clone(), self.client);
        runtime.spawn(async move {
            entering.abort();
            // It may be just coming in: then it goes only afterwards.
            entering.await.unwrap_or_default();
            app.hub.exit(client);
        });
    }
}

/// What happens in the conversation, until the visitor goes.
pub(crate) fn watch(
    app: App,
    tenant: TenantId,
    conversation: ConversationId,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let (sender, events) = mpsc::channel(BUFFER);
    let client = Client::new(&app.hub, tenant, Watcher::Visitor, Box::new(VisitorSink { conversation, events: sender }));
    let id = client.id();
    let entering = {
        let app = app.clone();
        tokio::spawn(async move {
            let entered = catch_up::enter_room(&app, &client, Room::Conversation(conversation)).await;
            if !entered.is_ok_and(|sent| sent) {
                client.close();
            }
        })
    };
    stream::unfold(Watching { app, client: id, entering: Some(entering), events }, |mut watching| async move {
        let event = match timeout(HEARTBEAT, watching.events.recv()).await {
            Ok(event) => event.flatten()?,
            Err(_) => EventStream::heartbeat(),
        };
        Some((Ok(event), watching))
    })
}
