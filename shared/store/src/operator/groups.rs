//! Dead letters by what killed them.

use crate::{StoreError, operator_jobs::JobRow};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// No installation has more kinds of failure than this: kinds and classes are constants of the program.
const GROUPS: i64 = 500;
/// Dead letters of one group are counted up to here; in the list of all groups, up to there.
pub const COUNTED: i64 = 200_000;
pub const COUNTED_IN_LIST: i64 = 5_000;

/// Dead letters with one fingerprint (kind and class of the error).
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeadGroup {
    pub fingerprint: String,
    pub kind: String,
    pub queue: String,
    /// At most [`COUNTED`]; in the list of all groups, [`COUNTED_IN_LIST`].
    pub count: i64,
    /// Of them, those of the last five minutes.
    pub lately: i64,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    /// The latest one, and the last thing that went wrong with it.
    pub sample_id: Uuid,
    pub sample_error: Option<String>,
}

/// All groups, the latest first.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<DeadGroup>, StoreError> {
    read(conn, None, COUNTED_IN_LIST).await
}

/// One group.
pub async fn find(conn: &mut PgConnection, fingerprint: &str) -> Result<Option<DeadGroup>, StoreError> {
    Ok(read(conn, Some(fingerprint), COUNTED).await?.into_iter().next())
}

/// One index probe for each group, and a count that reads the index alone.
async fn read(conn: &mut PgConnection, only: Option<&str>, most: i64) -> Result<Vec<DeadGroup>, StoreError> {
    let mut groups = sqlx::query_as!(
        DeadGroup,
        r#"
        WITH RECURSIVE f AS (
          (SELECT fingerprint FROM jobs_dead WHERE $3::text IS NULL OR fingerprint = $3 ORDER BY fingerprint LIMIT 1)
          UNION ALL
          SELECT n.fingerprint FROM f CROSS JOIN LATERAL (
            SELECT d.fingerprint FROM jobs_dead d WHERE $3::text IS NULL AND d.fingerprint > f.fingerprint ORDER BY d.fingerprint LIMIT 1) n)
        SELECT f.fingerprint AS "fingerprint!", l.kind AS "kind!", l.queue AS "queue!", l.died_at AS "last_at!", l.id AS "sample_id!",
               l.errors -> -1 ->> 'message' AS sample_error,
               (SELECT count(*) FROM (SELECT FROM jobs_dead d WHERE d.fingerprint = f.fingerprint LIMIT $2) c) AS "count!",
               (SELECT count(*) FROM (SELECT FROM jobs_dead d WHERE d.fingerprint = f.fingerprint
                  AND d.died_at > ledger_now() - interval '5 minutes' LIMIT $2) c) AS "lately!",
               (SELECT d.died_at FROM jobs_dead d WHERE d.fingerprint = f.fingerprint ORDER BY d.fingerprint, d.died_at LIMIT 1) AS "first_at!"
        FROM f CROSS JOIN LATERAL (
          SELECT * FROM jobs_dead d WHERE d.fingerprint = f.fingerprint ORDER BY d.fingerprint DESC, d.died_at DESC LIMIT 1) l
        LIMIT $1
        "#,
        GROUPS,
        most,
        only
    )
    .fetch_all(conn)
    .await?;
    groups.sort_by_key(|group| std::cmp::Reverse(group.last_at));
    Ok(groups)
}

/// A group's dead letters, the latest first; with `before`, those that died before that (and by id among equals).
pub async fn letters(
    conn: &mut PgConnection,
    fingerprint: &str,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<JobRow>, StoreError> {
    Ok(sqlx::query_as!(
        JobRow,
        r#"
        SELECT id, state, kind, queue, tenant_id, attempt, crashes, created_at, died_at AS "at?", fingerprint AS "fingerprint?",
               errors -> -1 ->> 'message' AS error
        FROM jobs_dead
        WHERE fingerprint = $1 AND ($2::timestamptz IS NULL OR died_at <= $2 AND (died_at, id) < ($2, $3::uuid))
        ORDER BY fingerprint DESC, died_at DESC, id DESC LIMIT $4
        "#,
        fingerprint,
        before.map(|(at, _)| at),
        before.map(|(_, id)| id),
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// How many dead letters each queue has, and the whole: sums of groups.
pub fn by_queue<'a>(groups: &'a [DeadGroup], queue: &'a str) -> i64 {
    groups.iter().filter(|group| group.queue == queue).map(|group| group.count).sum()
}

/// What a dead letter's job was to do, and what went wrong: to be looked at before it is released.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Sample {
    pub id: Uuid,
    pub args: Value,
    pub errors: Value,
}

/// The latest dead letters of a group in full.
pub async fn samples(conn: &mut PgConnection, fingerprint: &str, limit: i64) -> Result<Vec<Sample>, StoreError> {
    Ok(sqlx::query_as!(
        Sample,
        "SELECT id, args, errors FROM jobs_dead WHERE fingerprint = $1 ORDER BY fingerprint DESC, died_at DESC LIMIT $2",
        fingerprint,
        limit
    )
    .fetch_all(conn)
    .await?)
}
