//! Who may go on watching.

use crate::App;
use std::time::Duration;
use store::sessions;

/// How often sessions are looked at that may have ended.
const LOOK: Duration = Duration::from_secs(5);

/// Ends the watching of those who have signed out, or were signed out, for ever. A token that has expired does not matter: it opened the connection, and
/// its user is signed in as long as the session lives.
pub(super) async fn keep_out_the_signed_out(app: App) {
    loop {
        tokio::time::sleep(LOOK).await;
        let watching = app.hub.sessions();
        if watching.is_empty() {
            continue;
        }
        match sessions::live(&app.operator, &watching).await {
            Ok(live) => {
                let ended = watching.into_iter().map(|(_, session)| session).filter(|session| !live.contains(session)).collect();
                app.hub.close_sessions(&ended);
            }
            Err(error) => tracing::debug!(%error, "sessions cannot be looked at; it is tried again"),
        }
    }
}
