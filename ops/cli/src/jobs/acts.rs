//! `switchboard jobs retry`, `discard`, `cancel`: in chunks, after a question when there are many.

use super::FilterArgs;
use crate::{confirm, console, error::CliError};
use store::{
    PgPool,
    operator_jobs::{self, Actor, JobFilter},
};
use uuid::Uuid;

/// Each chunk is a transaction of its own.
const CHUNK: i64 = 1_000;
/// A partition for what ends now is made ahead, in case nobody has run for days.
const DAYS_AHEAD: i32 = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct ActArgs {
    /// Ids of jobs
    #[arg(value_name = "ID")]
    ids: Vec<Uuid>,
    #[command(flatten)]
    filter: FilterArgs,
    /// All that match the filters, instead of ids
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Do not ask, however many there are
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Retry,
    Discard,
    Cancel,
}

pub(super) async fn run(pool: &PgPool, actor: &Actor, act: Act, args: &ActArgs) -> Result<(), CliError> {
    if args.ids.is_empty() && !args.all {
        let hint = if args.filter.is_empty() { "name jobs by id, or use --all" } else { "with filters, add --all to act on every match" };
        return Err(CliError::Usage(hint.to_owned()));
    }
    if act == Act::Cancel && args.filter.fingerprint.is_some() {
        return Err(CliError::Usage("only dead letters have a fingerprint, and they are discarded, not cancelled".to_owned()));
    }
    let filter = args.filter.with_ids(&args.ids);
    let (done, things) = match act {
        Act::Retry => ("retried", "dead letters"),
        Act::Discard => ("discarded", "dead letters"),
        Act::Cancel => ("cancelled", "live jobs"),
    };
    let count = match act {
        Act::Retry | Act::Discard => operator_jobs::count_dead(pool, &filter).await?,
        Act::Cancel => operator_jobs::count_live(pool, &filter).await?,
    };
    if count == 0 && !args.all {
        return Err(CliError::Usage(format!("none of these ids is among the {things}")));
    }
    confirm::many(u64::try_from(count).unwrap_or(0), &format!("{things} will be {done}"), args.yes)?;
    let (affected, skipped) = in_chunks(pool, actor, act, &filter, (done, count)).await?;
    console::line(&format!("{done}: {affected}"));
    if skipped > 0 {
        console::line(&format!("left alone: {skipped} (the same work is queued already)"));
    }
    Ok(())
}

async fn in_chunks(pool: &PgPool, actor: &Actor, act: Act, filter: &JobFilter, (done, count): (&str, i64)) -> Result<(u64, u64), CliError> {
    store::maintenance::ensure_partitions(pool, DAYS_AHEAD).await?;
    let (mut affected, mut skipped, mut after) = (0, 0, None);
    loop {
        let acted = match act {
            Act::Retry => operator_jobs::retry(pool, actor, filter, after, CHUNK).await?,
            Act::Discard => operator_jobs::discard(pool, actor, filter, after, CHUNK).await?,
            Act::Cancel => operator_jobs::cancel(pool, actor, filter, after, CHUNK).await?,
        };
        affected += acted.affected;
        skipped += acted.skipped;
        after = acted.next;
        if after.is_none() {
            return Ok((affected, skipped));
        }
        console::note(&format!("{done} {affected} of about {count}"));
    }
}
