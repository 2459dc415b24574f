//! Acts of operators that go on for a while: so many dead letters released, or webhooks replayed, each second.

use jobs::process_webhook::{Lanes, StoredEvent, jobs_for};
use std::{collections::BTreeMap, time::Duration};
use store::{
    PgPool, StoreError,
    operator::paced::{self, Due, Work},
    operator_replay, within,
};
use uuid::Uuid;

/// How often a part is done.
const EVERY: Duration = Duration::from_millis(250);
/// More than a statement may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A release is stopped when so many of its jobs died again, and they are more than half of it.
const DIED_AGAIN: i64 = 5;

/// An act is given up when its next part went wrong so often in a row.
const TRIES: u32 = 20;

/// Goes on for ever.
pub(super) async fn go_on(pool: PgPool) {
    let mut troubles = BTreeMap::new();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = round(&pool, &mut troubles).await {
            tracing::warn!(%error, "cannot go on with operators' acts; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn round(pool: &PgPool, troubles: &mut BTreeMap<Uuid, u32>) -> Result<(), StoreError> {
    let due = within(ANSWER_WITHIN, paced::due(pool)).await?;
    if due.is_empty() {
        return Ok(());
    }
    for fingerprint in within(ANSWER_WITHIN, paced::stop_failing(pool, DIED_AGAIN)).await? {
        tracing::warn!(fingerprint, "a release was stopped: its jobs die again");
    }
    // One that cannot go on holds up no other.
    for act in due {
        let Err(error) = within(ANSWER_WITHIN, part(pool, &act)).await else {
            troubles.remove(&act.id);
            continue;
        };
        tracing::warn!(act = %act.id, %error, "cannot go on with an operator's act");
        let tries = troubles.entry(act.id).or_default();
        *tries += 1;
        if error.timed_out() {
            let why = "to find the next ones took too long; begin again with a shorter time, a tenant, or a group";
            within(ANSWER_WITHIN, paced::give_up(pool, act.id, why)).await?;
        } else if !error.is_transient() && *tries >= TRIES {
            within(ANSWER_WITHIN, paced::give_up(pool, act.id, &error.to_string())).await?;
        }
    }
    Ok(())
}

async fn part(pool: &PgPool, act: &Due) -> Result<(), StoreError> {
    match &act.work {
        Work::Retry(_) | Work::Discard(_) => act.letters(pool).await,
        Work::Replay(filter) => {
            let events = operator_replay::find(pool, filter, act.after(), act.allowance).await?;
            replay(pool, act, &events).await
        }
    }
}

async fn replay(pool: &PgPool, part: &Due, events: &[operator_replay::ReplayEvent]) -> Result<(), StoreError> {
    let stored: Vec<_> = events
        .iter()
        .map(|event| StoredEvent { id: event.id, tenant_id: event.tenant_id, size: usize::try_from(event.size_bytes).unwrap_or(0) })
        .collect();
    part.events(pool, events, &jobs_for(&stored, Lanes::PerTenant, None)).await
}
