//! One hint, from claim to outcome.

use super::{
    Runtime,
    outcomes::{End, Outcome},
};
use domain::WorkerId;
use futures::FutureExt;
use jobs::{Done, Handler, JobContext, JobError, Policy, dispatch::Hint, policy::Decision, queue};
use platform::figures::Lane;
use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use store::{
    StoreError,
    ledger::{ClaimedJob, Delay},
};
use tokio::time::Instant;
use tracing::Instrument;

/// For kinds that no handler of this process knows: another version may know them.
const UNKNOWN_KIND: Policy = Policy {
    queue: "",
    max_attempts: 5,
    backoff: Duration::from_secs(5),
    max_backoff: Duration::from_mins(5),
    timeout: Duration::from_secs(1),
};

/// Takes the jobs that `hint` names and runs them. Returns when their outcomes are written.
pub(crate) async fn work(runtime: Arc<Runtime>, queue_name: &'static str, hint: Hint) {
    if runtime.is_stopping() || *runtime.draining.borrow() {
        return;
    }
    // There is room for another hint now.
    runtime.bells.nudge(queue_name);
    // The id under which they are claimed: read before, so that a change meanwhile leaves them fenced rather than stolen.
    let worker = runtime.worker_id();
    let mut by_kind: BTreeMap<String, Vec<ClaimedJob>> = BTreeMap::new();
    for job in runtime.claims.take(hint.jobs).await {
        by_kind.entry(job.kind.clone()).or_default().push(job);
    }
    for (kind, jobs) in by_kind {
        let Some(handler) = runtime.handlers.get(kind.as_str()) else {
            let error = JobError::retry("unknown_kind", format!("this worker knows no job of kind {kind}"));
            let outcomes = jobs.iter().map(|job| failed(&UNKNOWN_KIND, job, &error)).collect();
            runtime.outcomes.write(worker, outcomes).await;
            continue;
        };
        let (good, bad): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (handler.check(&job), job)).partition(|(check, _)| check.is_ok());
        if !bad.is_empty() {
            let outcomes = bad.iter().filter_map(|(check, job)| Some(failed(&handler.policy, job, check.as_ref().err()?))).collect();
            runtime.outcomes.write(worker, outcomes).await;
        }
        let good: Vec<ClaimedJob> = good.into_iter().map(|(_, job)| job).collect();
        if handler.batched {
            run(&runtime, worker, *handler, good).await;
        } else {
            for job in good {
                run(&runtime, worker, *handler, vec![job]).await;
            }
        }
    }
}

async fn run(runtime: &Arc<Runtime>, worker: WorkerId, handler: Handler, jobs: Vec<ClaimedJob>) {
    let Some(first) = jobs.first() else { return };
    let span = tracing::info_span!("job", kind = handler.kind, id = %first.id, jobs = jobs.len(), attempt = first.attempt,
        tenant = %first.tenant_id, trace = first.trace.as_deref());
    if let Some(trace) = first.trace.as_deref().and_then(platform::trace_context::TraceContext::parse) {
        trace.link(&span);
    }
    let started = Instant::now();
    let bell = match jobs.as_slice() {
        [alone] => runtime.held.bell(alone.id),
        _ => None,
    };
    let ctx = JobContext::new(runtime.services.clone(), worker, handler.policy.queue, &jobs);
    let body = async {
        let attempt = AssertUnwindSafe(handler.run(jobs.clone(), &ctx)).catch_unwind();
        tokio::select! {
            ended = tokio::time::timeout(handler.policy.timeout, attempt) => match ended {
                Ok(Ok(result)) => Some(result),
                Ok(Err(panic)) => Some(Err(JobError::retry("panicked", format!("the job panicked: {}", panic_message(&*panic))))),
                Err(_) => Some(Err(JobError::retry("timed_out", format!("the job ran longer than {:?}", handler.policy.timeout)))),
            },
            () = runtime.silence.notified() => Some(Err(JobError::Surroundings(StoreError::silence()))),
            () = async { match bell { Some(bell) => bell.notified().await, None => std::future::pending().await } } => None,
        }
    };
    let waited = waits(&jobs);
    let result = body.instrument(span.clone()).await;
    observe(runtime, &handler, jobs.len(), (&waited, started.elapsed()), result.as_ref());
    let outcomes: Vec<Outcome> = match &result {
        Some(Ok(done)) if done.is_settled() => {
            runtime.held.remove(jobs.iter().map(ClaimedJob::run));
            return;
        }
        Some(Ok(_)) => jobs.iter().map(|job| ended(job, End::Complete { ordered: job.ordered })).collect(),
        Some(Err(error)) => span.in_scope(|| jobs.iter().map(|job| outcome_of(&handler, job, error, jobs.len())).collect()),
        None => jobs.iter().map(|job| ended(job, End::Cancel)).collect(),
    };
    runtime.outcomes.write(worker, outcomes).await;
    // The successors of ordered jobs may start now.
    runtime.services.waker.ring(handler.policy.queue, jobs.iter().filter(|job| job.ordered).map(|job| job.tenant_id));
}

