//! `/api/{tenant_id}/ws`: the same events as JSON frames, `{"event", "data"}`. The token comes as `Authorization: Bearer` or, from browsers, as `?token=`;
//! `?cursor=` asks for what was missed.

use super::{
    catch_up,
    frames::Frame,
    hub::{Client, Room, Sink, Watcher},
    typing,
    watchable::watchable,
};
use crate::{ApiError, App, auth::caller_of, request::TenantSegment};
use domain::{ChannelInstanceId, ConversationId};
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{StatusCode, header::AUTHORIZATION},
    websocket::{Message, WebSocket, WebSocketUpgrade},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

/// Frames that may wait for a client.
const BUFFER: usize = 2_048;
/// What clients send is small.
const LARGEST: usize = 64 * 1024;

/// Opens one.
pub(crate) struct OpenSocket(pub(crate) App);

struct FrameSink {
    frames: mpsc::Sender<String>,
    closing: Arc<Notify>,
}

impl Sink for FrameSink {
    fn send(&self, frame: &Frame) -> bool {
        let text = json!({"event": frame.event, "data": frame.data}).to_string();
        self.frames.try_send(text).is_ok()
    }

    fn close(&self) {
        self.closing.notify_one();
    }
}

/// What a client says.
#[derive(Debug, Deserialize)]
struct Said {
    event: String,
    #[serde(default)]
    data: Value,
}

#[async_trait]
impl Handler for OpenSocket {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        if let Err(error) = self.open(req, res).await {
            error.write(req, depot, res).await;
        }
    }
}

impl OpenSocket {
    async fn open(&self, req: &mut Request, res: &mut Response) -> Result<(), ApiError> {
        let header = req.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
        let token = header.map(|(_, token)| token.trim().to_owned()).or_else(|| req.query("token")).unwrap_or_default();
        let who = caller_of(&self.0, &token).await?.ok_or_else(ApiError::unauthorized)?;
        if !TenantSegment::of(req).names(who.tenant, who.tenant_public_id) {
            return Err(ApiError::not_found("Tenant"));
        }
        let cursor: Option<String> = req.query("cursor");
        let app = self.0.clone();
        let upgrade = WebSocketUpgrade::new().max_message_size(LARGEST);
        let upgraded = upgrade.upgrade(req, res, move |socket| async move {
            let (sender, frames) = mpsc::channel(BUFFER);
            let closing = Arc::new(Notify::new());
            let sink = FrameSink { frames: sender, closing: closing.clone() };
            let client = Client::new(&app.hub, who.tenant, Watcher::User(who.user, who.session), Box::new(sink));
            serve(app, socket, client, (frames, closing), cursor).await;
        });
        upgraded
            .await
            .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "not_a_websocket", "This path is a WebSocket").with_detail(&error))
    }
}

async fn serve(
    app: App,
    mut socket: WebSocket,
    client: Arc<Client>,
    (mut frames, closing): (mpsc::Receiver<String>, Arc<Notify>),
    cursor: Option<String>,
) {
    let entering = {
        let (app, client) = (app.clone(), client.clone());
        tokio::spawn(async move {
            let entered = catch_up::enter(&app, &client, cursor.as_deref()).await;
            if !entered.is_ok_and(|sent| sent) {
                client.close();
            }
        })
    };
    loop {
        tokio::select! {
            () = closing.notified() => break,
            frame = frames.recv() => {
                let Some(text) = frame else { break };
                if socket.send(Message::text(text)).await.is_err() {
                    break;
                }
            }
            said = socket.recv() => match said {
                Some(Ok(message)) if message.is_close() => break,
                Some(Ok(message)) => {
                    let answer = match message.as_str().ok().and_then(|text| serde_json::from_str::<Said>(text).ok()) {
                        Some(said) => hear(&app, &client, said).await,
                        None if message.is_text() => Some(json!({"event": "error", "data": {"message": "A frame is {\"event\", \"data\"}"}})),
                        None => None,
                    };
                    if let Some(answer) = answer && socket.send(Message::text(answer.to_string())).await.is_err() {
                        break;
                    }
                }
                Some(Err(_)) | None => break,
            },
        }
    }
    entering.abort();
    // It may be just coming in: then it goes only afterwards.
    entering.await.unwrap_or_default();
    app.hub.exit(client.id());
    // Whoever was dropped is told so by the end of the connection.
    socket.close().await.unwrap_or_default();
}

async fn hear(app: &App, client: &Client, said: Said) -> Option<Value> {
    let id = |name: &str| said.data.as_str().or_else(|| said.data.get(name)?.as_str()).and_then(|id| id.parse::<Uuid>().ok());
    let channel = || id("channelInstanceId").map(|id| Room::Channel(ChannelInstanceId(id)));
    let conversation = || id("conversationId").map(|id| Room::Conversation(ConversationId(id)));
    let room = match said.event.as_str() {
        "join-channel" | "leave-channel" => channel(),
        "join-conversation" | "leave-conversation" | "typing-start" | "typing-stop" => conversation(),
        "ping" => return Some(json!({"event": "pong", "data": {}})),
        _ => return Some(json!({"event": "error", "data": {"message": format!("There is no event {}", said.event)}})),
    };
    let room = match room {
        Some(room) => watchable(app, client.tenant, room).await,
        None => None,
    };
    let Some(room) = room else {
        return Some(json!({"event": "join-error", "data": {"message": "There is no such channel or conversation"}}));
    };
    match (said.event.as_str(), room) {
        ("join-channel" | "join-conversation", room) => app.hub.join(client.id(), room),
        ("leave-channel" | "leave-conversation", room) => app.hub.leave(client.id(), room),
        (typed, Room::Conversation(id)) => {
            typing::say(&app.hub, client, id, typed == "typing-start").await;
            return None;
        }
        _ => return None,
    }
    Some(json!({"event": "ok", "data": {"event": said.event}}))
}
