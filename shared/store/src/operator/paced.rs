//! Acts on many jobs or webhooks, some each second. An operator writes one down; the leader goes on with it, and shows how far it is.

use crate::{
    StoreError,
    ledger::{self, NewJob},
    operator::planning,
    operator_jobs::{self, Actor, JobFilter, record},
    operator_replay::{ReplayEvent, ReplayFilter},
};
use chrono::{DateTime, Utc};
use domain::JobId;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// What is done to each.
#[derive(Clone, Debug)]
pub enum Work {
    /// Dead letters go back into the ledger.
    Retry(JobFilter),
    /// Dead letters are given up.
    Discard(JobFilter),
    /// Raw events are processed once more.
    Replay(ReplayFilter),
}

impl Work {
    fn name(&self) -> &'static str {
        match self {
            Self::Retry(_) => "retry",
            Self::Discard(_) => "discard",
            Self::Replay(_) => "replay",
        }
    }

    fn filter(&self) -> Value {
        // Filters are plain data; they cannot fail to become JSON.
        match self {
            Self::Retry(filter) | Self::Discard(filter) => serde_json::to_value(filter).unwrap_or_default(),
            Self::Replay(filter) => serde_json::to_value(filter).unwrap_or_default(),
        }
    }

    fn read(act: &str, filter: Value) -> Option<Self> {
        match act {
            "retry" => serde_json::from_value(filter).ok().map(Self::Retry),
            "discard" => serde_json::from_value(filter).ok().map(Self::Discard),
            "replay" => serde_json::from_value(filter).ok().map(Self::Replay),
            _ => None,
        }
    }
}

/// An act and how far it is.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PacedAct {
    pub id: Uuid,
    /// `retry`, `discard` or `replay`.
    pub act: String,
    pub filter: Value,
    pub per_second: i32,
    /// How many there were when it began.
    pub total: i64,
    pub done: i64,
    /// Left alone: the same work was queued already.
    pub skipped: i64,
    /// `running`, `done` or `stopped`.
    pub state: String,
    /// Why it stopped by itself.
    pub note: Option<String>,
    pub actor: String,
    pub reason: Option<String>,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Writes an act down, with `total` for its progress. It begins within a second.
pub async fn begin(pool: &PgPool, actor: &Actor, work: &Work, per_second: i32, total: i64) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    let mut tx = pool.begin().await?;
    sqlx::query!(
        "INSERT INTO paced_acts (id, act, filter, per_second, total, actor, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id,
        work.name(),
        work.filter(),
        per_second,
        total,
        actor.name,
        actor.reason
    )
    .execute(&mut *tx)
    .await?;
    let subject = json!({"act": work.name(), "filter": work.filter(), "per_second": per_second, "paced_act": id});
    record(&mut tx, actor, "paced.begin", &subject, u64::try_from(total).unwrap_or(0).max(1)).await?;
    tx.commit().await?;
    Ok(id)
}

/// Stops one. False: it was over.
pub async fn stop(pool: &PgPool, actor: &Actor, id: Uuid) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await?;
    let changed = sqlx::query!("UPDATE paced_acts SET state = 'stopped', ended_at = now() WHERE id = $1 AND state = 'running'", id)
        .execute(&mut *tx)
        .await?
        .rows_affected();
    record(&mut tx, actor, "paced.stop", &json!({"paced_act": id}), changed).await?;
    tx.commit().await?;
    Ok(changed > 0)
}

/// The latest acts.
pub async fn list(conn: &mut PgConnection, limit: i64) -> Result<Vec<PacedAct>, StoreError> {
    Ok(sqlx::query_as!(
        PacedAct,
        "SELECT id, act, filter, per_second, total, done, skipped, state, note, actor, reason, started_at, ended_at FROM paced_acts ORDER BY started_at DESC LIMIT $1",
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// One act.
pub async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<PacedAct>, StoreError> {
    Ok(sqlx::query_as!(
        PacedAct,
        "SELECT id, act, filter, per_second, total, done, skipped, state, note, actor, reason, started_at, ended_at FROM paced_acts WHERE id = $1",
        id
    )
    .fetch_optional(conn)
    .await?)
}

/// A part of an act that is due now.
#[derive(Debug)]
pub struct Due {
    pub id: Uuid,
    pub work: Work,
    pub started_at: DateTime<Utc>,
    after: Option<Uuid>,
    /// So many may be done now.
    pub allowance: i64,
}

/// The acts that run, each with as much as its pace allows since it last moved (at most a second's worth).
pub async fn due(pool: &PgPool) -> Result<Vec<Due>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT id, act, filter, started_at, after,
               floor(per_second * least(extract(epoch FROM now() - moved_at), 1.0))::int8 AS "allowance!"
        FROM paced_acts
        -- What is released while its kind or queue is paused would wait, and then run all at once.
        WHERE state = 'running'
          AND NOT (act = 'retry' AND EXISTS (SELECT FROM job_pauses p WHERE p.what IN ('kind:' || (filter ->> 'kind'), 'queue:' || (filter ->> 'queue'))))
        ORDER BY started_at
        "#
    )
    .fetch_all(pool)
    .await?;
    let mut due = Vec::new();
    for row in rows.into_iter().filter(|row| row.allowance > 0) {
        match Work::read(&row.act, row.filter) {
            Some(work) => due.push(Due { id: row.id, work, started_at: row.started_at, after: row.after, allowance: row.allowance }),
            None => give_up(pool, row.id, "another version began this, and this one cannot read it").await?,
        }
    }
    Ok(due)
}

/// Stops an act that cannot go on, and says why.
pub async fn give_up(pool: &PgPool, id: Uuid, why: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE paced_acts SET state = 'stopped', ended_at = now(), note = 'stopped by itself: ' || $2 WHERE id = $1 AND state = 'running'",
        id,
        why
    )
    .execute(pool)
    .await?;
    Ok(())
}

