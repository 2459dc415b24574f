//! Partitions made ahead, and old ones dropped.

use crate::StoreError;
use chrono::NaiveDate;
use sqlx::PgPool;

/// Makes the partitions of yesterday (clocks differ) up to `days_ahead` days from now.
pub async fn ensure_partitions(pool: &PgPool, days_ahead: i32) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        SELECT ensure_day_partition(parent, (now() AT TIME ZONE 'utc')::date + day)::text AS made
        FROM unnest(ARRAY['raw_webhook_events', 'jobs_done']) parent, generate_series(-1, $1) day
        "#,
        days_ahead
    )
    .fetch_all(pool)
    .await?;
    Ok(())
}

/// Tells the planner how large the tables are that change fastest. Autovacuum does it too, but may lag behind a fresh start.
pub async fn refresh_statistics(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query!("SELECT refresh_statistics()::text AS refreshed").fetch_one(pool).await?;
    Ok(())
}

/// Days of `raw_webhook_events` older than `keep_days` that no unfinished job, no dead letter and nothing held needs.
pub async fn expired_raw_days(pool: &PgPool, keep_days: i32) -> Result<Vec<NaiveDate>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        WITH days AS (
          SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = 'raw_webhook_events'::regclass),
        needed AS (
          -- The first 48 bits of a version 7 uuid are its time in milliseconds.
          SELECT DISTINCT (to_timestamp(('x' || left(replace(e.id, '-', ''), 12))::bit(48)::bigint / 1000.0) AT TIME ZONE 'utc')::date AS day
          FROM (SELECT args FROM jobs WHERE kind = 'process_webhook' UNION ALL SELECT args FROM jobs_dead WHERE kind = 'process_webhook') j
          CROSS JOIN LATERAL jsonb_array_elements_text(
            CASE WHEN jsonb_typeof(j.args -> 'event_ids') = 'array' THEN j.args -> 'event_ids' ELSE '[]' END) e(id)
          WHERE e.id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7'
          UNION SELECT day_of_id(raw_event_id) FROM held_webhook_events)
        SELECT day AS "day!" FROM days
        WHERE day < (now() AT TIME ZONE 'utc')::date - $1::int AND NOT EXISTS (SELECT FROM needed n WHERE n.day = days.day)
        ORDER BY day
        "#,
        keep_days
    )
    .fetch_all(pool)
    .await?)
}

/// Days of `jobs_done` older than `keep_days`.
pub async fn expired_done_days(pool: &PgPool, keep_days: i32) -> Result<Vec<NaiveDate>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS "day!"
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'jobs_done'::regclass AND to_date(right(c.relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'utc')::date - $1::int
        ORDER BY 1
        "#,
        keep_days
    )
    .fetch_all(pool)
    .await?)
}

/// A partitioned table whose days can be dropped.
#[derive(Clone, Copy, Debug)]
pub enum DayTable {
    RawWebhookEvents,
    JobsDone,
}

/// Drops one day of `table`.
pub async fn drop_day(pool: &PgPool, table: DayTable, day: NaiveDate) -> Result<(), StoreError> {
    let parent = match table {
        DayTable::RawWebhookEvents => "raw_webhook_events",
        DayTable::JobsDone => "jobs_done",
    };
    sqlx::query!("SELECT drop_day_partition($1, $2)::text AS dropped", parent, day).fetch_one(pool).await?;
    Ok(())
}
