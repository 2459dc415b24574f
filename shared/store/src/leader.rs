//! One leader at a time, by an advisory lock that lives and dies with its connection.

use crate::StoreError;
use sqlx::{Connection, PgConnection, PgPool};

/// The lock's key: the bytes of "swbd".
const LEADER_KEY: i64 = 0x7377_6264;

/// Leadership. Dropping it (or losing the connection) lets another process take over.
#[derive(Debug)]
pub struct Leadership {
    conn: PgConnection,
}

/// Tries to become the leader. `None`: somebody else is.
///
/// A leader that stalled (its last beat is older than `limit_seconds`) is put off: its connection is ended, so that the lock
/// is free at the next try, and it finds out when it comes back.
pub async fn try_lead(pool: &PgPool, limit_seconds: f64) -> Result<Option<Leadership>, StoreError> {
    // A connection of its own: a pool may recycle or share one.
    let mut conn = PgConnection::connect_with(&pool.connect_options()).await?;
    let got = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "got!""#, LEADER_KEY).fetch_one(&mut conn).await?;
    if got {
        let mut leadership = Leadership { conn };
        leadership.beat().await?;
        return Ok(Some(leadership));
    }
    sqlx::query!("SELECT put_off_leader($1, $2)::text AS ended", LEADER_KEY, limit_seconds).fetch_one(&mut conn).await?;
    conn.close().await?;
    Ok(None)
}

impl Leadership {
    /// Shows that the leader lives. Fails when the connection, and the lock with it, is gone.
    pub async fn beat(&mut self) -> Result<(), StoreError> {
        sqlx::query!("INSERT INTO job_leader (beat_at) VALUES (now()) ON CONFLICT (only_row) DO UPDATE SET beat_at = excluded.beat_at")
            .execute(&mut self.conn)
            .await?;
        Ok(())
    }

    /// Gives the lock up at once.
    pub async fn resign(self) {
        // The server frees the lock when the connection ends, however it ends.
        drop(self.conn.close().await);
    }
}
