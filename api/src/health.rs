//! `GET /health`: can this process take work? Looks at most once a second, however many ask.

use chrono::SecondsFormat;
use platform::Clock;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, async_trait, http::StatusCode, writing::Json};
use serde::Serialize;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use store::PgPool;
use tokio::sync::Mutex;

/// A look that takes longer counts as a failure.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// How long a look is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Up,
    Down,
    Unused,
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    db: State,
    redis: State,
    uptime: u64,
    timestamp: String,
}

#[derive(Debug)]
pub(crate) struct Health {
    pool: PgPool,
    redis: Option<redis::Client>,
    clock: Arc<dyn Clock>,
    started: Instant,
    last: Mutex<Option<(Instant, State, State)>>,
}

impl Health {
    /// `redis`: `None` if this process does without.
    pub(crate) fn new(pool: PgPool, redis: Option<redis::Client>, clock: Arc<dyn Clock>) -> Self {
        Self { pool, redis, clock, started: Instant::now(), last: Mutex::new(None) }
    }

    /// Those who ask during a look wait for it and share it.
    pub(crate) async fn look(&self) -> (State, State) {
        let mut last = self.last.lock().await;
        if let Some((at, db, redis)) = *last
            && at.elapsed() < BELIEVED_FOR
        {
            return (db, redis);
        }
        let (db, redis) = tokio::join!(self.database(), self.redis());
        *last = Some((Instant::now(), db, redis));
        (db, redis)
    }

    async fn database(&self) -> State {
        match tokio::time::timeout(LOOK_LIMIT, store::operator_status::now(&self.pool)).await {
            Ok(Ok(_)) => State::Up,
            Ok(Err(_)) | Err(_) => State::Down,
        }
    }

    async fn redis(&self) -> State {
        let Some(client) = &self.redis else { return State::Unused };
        let ping = async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("PING").query_async::<()>(&mut connection).await
        };
        match tokio::time::timeout(LOOK_LIMIT, ping).await {
            Ok(Ok(())) => State::Up,
            Ok(Err(_)) | Err(_) => State::Down,
        }
    }
}

/// Webhooks are taken as long as the database is up; without Redis they are processed later.
pub(crate) fn verdict(db: State, redis: State) -> (StatusCode, &'static str) {
    match (db, redis) {
        (State::Up, State::Up | State::Unused) => (StatusCode::OK, "ok"),
        (State::Up, State::Down) => (StatusCode::OK, "degraded"),
        (State::Down | State::Unused, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
    }
}

#[async_trait]
impl Handler for Health {
    async fn handle(&self, _req: &mut Request, _depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        let (db, redis) = self.look().await;
        let (code, status) = verdict(db, redis);
        let timestamp = self.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
        res.status_code(code);
        res.render(Json(Report { status, db, redis, uptime: self.started.elapsed().as_secs(), timestamp }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_database_that_is_away_takes_the_process_out_of_service() {
        assert_eq!(verdict(State::Up, State::Up), (StatusCode::OK, "ok"));
        assert_eq!(verdict(State::Up, State::Unused), (StatusCode::OK, "ok"));
        assert_eq!(verdict(State::Up, State::Down), (StatusCode::OK, "degraded"));
        assert_eq!(verdict(State::Down, State::Up), (StatusCode::SERVICE_UNAVAILABLE, "down"));
    }
}
