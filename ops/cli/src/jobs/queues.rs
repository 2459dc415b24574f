//! `switchboard jobs pause` and `resume`.

use crate::{console, error::CliError};
use store::{
    PgPool,
    operator_jobs::{self, Actor},
};

pub(super) async fn pause(pool: &PgPool, actor: &Actor, queue: &str) -> Result<(), CliError> {
    known(queue)?;
    let changed = operator_jobs::pause(pool, actor, queue).await?;
    console::line(&if changed {
        format!("paused: {queue} (running jobs end; nothing new starts)")
    } else {
        format!("{queue} was paused already")
    });
    Ok(())
}

pub(super) async fn resume(pool: &PgPool, actor: &Actor, queue: &str) -> Result<(), CliError> {
    known(queue)?;
    let changed = operator_jobs::resume(pool, actor, queue).await?;
    console::line(&if changed { format!("resumed: {queue}") } else { format!("{queue} was not paused") });
    Ok(())
}

/// A slip of the pen would pause nothing, silently.
fn known(queue: &str) -> Result<(), CliError> {
    if jobs::queue::find(queue).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = jobs::queue::ALL.iter().map(|queue| queue.name).collect();
    Err(CliError::Usage(format!("there is no queue {queue}; there are: {}", names.join(", "))))
}
