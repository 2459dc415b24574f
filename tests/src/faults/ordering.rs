//! Property: of the jobs that share an ordering key at most one runs, and they end in the order in which they were enqueued,
//! whatever two workers do with them.

use super::claims::worker;
use crate::harness::Database;
use chrono::DateTime;
use domain::{JobId, TenantId, WorkerId};
use jobs::probe::Probe;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use std::time::Duration;
use store::{
    PgPool,
    ledger::{self, Burial, Delay, NewJob},
};
use uuid::Uuid;

#[derive(Clone, Debug)]
enum Step {
    /// `scheduled`: for a time that has come already, but nobody has noticed yet.
    Enqueue {
        key: usize,
        scheduled: bool,
    },
    /// The feeder notices which times have come.
    Promote,
    /// A worker asks for these live jobs (bits).
    Claim {
        worker: usize,
        wanted: u16,
    },
    /// The n-th running job ends.
    Complete(usize),
    /// It is retried now, or at a time that has come at once.
    Delay {
        job: usize,
        timed: bool,
    },
    Bury(usize),
    /// A worker gives back everything.
    Release(usize),
}

fn steps(scheduled: bool) -> impl Strategy<Value = Vec<Step>> {
    let claim = (0..2_usize, any::<u16>()).prop_map(|(worker, wanted)| Step::Claim { worker, wanted });
    let step = prop_oneof![
        4 => (0..3_usize, prop::bool::weighted(if scheduled { 0.3 } else { 0.0 })).prop_map(|(key, scheduled)| Step::Enqueue { key, scheduled }),
        1 => Just(Step::Promote),
        5 => claim,
        3 => any::<usize>().prop_map(Step::Complete),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(job, timed)| Step::Delay { job, timed }),
        1 => any::<usize>().prop_map(Step::Bury),
        1 => (0..2_usize).prop_map(Step::Release),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Queued,
    Running(usize),
    Done,
    Dead,
}

#[derive(Clone, Debug)]
struct Job {
    id: JobId,
    key: usize,
    state: State,
}

/// What must be so, in the order of enqueueing.
struct Model<'a> {
    pool: &'a PgPool,
    case: String,
    workers: [WorkerId; 2],
    jobs: Vec<Job>,
}

