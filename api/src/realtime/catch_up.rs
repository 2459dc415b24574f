//! Letting a client in: from where on it is served, and what it missed since it was last there.

use super::{
    cursor::Cursor,
    frames::{self, Frame},
    hub::{BREATH, BURST, Client, Room},
};
use crate::{ApiError, App};
use serde_json::json;
use std::sync::Arc;
use store::realtime;
use tokio::time::sleep;

/// Missed transactions that are sent; who missed more reads everything anew.
const MOST: usize = 1_000;

/// Lets a client in that watches this room and nothing else, from now on.
pub(super) async fn enter_room(app: &App, client: &Arc<Client>, room: Room) -> Result<bool, ApiError> {
    let start = realtime::now(&app.operator).await?;
    let served_from = app.hub.enter(client, start);
    app.hub.join(client.id(), room);
    let told = client.send_now(&of_its_own("ready", served_from, "What happens from now on is shown"));
    Ok(told && client.release().await)
}

/// Lets `client` in and sends it what it missed since `cursor`, if it names one; then what happens. False: it did not take it.
pub(super) async fn enter(app: &App, client: &Arc<Client>, cursor: Option<&str>) -> Result<bool, ApiError> {
    let start = realtime::now(&app.operator).await?;
    let served_from = app.hub.enter(client, start);
    let mut sent = true;
    let missed = match cursor.map(str::parse::<Cursor>) {
        None => Some(Vec::new()),
        Some(Ok(cursor)) => missed(app, client, cursor, served_from).await?,
        Some(Err(_)) => None,
    };
    match missed {
        Some(frames) => {
            for part in frames.chunks(BURST) {
                sent &= part.iter().all(|frame| client.send_now(frame));
                sleep(BREATH).await;
            }
        }
        None => sent &= client.send_now(&of_its_own("reload", served_from, "More was missed than is kept: read everything anew")),
    }
    sent &= client.send_now(&of_its_own("ready", served_from, "What happens from now on is shown"));
    Ok(sent && client.release().await)
}

fn of_its_own(event: &'static str, position: realtime::Position, message: &str) -> Frame {
    Frame { room: Room::Tenant, event, data: json!({"cursor": Cursor::after(position).to_string(), "message": message}) }
}

/// `None`: it is too much, or not kept any more.
async fn missed(app: &App, client: &Client, cursor: Cursor, until: realtime::Position) -> Result<Option<Vec<Frame>>, ApiError> {
    if cursor.row > until {
        // Another process is ahead of this one; it is served from here on, and may see a little of it twice.
        return Ok(Some(Vec::new()));
    }
    // A row that was seen in part is read again.
    let from = if cursor.seen.is_some() { cursor.row.before() } else { cursor.row };
    let Some(rows) = realtime::between(&app.operator, client.tenant, (from, until), MOST).await? else { return Ok(None) };
    let seen = cursor.seen.filter(|_| rows.first().is_some_and(|row| row.position == cursor.row)).unwrap_or(0);
    let frames = frames::render(app, &rows, seen).await?;
    Ok(Some(frames.into_iter().flat_map(|shown| shown.frames).collect()))
}
