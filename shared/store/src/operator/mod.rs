//! What operators see of the whole installation, and what they decide: who is signed in, which processes there are, what is paused, how the queues
//! do and did, where a message is.

pub mod groups;
pub mod journey;
pub mod overview;
pub mod paced;
pub mod pauses;
pub mod preview;
pub mod processes;
pub mod samples;
pub mod search;
pub mod sessions;
pub mod webhooks;

use crate::StoreError;
use sqlx::{PgPool, Postgres, Transaction};

/// A transaction that only reads, gives up after two seconds, and plans each statement for what is asked: an operator's question
/// may be any, and must not take a connection from the engine for long.
pub async fn reading(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = 2000; SET LOCAL plan_cache_mode = 'force_custom_plan'";
    Ok(pool.begin_with(BEGIN).await?)
}

/// A transaction that plans each statement for what is asked, for a plan for any filter would walk over everything; and gives up a statement
/// after twenty seconds, or after five of waiting for others.
pub async fn planning(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    const BEGIN: &str =
        "BEGIN; SET LOCAL lock_timeout = 5000; SET LOCAL statement_timeout = 20000; SET LOCAL plan_cache_mode = 'force_custom_plan'";
    Ok(pool.begin_with(BEGIN).await?)
}
