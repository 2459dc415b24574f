//! Jobs that were running when their process died: run again, but in small company, so that the one that kills does not
//! take the others with it.

use domain::JobId;
use jobs::{dispatch::Hint, queue::Queue};
use std::{collections::BTreeSet, time::Duration};
use store::{
    PgPool, StoreError,
    ledger::{self, SuspectJob},
};
use tokio::time::Instant;

/// After one crash, so many run together; after two, each alone. Nothing else suspect of the queue runs meanwhile.
const COMPANY: usize = 16;
/// How often to look when there were none.
const LOOK: Duration = Duration::from_millis(500);
/// How long a dispatched suspect may take to be claimed before it is named again.
const CLAIMED_WITHIN: Duration = Duration::from_secs(2);

/// The suspects of one queue.
#[derive(Debug)]
pub(super) struct Suspects {
    looked: Instant,
    any: bool,
    dispatched: (Instant, BTreeSet<JobId>),
}

impl Suspects {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { looked: now, any: true, dispatched: (now, BTreeSet::new()) }
    }

    /// The hints to send now: none while others are running or on their way.
    pub(super) async fn next(&mut self, pool: &PgPool, queue: Queue) -> Result<Vec<Hint>, StoreError> {
        let now = Instant::now();
        if !self.any && now - self.looked < LOOK {
            return Ok(Vec::new());
        }
        let found = ledger::suspects(pool, queue.name, i64::try_from(COMPANY * 2).unwrap_or(i64::MAX)).await?;
        self.looked = now;
        self.any = !found.is_empty();
        let on_the_way = now - self.dispatched.0 < CLAIMED_WITHIN && found.iter().any(|job| self.dispatched.1.contains(&job.id));
        let jobs = choose(&found);
        if on_the_way || jobs.is_empty() {
            return Ok(Vec::new());
        }
        self.dispatched = (now, jobs.iter().copied().collect());
        tracing::info!(queue = queue.name, jobs = jobs.len(), "running jobs again whose process died");
        Ok(if queue.batch_weight.is_some() { vec![Hint { jobs }] } else { jobs.into_iter().map(|job| Hint { jobs: vec![job] }).collect() })
    }
}

fn choose(found: &[SuspectJob]) -> Vec<JobId> {
    if found.iter().any(|job| job.running) {
        return Vec::new();
    }
    match found.iter().find(|job| job.crashes > 1) {
        Some(alone) => vec![alone.id],
        None => found.iter().take(COMPANY).map(|job| job.id).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(crashes: i16, running: bool) -> SuspectJob {
        SuspectJob { id: JobId::generate(), crashes, running }
    }

    #[test]
    fn jobs_of_one_crash_run_in_a_small_group() {
        let found: Vec<_> = (0..30).map(|_| suspect(1, false)).collect();
        assert_eq!(choose(&found).len(), COMPANY);
    }

    #[test]
    fn a_job_of_two_crashes_runs_alone() {
        let found = [suspect(1, false), suspect(2, false), suspect(1, false)];
        assert_eq!(choose(&found), [found[1].id]);
    }

    #[test]
    fn nothing_starts_while_a_suspect_runs() {
        assert!(choose(&[suspect(1, true), suspect(1, false)]).is_empty());
    }
}