impl Due {
    /// Where to read raw events on.
    pub fn after(&self) -> Option<domain::RawEventId> {
        self.after.map(domain::RawEventId)
    }

    /// Retries or discards the next part, and moves on, both or neither. Does nothing if another leader moved it meanwhile.
    pub async fn letters(&self, pool: &PgPool) -> Result<(), StoreError> {
        let after = self.after.map(JobId);
        let mut tx = planning(pool).await?;
        if !self.is_ours(&mut tx).await? {
            return Ok(());
        }
        let acted = match &self.work {
            Work::Retry(filter) => operator_jobs::retry_some(&mut tx, filter, after, Some(self.started_at), self.allowance, false).await?,
            Work::Discard(filter) => operator_jobs::discard_some(&mut tx, filter, after, Some(self.started_at), self.allowance).await?,
            Work::Replay(_) => return Ok(()),
        };
        self.moved(&mut tx, acted.affected, acted.skipped, acted.next.map(|id| id.0)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Enqueues the jobs of the next raw events, and moves on, both or neither. No events: it is over.
    pub async fn events(&self, pool: &PgPool, events: &[ReplayEvent], jobs: &[NewJob]) -> Result<(), StoreError> {
        let mut tx = pool.begin().await?;
        if !self.is_ours(&mut tx).await? {
            return Ok(());
        }
        ledger::enqueue(&mut tx, jobs).await?;
        let next = events.last().filter(|_| i64::try_from(events.len()).is_ok_and(|count| count == self.allowance)).map(|event| event.id.0);
        self.moved(&mut tx, events.len() as u64, 0, next).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn is_ours(&self, conn: &mut PgConnection) -> Result<bool, StoreError> {
        let row = sqlx::query_scalar!(
            r#"SELECT after IS NOT DISTINCT FROM $2 AND state = 'running' AS "ours!" FROM paced_acts WHERE id = $1 FOR UPDATE"#,
            self.id,
            self.after
        );
        Ok(row.fetch_optional(conn).await?.unwrap_or(false))
    }

    async fn moved(&self, conn: &mut PgConnection, done: u64, skipped: u64, next: Option<Uuid>) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE paced_acts SET done = done + $2, skipped = skipped + $3, after = coalesce($4, after), moved_at = now(),
                    state = CASE WHEN $4::uuid IS NULL THEN 'done' ELSE state END, ended_at = CASE WHEN $4::uuid IS NULL THEN now() END
             WHERE id = $1",
            self.id,
            i64::try_from(done).unwrap_or(0),
            i64::try_from(skipped).unwrap_or(0),
            next
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// Stops releases whose jobs die again: at least `least` of a fingerprint died since the release began, and more than half of what it released.
/// Returns the fingerprints.
pub async fn stop_failing(pool: &PgPool, least: i64) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        UPDATE paced_acts p SET state = 'stopped', ended_at = now(), note = 'stopped by itself: ' || d.n || ' of ' || p.done || ' died again'
        FROM (SELECT a.id, (SELECT count(*) FROM (SELECT FROM jobs_dead x WHERE x.fingerprint = a.filter ->> 'fingerprint' AND x.died_at > a.started_at LIMIT 10000) y) AS n
              FROM paced_acts a WHERE a.state = 'running' AND a.act = 'retry' AND a.filter ? 'fingerprint') d
        WHERE p.id = d.id AND p.state = 'running' AND d.n >= $1 AND d.n * 2 > p.done
        RETURNING p.filter ->> 'fingerprint' AS "fingerprint!"
        "#,
        least
    )
    .fetch_all(pool)
    .await?)
}
