//! `switchboard jobs list` and `show`.

use super::FilterArgs;
use crate::{console, error::CliError};
use chrono::SecondsFormat;
use domain::JobId;
use store::{
    PgPool,
    operator_jobs::{self, JobRow},
};

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// `done` shows finished, cancelled and discarded jobs of today and yesterday
    #[arg(long)]
    state: Option<State>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Lines at most, of each state
    #[arg(long, default_value_t = 50)]
    limit: i64,
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum State {
    Queued,
    Running,
    Dead,
    Done,
}

pub(super) async fn run(pool: &PgPool, args: &ListArgs) -> Result<(), CliError> {
    let filter = args.filter.with_ids(&[]);
    if filter.fingerprint.is_some() && args.state.is_some_and(|state| state != State::Dead) {
        return Err(CliError::Usage("only dead letters have a fingerprint: use --state dead".to_owned()));
    }
    let limit = args.limit.max(1);
    let rows = match args.state {
        Some(State::Queued) => operator_jobs::list_live(pool, &filter, Some("queued"), limit).await?,
        Some(State::Running) => operator_jobs::list_live(pool, &filter, Some("running"), limit).await?,
        Some(State::Done) => operator_jobs::list_done(pool, &filter, limit).await?,
        Some(State::Dead) => operator_jobs::list_dead(pool, &filter, limit).await?,
        None if filter.fingerprint.is_some() => operator_jobs::list_dead(pool, &filter, limit).await?,
        None => {
            let mut rows = operator_jobs::list_live(pool, &filter, None, limit).await?;
            rows.extend(operator_jobs::list_dead(pool, &filter, limit).await?);
            rows
        }
    };
    if args.json {
        console::line(&serde_json::json!({ "jobs": rows }).to_string());
        return Ok(());
    }
    if rows.is_empty() {
        console::line("no jobs match (finished ones are shown with --state done)");
        return Ok(());
    }
    let headings = ["ID", "STATE", "KIND", "QUEUE", "TENANT", "ATTEMPT", "CRASHES", "SINCE OR DUE", "FINGERPRINT", "LAST ERROR"];
    console::table(&headings, &rows.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

pub(super) async fn show(pool: &PgPool, id: JobId) -> Result<(), CliError> {
    let job = operator_jobs::find(pool, id).await?;
    let job = job.ok_or_else(|| {
        CliError::Usage(format!("there is no job {id}, live, dead or finished (finished ones are kept for a while only)"))
    })?;
    console::line(&format!("{job:#}"));
    Ok(())
}

fn row(job: &JobRow) -> Vec<String> {
    vec![
        job.id.to_string(),
        job.state.clone(),
        job.kind.clone(),
        job.queue.clone(),
        if job.tenant_id < 0 { "shared".to_owned() } else { job.tenant_id.to_string() },
        job.attempt.to_string(),
        job.crashes.to_string(),
        job.at.map_or_else(|| "now".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
        job.fingerprint.clone().unwrap_or_else(|| "-".to_owned()),
        job.error.as_deref().map_or_else(|| "-".to_owned(), |error| error.lines().next().unwrap_or_default().chars().take(100).collect()),
    ]
}
