//! Reads what changed, in order, and hands it to those who watch. Redis says when to look; without it a look is taken every second.

use super::{
    Hub,
    frames::{self, Shown},
    hub::{BREATH, BURST},
};
use crate::App;
use futures::StreamExt;
use jobs::wake::CHANGED_CHANNEL;
use std::{sync::Arc, time::Duration};
use store::realtime;

/// Rows that are read at once.
const ROWS: i64 = 200;
/// How long until a look without being told.
const LOOK: Duration = Duration::from_secs(1);
/// How long until a look when something is there that must wait for an older transaction, and the least pause between two looks.
const SOON: Duration = Duration::from_millis(4);
const AFTER_TROUBLE: Duration = Duration::from_millis(500);

/// Delivers for ever.
pub(super) async fn deliver(app: App) {
    loop {
        let pause = match round(&app).await {
            Ok(Next::More) => Duration::ZERO,
            Ok(Next::Soon) => SOON,
            Ok(Next::Told) => {
                tokio::time::timeout(LOOK, app.hub.bell.notified()).await.unwrap_or_default();
                Duration::from_millis(1)
            }
            Err(error) => {
                tracing::warn!(%error, "what changed cannot be read; those who watch get it later");
                AFTER_TROUBLE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// When to look again.
enum Next {
    /// There is more.
    More,
    /// There is more that is not settled.
    Soon,
    /// When something happens.
    Told,
}

async fn round(app: &App) -> Result<Next, crate::ApiError> {
    let Some(watched) = app.hub.watched() else { return Ok(Next::Told) };
    let read = realtime::after(&app.operator, watched.position, &watched.tenants, ROWS).await?;
    if read.rows.is_empty() {
        return Ok(if read.more { Next::Soon } else { Next::Told });
    }
    for Shown { position, tenant, frames } in frames::render(app, &read.rows, 0).await? {
        if !app.hub.advance(watched.generation, position) {
            return Ok(Next::More);
        }
        let mut frames = frames.into_iter().peekable();
        while frames.peek().is_some() {
            app.hub.show(tenant, frames.by_ref().take(BURST));
            if frames.peek().is_some() {
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    Ok(if read.more { Next::More } else { Next::Soon })
}

/// Hears that something changed, for ever; subscribes again whenever the connection is lost.
pub(super) async fn listen(hub: Arc<Hub>, client: redis::Client) {
    loop {
        if let Ok(mut pubsub) = client.get_async_pubsub().await
            && pubsub.subscribe(&[CHANGED_CHANNEL, super::typing::TYPING_CHANNEL]).await.is_ok()
        {
            // What was said while nobody listened.
            hub.bell.notify_one();
            let mut messages = pubsub.on_message();
            while let Some(message) = messages.next().await {
                if message.get_channel_name() == CHANGED_CHANNEL {
                    hub.bell.notify_one();
                } else if let Ok(text) = message.get_payload::<String>() {
                    super::typing::heard(&hub, &text);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