impl Model<'_> {
    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Enqueue { key, scheduled } => self.enqueue(key, scheduled).await,
            Step::Promote => {
                ledger::promote_due(self.pool, "probes", 1_000).await.unwrap();
            }
            Step::Claim { worker, wanted } => {
                let live = self.jobs.iter().enumerate().filter(|(_, job)| matches!(job.state, State::Queued | State::Running(_)));
                let wanted: Vec<usize> =
                    live.enumerate().filter(|(bit, _)| wanted & (1 << (bit % 16)) != 0).map(|(_, (place, _))| place).collect();
                self.claim(worker, &wanted).await?;
            }
            Step::Complete(n) => {
                if let Some((place, worker)) = self.running(n) {
                    let mut conn = self.pool.acquire().await.unwrap();
                    let ended = ledger::complete(&mut conn, self.workers[worker], &[self.jobs[place].id], true).await.unwrap();
                    prop_assert_eq!(ended.len(), 1);
                    self.jobs[place].state = State::Done;
                }
            }
            Step::Delay { job, timed } => {
                if let Some((place, worker)) = self.running(job) {
                    let running = ledger::running(self.pool, self.workers[worker]).await.unwrap();
                    let run = running.into_iter().find(|run| run.id == self.jobs[place].id).unwrap();
                    let delay = Delay { run, after: timed.then_some(Duration::ZERO), free: true, suspect: false, error: None };
                    let mut conn = self.pool.acquire().await.unwrap();
                    prop_assert_eq!(ledger::delay(&mut conn, self.workers[worker], &[delay]).await.unwrap().len(), 1);
                    self.jobs[place].state = State::Queued;
                }
            }
            Step::Bury(n) => {
                if let Some((place, worker)) = self.running(n) {
                    let burial = Burial { id: self.jobs[place].id, fingerprint: "probe:test".to_owned(), error: serde_json::json!({}) };
                    let mut conn = self.pool.acquire().await.unwrap();
                    prop_assert_eq!(ledger::bury(&mut conn, self.workers[worker], &[burial]).await.unwrap().len(), 1);
                    self.jobs[place].state = State::Dead;
                }
            }
            Step::Release(worker) => {
                ledger::release(&mut self.pool.acquire().await.unwrap(), self.workers[worker]).await.unwrap();
                self.jobs.iter_mut().filter(|job| job.state == State::Running(worker)).for_each(|job| job.state = State::Queued);
            }
        }
        Ok(())
    }

    async fn enqueue(&mut self, key: usize, scheduled: bool) {
        let job = NewJob {
            ordering_key: Some(format!("{}:{key}", self.case)),
            run_at: scheduled.then_some(DateTime::UNIX_EPOCH),
            ..jobs::new_job(TenantId(1), &Probe::default(), None)
        };
        let written = ledger::enqueue(&mut self.pool.acquire().await.unwrap(), std::slice::from_ref(&job)).await.unwrap();
        assert_eq!(written, [job.id]);
        self.jobs.push(Job { id: job.id, key, state: State::Queued });
    }

    async fn claim(&mut self, worker: usize, wanted: &[usize]) -> Result<(), TestCaseError> {
        let ids: Vec<JobId> = wanted.iter().map(|place| self.jobs[*place].id).collect();
        let claimed = ledger::claim(self.pool, self.workers[worker], &ids).await.unwrap();
        let before = self.jobs.clone();
        for job in &claimed {
            let place = self.jobs.iter().position(|known| known.id == job.id).unwrap();
            prop_assert_eq!(&before[place].state, &State::Queued, "job {} was claimed while it was not queued", place);
            prop_assert!(is_head(&before, place), "job {} overtook one that was enqueued before it", place);
            self.jobs[place].state = State::Running(worker);
        }
        for key in 0..3 {
            let running: Vec<usize> = self.places(|job| job.key == key && matches!(job.state, State::Running(_)));
            prop_assert!(running.len() <= 1, "jobs {:?} of one key run at once", running);
        }
        for place in wanted {
            let job = &before[*place];
            let is_free = !before.iter().any(|other| other.key == job.key && matches!(other.state, State::Running(_)));
            let others_wanted = wanted.iter().filter(|other| before[**other].key == job.key).count();
            if job.state == State::Queued && is_head(&before, *place) && is_free && others_wanted == 1 {
                prop_assert!(claimed.iter().any(|other| other.id == job.id), "job {} could have been claimed", place);
            }
        }
        Ok(())
    }

    fn places(&self, which: impl Fn(&Job) -> bool) -> Vec<usize> {
        self.jobs.iter().enumerate().filter(|(_, job)| which(job)).map(|(place, _)| place).collect()
    }

    fn running(&self, n: usize) -> Option<(usize, usize)> {
        let running = self.places(|job| matches!(job.state, State::Running(_)));
        let place = *running.get(n.checked_rem(running.len())?)?;
        let State::Running(worker) = self.jobs[place].state else { return None };
        Some((place, worker))
    }

    /// Nothing may be stuck: claiming all and completing what was claimed ends everything.
    async fn finish(&mut self) -> Result<(), TestCaseError> {
        self.take(&Step::Promote).await?;
        for _ in 0..=self.jobs.len() {
            while self.running(0).is_some() {
                self.take(&Step::Complete(0)).await?;
            }
            let live = self.places(|job| job.state == State::Queued);
            if live.is_empty() {
                return Ok(());
            }
            self.claim(0, &live).await?;
        }
        Err(TestCaseError::fail("some jobs can never be claimed"))
    }
}

/// Its turn has come: nobody is before it. (The scheduled ones of this test are due, so they count.)
fn is_head(jobs: &[Job], place: usize) -> bool {
    let mut before = jobs[..place].iter().filter(|job| job.key == jobs[place].key);
    !before.any(|job| matches!(job.state, State::Queued | State::Running(_)))
}

fn check(scheduled: bool) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(Database::create());
    let workers = runtime.block_on(async { [worker(db.pool()).await, worker(db.pool()).await] });
    let mut runner =
        TestRunner::new(Config { cases: if super::full() { 500 } else { 60 }, failure_persistence: None, ..Config::default() });
    let result = runner.run(&steps(scheduled), |steps| {
        let mut model = Model { pool: db.pool(), case: Uuid::now_v7().to_string(), workers, jobs: Vec::new() };
        runtime.block_on(async {
            let mut outcome = Ok(());
            for step in &steps {
                outcome = model.take(step).await;
                if outcome.is_err() {
                    break;
                }
            }
            if outcome.is_ok() {
                outcome = model.finish().await;
            }
            // The next case must not meet what a failed one left.
            db.run("DELETE FROM jobs").await;
            outcome
        })
    });
    result.unwrap();
}

#[test]
fn jobs_of_one_key_run_one_at_a_time_and_in_order() {
    check(false);
}

#[test]
fn jobs_that_were_scheduled_for_later_also_run_one_at_a_time() {
    check(true);
}
