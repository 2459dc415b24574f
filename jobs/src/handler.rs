//! A job kind with its type erased, so that a registry can hold all kinds.

use crate::{BatchJob, Claimed, Done, Job, JobContext, JobError, Policy};
use futures::{FutureExt, future::BoxFuture};
use serde::de::DeserializeOwned;
use store::ledger::ClaimedJob;

type Run = for<'a> fn(Vec<ClaimedJob>, &'a JobContext) -> BoxFuture<'a, Result<Done, JobError>>;
type Check = fn(&ClaimedJob) -> Result<(), JobError>;

/// How to run one kind of job.
#[derive(Clone, Copy, Debug)]
pub struct Handler {
    pub kind: &'static str,
    pub policy: Policy,
    /// True: several jobs may be run as one.
    pub batched: bool,
    check: Check,
    run: Run,
}

impl Handler {
    /// A kind whose jobs run one by one.
    pub fn single<J: Job>() -> Self {
        Self {
            kind: J::KIND,
            policy: J::POLICY,
            batched: false,
            check: |job| decode::<J>(job).map(drop),
            run: |jobs, ctx| {
                async move {
                    let job = jobs.into_iter().next().ok_or_else(|| JobError::fail("defect", "no job to run"))?;
                    decode::<J>(&job)?.run(ctx).await
                }
                .boxed()
            },
        }
    }

    /// A kind whose jobs run in batches.
    pub fn batch<J: BatchJob>() -> Self {
        Self {
            kind: J::KIND,
            policy: J::POLICY,
            batched: true,
            check: |job| decode::<J>(job).map(drop),
            run: |jobs, ctx| {
                async move {
                    let batch: Result<Vec<Claimed<J>>, JobError> = jobs
                        .into_iter()
                        .map(|job| Ok(Claimed { payload: decode::<J>(&job)?, id: job.id, tenant_id: job.tenant_id }))
                        .collect();
                    J::run(batch?, ctx).await
                }
                .boxed()
            },
        }
    }

    /// Fails if the job's arguments are not what the kind expects.
    pub fn check(&self, job: &ClaimedJob) -> Result<(), JobError> {
        (self.check)(job)
    }

    /// Runs `jobs` (one, unless the kind is batched).
    pub fn run<'a>(&self, jobs: Vec<ClaimedJob>, ctx: &'a JobContext) -> BoxFuture<'a, Result<Done, JobError>> {
        (self.run)(jobs, ctx)
    }
}

fn decode<T: DeserializeOwned>(job: &ClaimedJob) -> Result<T, JobError> {
    T::deserialize(&job.args)
        .map_err(|error| JobError::fail("undecodable", format!("the arguments are not those of {}: {error}", job.kind)))
}
