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
pub async fn try_lead(pool: &PgPool) -> Result<Option<Leadership>, StoreError> {
    // A connection of its own: a pool may recycle or share one.
    let mut conn = PgConnection::connect_with(&pool.connect_options()).await?;
    let got = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "got!""#, LEADER_KEY).fetch_one(&mut conn).await?;
    if got {
        return Ok(Some(Leadership { conn }));
    }
    conn.close().await?;
    Ok(None)
}

impl Leadership {
    /// Fails when the connection, and the lock with it, is gone.
    pub async fn check(&mut self) -> Result<(), StoreError> {
        self.conn.ping().await?;
        Ok(())
    }

    /// Gives the lock up at once.
    pub async fn resign(self) {
        // The server frees the lock when the connection ends, however it ends.
        drop(self.conn.close().await);
    }
}