fn ended(job: &ClaimedJob, end: End) -> Outcome {
    Outcome { run: job.run(), end }
}

/// In a batch nobody knows whose fault a failure was, so all are put back at no cost, and run in smaller company.
fn outcome_of(handler: &Handler, job: &ClaimedJob, error: &JobError, batch: usize) -> Outcome {
    let own = matches!(error, JobError::Retry { .. } | JobError::RetryAfter { .. } | JobError::Fail { .. });
    if own && batch > 1 {
        tracing::warn!(%error, id = %job.id, "a batch failed; its jobs run in smaller company");
        let error = Some(error.describe(job.attempt));
        return ended(job, End::Delay(Delay { run: job.run(), after: None, free: true, suspect: true, error }));
    }
    failed(&handler.policy, job, error)
}

fn failed(policy: &Policy, job: &ClaimedJob, error: &JobError) -> Outcome {
    match policy.decide(error, job.attempt, job.max_attempts, rand::random()) {
        Decision::Dead => {
            tracing::error!(class = error.class(), %error, kind = job.kind, "dead letter: see `switchboard jobs show {}`", job.id);
            metrics::counter!("switchboard_jobs_dead_total", "kind" => job.kind.clone()).increment(1);
            ended(job, End::Bury(error.burial(job.id, &job.kind, job.attempt)))
        }
        Decision::Retry(after) => {
            tracing::warn!(class = error.class(), %error, id = %job.id, kind = job.kind, attempt = job.attempt, ?after, "job failed; it will be retried");
            metrics::counter!("switchboard_jobs_retried_total", "kind" => job.kind.clone()).increment(1);
            let error = Some(error.describe(job.attempt));
            ended(job, End::Delay(Delay { run: job.run(), after: Some(after), free: false, suspect: false, error }))
        }
        Decision::Snooze(after) => {
            tracing::debug!(class = error.class(), %error, id = %job.id, ?after, "job snoozed");
            let error = matches!(error, JobError::Wait { .. }).then(|| error.describe(job.attempt));
            ended(job, End::Delay(Delay { run: job.run(), after: Some(after), free: true, suspect: false, error }))
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// How long jobs waited for their first run, in seconds. Those that were to wait are left out.
fn waits(jobs: &[ClaimedJob]) -> Vec<f64> {
    jobs.iter().filter(|job| job.is_first_run && job.queue != queue::OVERRIDES.name).map(|job| job.waited_seconds).collect()
}

/// A run that found that it is not its time yet.
fn only_looked(result: Option<&Result<Done, JobError>>) -> bool {
    matches!(result, Some(Err(JobError::Snooze(_) | JobError::Wait { .. })))
}

/// What a run of `jobs` jobs adds to the figures of their queue. `None`: it was cancelled.
fn tally(lane: &mut Lane, jobs: u64, (waited, took): (&[f64], Duration), result: Option<&Result<Done, JobError>>) {
    for seconds in waited {
        lane.wait.record(*seconds, 1);
    }
    if only_looked(result) {
        return;
    }
    match result {
        Some(Ok(done)) => {
            let buried = done.buried();
            lane.done += jobs.saturating_sub(buried.len() as u64);
            lane.failed += buried.len() as u64;
            for class in buried {
                *lane.errors.entry(class.clone()).or_default() += 1;
            }
        }
        Some(Err(error)) => {
            lane.failed += jobs;
            *lane.errors.entry(error.class().to_owned()).or_default() += jobs;
        }
        None => {}
    }
    lane.run.record(took.as_secs_f64(), jobs);
}

fn observe(runtime: &Runtime, handler: &Handler, jobs: usize, (waited, took): (&[f64], Duration), result: Option<&Result<Done, JobError>>) {
    runtime.figures.record(handler.policy.queue, |lane| tally(lane, jobs as u64, (waited, took), result));
    let outcome = match result {
        Some(Ok(_)) => "done",
        Some(Err(error)) => error.class(),
        None => "cancelled",
    };
    metrics::counter!("switchboard_jobs_run_total", "kind" => handler.kind, "outcome" => outcome).increment(jobs as u64);
    if !only_looked(result) {
        metrics::histogram!("switchboard_job_seconds", "kind" => handler.kind).record(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_look_nor_what_was_cancelled_counts_as_done() {
        let took = Duration::from_millis(20);
        let mut lane = Lane::default();
        let mut ran = |waited: &[f64], result: Option<Result<Done, JobError>>| tally(&mut lane, 1, (waited, took), result.as_ref());
        ran(&[3.0], Some(Err(JobError::Wait { delay: took, reason: "its turn".to_owned(), counts: true })));
        ran(&[], Some(Err(JobError::Snooze(took))));
        ran(&[], Some(Err(JobError::retry("probe", "asked to retry"))));
        ran(&[], Some(Ok(Done::WITHOUT_EFFECTS)));
        ran(&[], None);
        let mut expected = Lane { done: 1, failed: 1, errors: BTreeMap::from([("probe".to_owned(), 1)]), ..Lane::default() };
        expected.wait.record(3.0, 1);
        expected.run.record(took.as_secs_f64(), 3);
        assert_eq!(lane, expected);
    }
}
