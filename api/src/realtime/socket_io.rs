//! Socket.IO: `auth: {token, cursor?}`; rooms by `join-channel`, `join-conversation`; typing.

use super::{
    catch_up,
    frames::Frame,
    hub::{Client, Room, Sink, Watcher},
    typing,
    watchable::watchable,
};
use crate::{
    App,
    auth::{Caller, caller_of},
};
use domain::{ChannelInstanceId, ConversationId};
use salvo::{Router, http::ReqBody, prelude::TowerServiceCompat};
use serde::Deserialize;
use serde_json::{Value, json};
use socketioxide::{
    SocketIo,
    extract::{AckSender, SocketRef, State, TryData},
    handler::ConnectHandler,
};
use std::{fmt, time::Duration};

/// Packets that may wait for a client.
const BUFFER: usize = 2_048;
/// What clients send is small.
const MAX_PAYLOAD: u64 = 64 * 1024;
/// How soon a client with a full buffer is told again that it was dropped.
const FULL_PAUSE: Duration = Duration::from_millis(250);
/// How often a connection is tried.
const PING: Duration = Duration::from_secs(25);

/// What a client connects with.
#[derive(Debug, Deserialize)]
struct Auth {
    token: String,
    cursor: Option<String>,
}

#[derive(Debug)]
struct Unauthorized;

impl fmt::Display for Unauthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unauthorized: connect with auth: {token}")
    }
}

/// Who connects, between the check and the connection.
#[derive(Clone)]
struct Arriving {
    who: Caller,
    cursor: Option<String>,
}

struct SocketSink(SocketRef);

impl Sink for SocketSink {
    fn send(&self, frame: &Frame) -> bool {
        self.0.emit(frame.event, &frame.data).is_ok()
    }

    /// A client whose buffer is full cannot be told at once: it is when it has read what waits, or it is gone by then (nobody answers its pings).
    fn close(&self) {
        let socket = self.0.clone();
        tokio::spawn(async move {
            while socket.connected() && socket.clone().disconnect().is_err() {
                tokio::time::sleep(FULL_PAUSE).await;
            }
        });
    }
}

/// The server, and its route below `path`.
pub(super) fn mount(app: App, path: &str) -> (SocketIo, Router) {
    let path = format!("/{}", path.trim_matches('/'));
    let (service, io) = SocketIo::builder()
        .req_path(path.clone())
        .max_buffer_size(BUFFER)
        .max_payload(MAX_PAYLOAD)
        .ping_interval(PING)
        .with_state(app)
        .build_svc();
    io.ns("/", connected.with(authenticate));
    let route = Router::with_path(format!("{}/{{**rest}}", path.trim_matches('/')));
    (io, route.goal(TowerServiceCompat::<ReqBody, _, _, _>::compat(service)))
}

async fn authenticate(socket: SocketRef, State(app): State<App>, TryData(given): TryData<Auth>) -> Result<(), Unauthorized> {
    let given = given.map_err(|_| Unauthorized)?;
    let who = caller_of(&app, &given.token).await.map_err(|_| Unauthorized)?.ok_or(Unauthorized)?;
    socket.extensions.insert(Arriving { who, cursor: given.cursor });
    Ok(())
}

async fn connected(socket: SocketRef, State(app): State<App>) {
    let Some(Arriving { who, cursor }) = socket.extensions.remove::<Arriving>() else { return };
    let client = Client::new(&app.hub, who.tenant, Watcher::User(who.user, who.session), Box::new(SocketSink(socket.clone())));
    listen(&socket, client.id());
    let entered = catch_up::enter(&app, &client, cursor.as_deref()).await;
    // One that left before it was in has been let out already, in vain.
    if !entered.as_ref().is_ok_and(|sent| *sent) || !socket.connected() {
        if let Err(error) = entered {
            tracing::warn!(%error, "a client that connected cannot be served; it will come again");
        }
        app.hub.exit(client.id());
        client.close();
    }
}

/// Handlers know the client by its number only: they live in the socket, which the client holds.
fn listen(socket: &SocketRef, id: u64) {
    for (event, joins) in [("join-channel", true), ("leave-channel", false)] {
        socket.on(event, async move |State(app): State<App>, socket: SocketRef, TryData(given): TryData<Value>, ack: AckSender| {
            let Some(client) = app.hub.client(id) else { return };
            let room = named(given.ok().as_ref(), "channelInstanceId").map(ChannelInstanceId).map(Room::Channel);
            let room = match room {
                Some(room) => watchable(&app, client.tenant, room).await,
                None => None,
            };
            enter_or_leave(&app, id, room, joins, &socket, ack);
        });
    }
    for (event, joins) in [("join-conversation", true), ("leave-conversation", false)] {
        socket.on(event, async move |State(app): State<App>, socket: SocketRef, TryData(given): TryData<Value>, ack: AckSender| {
            let Some(client) = app.hub.client(id) else { return };
            let room = conversation_room(&app, &client, given.ok().as_ref()).await;
            enter_or_leave(&app, id, room, joins, &socket, ack);
        });
    }
    for (event, started) in [("typing-start", true), ("typing-stop", false)] {
        socket.on(event, async move |State(app): State<App>, TryData(given): TryData<Value>| {
            let Some(client) = app.hub.client(id) else { return };
            if let Some(Room::Conversation(conversation)) = conversation_room(&app, &client, given.ok().as_ref()).await {
                typing::say(&app.hub, &client, conversation, started).await;
            }
        });
    }
    socket.on_disconnect(async move |State(app): State<App>| app.hub.exit(id));
}

fn enter_or_leave(app: &App, client: u64, room: Option<Room>, joins: bool, socket: &SocketRef, ack: AckSender) {
    let answer = match room {
        Some(room) if joins => {
            app.hub.join(client, room);
            json!({"success": true})
        }
        Some(room) => {
            app.hub.leave(client, room);
            json!({"success": true})
        }
        None => json!({"success": false, "message": "There is no such channel or conversation"}),
    };
    if room.is_none() {
        // For clients that do not ask for an acknowledgement.
        socket.emit("join-error", &answer).unwrap_or_default();
    }
    // A client that did not ask for it gets none.
    ack.send(&answer).unwrap_or_default();
}

/// An id, or an object that has it under `name`.
fn named(given: Option<&Value>, name: &str) -> Option<uuid::Uuid> {
    let given = given?;
    let text = given.as_str().or_else(|| given.get(name)?.as_str()).or_else(|| given.get("id")?.as_str())?;
    text.parse().ok()
}

async fn conversation_room(app: &App, client: &Client, given: Option<&Value>) -> Option<Room> {
    let id = named(given, "conversationId").map(ConversationId)?;
    watchable(app, client.tenant, Room::Conversation(id)).await
}
