//! `switchboard jobs ...`: the ledger, looked at and acted on.

mod acts;
mod list;
mod queues;
mod stats;

use crate::{error::CliError, settings::Settings};
use domain::{JobId, TenantId};
use store::operator_jobs::JobFilter;
use uuid::Uuid;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum JobsCommand {
    /// Every queue: what waits, runs, is dead, was done today
    Stats {
        #[arg(long)]
        json: bool,
    },
    /// List jobs (without --state: running, queued and dead)
    List(list::ListArgs),
    /// Everything about one job, as JSON
    Show { id: Uuid },
    /// Put dead letters back into the ledger, with all their attempts before them
    Retry(acts::ActArgs),
    /// Give dead letters up for good
    Discard(acts::ActArgs),
    /// Cancel queued and running jobs
    Cancel(acts::ActArgs),
    /// Start nothing new of a queue, `kind:KIND`, `tenant:ID` or `channel:UUID` until it is resumed; `worker:NAME` takes nothing new
    Pause { what: String },
    /// Let it go on
    Resume { what: String },
    /// What is paused, since when and why
    Pauses {
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(command: &JobsCommand, settings: &Settings) -> Result<(), CliError> {
    let pool = settings.pool()?;
    let actor = settings.actor();
    match command {
        JobsCommand::Stats { json } => stats::run(&pool, *json).await,
        JobsCommand::List(args) => list::run(&pool, args).await,
        JobsCommand::Show { id } => list::show(&pool, JobId(*id)).await,
        JobsCommand::Retry(args) => acts::run(&pool, &actor, acts::Act::Retry, args).await,
        JobsCommand::Discard(args) => acts::run(&pool, &actor, acts::Act::Discard, args).await,
        JobsCommand::Cancel(args) => acts::run(&pool, &actor, acts::Act::Cancel, args).await,
        JobsCommand::Pause { what } => queues::pause(&pool, &actor, what).await,
        JobsCommand::Resume { what } => queues::resume(&pool, &actor, what).await,
        JobsCommand::Pauses { json } => queues::list(&pool, *json).await,
    }
}

/// Which jobs, beside ids.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterArgs {
    /// Only jobs of this kind, for example process_webhook
    #[arg(long)]
    kind: Option<String>,
    /// Only jobs of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only jobs of this tenant (its integer id; 0: of none). Jobs that tenants share are of none of them
    #[arg(long)]
    tenant: Option<i32>,
    /// Only dead letters of this group (kind and class of the error)
    #[arg(long)]
    fingerprint: Option<String>,
}

impl FilterArgs {
    fn is_empty(&self) -> bool {
        self.kind.is_none() && self.queue.is_none() && self.tenant.is_none() && self.fingerprint.is_none()
    }

    fn with_ids(&self, ids: &[Uuid]) -> JobFilter {
        JobFilter {
            ids: ids.iter().copied().map(JobId).collect(),
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            tenant_id: self.tenant.map(TenantId),
            fingerprint: self.fingerprint.clone(),
        }
    }
}
