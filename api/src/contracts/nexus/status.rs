//! Figures and health.

use crate::{
    auth::Operator,
    health::{State, verdict},
    prelude::*,
};
use store::operator_status;

/// Figures of all tenants, exact at once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stats {
    /// Conversations that are open.
    active_chats: i64,
    messages_processed: i64,
    /// Dead jobs and failed messages of the last 24 hours.
    errors_24h: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthView {
    /// `ok`, `degraded` (Redis is away: work is done later) or `down`.
    status: String,
    /// `connected` or `disconnected`.
    db: String,
    /// `connected`, `disconnected` or `unused`.
    redis: String,
}

/// Figures of all tenants
#[endpoint]
pub(super) async fn stats(app: App, _operator: Operator) -> Result<Ok200<Stats>, ApiError> {
    let figures = operator_status::figures(&mut *app.operator_conn().await?).await?;
    Ok200::new(&Stats { active_chats: figures.active_chats, messages_processed: figures.messages, errors_24h: figures.errors_24h })
}

/// What is connected
#[endpoint]
pub(super) async fn health(app: App, _operator: Operator) -> Result<Ok200<HealthView>, ApiError> {
    let (db, redis) = app.health.look().await;
    let word = |state| match state {
        State::Up => "connected",
        State::Down => "disconnected",
        State::Unused => "unused",
    };
    let (_, status) = verdict(db, redis);
    Ok200::new(&HealthView { status: status.to_owned(), db: word(db).to_owned(), redis: word(redis).to_owned() })
}
