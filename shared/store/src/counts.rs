//! Figures that are exact at once: what is folded, and what is not folded yet (see the migration `counts`).

use crate::StoreError;
use chrono::NaiveDate;
use domain::TenantId;
use sqlx::{PgConnection, PgPool};

/// The sum of some measures over all days.
pub async fn total(conn: &mut PgConnection, tenant: TenantId, measures: &[String]) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT (coalesce((SELECT sum(n) FROM counts WHERE tenant_id = $1 AND measure = ANY($2)), 0)
              + coalesce((SELECT sum(n) FROM count_changes WHERE tenant_id = $1 AND measure = ANY($2)), 0))::int8 AS "total!"
        "#,
        tenant.0,
        measures
    )
    .fetch_one(conn)
    .await?)
}

/// A measure on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCount {
    pub measure: String,
    pub day: NaiveDate,
    pub n: i64,
}

/// Measures day by day, the newest first, from `since` on. Days without any are absent.
pub async fn by_day(
    conn: &mut PgConnection,
    tenant: TenantId,
    measures: &[String],
    since: Option<NaiveDate>,
) -> Result<Vec<DayCount>, StoreError> {
    Ok(sqlx::query_as!(
        DayCount,
        r#"
        SELECT measure AS "measure!", day AS "day!", sum(n)::int8 AS "n!" FROM (
          SELECT measure, day, n FROM counts WHERE tenant_id = $1 AND measure = ANY($2) AND ($3::date IS NULL OR day >= $3)
          UNION ALL SELECT measure, day, n FROM count_changes WHERE tenant_id = $1 AND measure = ANY($2) AND ($3::date IS NULL OR day >= $3)) c
        GROUP BY measure, day HAVING sum(n) <> 0 ORDER BY day DESC, measure
        "#,
        tenant.0,
        measures,
        since
    )
    .fetch_all(conn)
    .await?)
}

/// The sum of some measures over all days and tenants. For operators.
pub async fn total_of_all(conn: &mut PgConnection, measures: &[String]) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        SELECT (coalesce((SELECT sum(n) FROM counts WHERE tenant_id = 0 AND measure = ANY($1)), 0)
              + coalesce((SELECT sum(n) FROM count_changes WHERE measure = ANY($1)), 0))::int8 AS "total!"
        "#,
        measures
    )
    .fetch_one(conn)
    .await?)
}

/// Folds up to `limit` changes into the counts, of each tenant and (as tenant 0) of all; returns how many. Safe to run anywhere at any time: a reader sees each change
/// once, before and after.
pub async fn fold(pool: &PgPool, limit: i64) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        WITH taken AS (
          DELETE FROM count_changes WHERE ctid = ANY(ARRAY(SELECT ctid FROM count_changes LIMIT $1 FOR UPDATE SKIP LOCKED))
          RETURNING tenant_id, measure, day, n),
        folded AS (
          INSERT INTO counts AS c (tenant_id, measure, day, n)
          SELECT coalesce(tenant_id, 0), measure, day, sum(n) FROM taken GROUP BY GROUPING SETS ((tenant_id, measure, day), (measure, day))
          HAVING sum(n) <> 0 ORDER BY 1, 2, 3
          ON CONFLICT (tenant_id, measure, day) DO UPDATE SET n = c.n + excluded.n)
        SELECT count(*) AS "n!" FROM taken
        "#,
        limit
    )
    .fetch_one(pool)
    .await?)
}
