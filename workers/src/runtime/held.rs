//! The jobs that this process runs right now.

use domain::JobId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use store::ledger::{FeedPosition, Run};
use tokio::sync::Notify;

/// Jobs from the claim until their outcome is written, each with the bell that cancels it.
#[derive(Debug, Default)]
pub(super) struct Held {
    jobs: Mutex<HashMap<JobId, (FeedPosition, Arc<Notify>)>>,
    /// A claim is under way: there may be more in a moment.
    claiming: AtomicBool,
}

impl Held {
    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, (FeedPosition, Arc<Notify>)>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, runs: impl IntoIterator<Item = Run>) {
        self.jobs().extend(runs.into_iter().map(|run| (run.id, (run.position, Arc::default()))));
    }

    /// A job that runs once more by now stays.
    pub(super) fn remove(&self, runs: impl IntoIterator<Item = Run>) {
        let mut jobs = self.jobs();
        for run in runs {
            if jobs.get(&run.id).is_some_and(|(position, _)| *position == run.position) {
                jobs.remove(&run.id);
            }
        }
    }

    pub(super) fn contains(&self, run: Run) -> bool {
        self.jobs().get(&run.id).is_some_and(|(position, _)| *position == run.position)
    }

    /// Nothing runs, and nothing is being claimed.
    pub(super) fn is_empty(&self) -> bool {
        !self.claiming.load(Ordering::SeqCst) && self.jobs().is_empty()
    }

    pub(super) fn set_claiming(&self, claiming: bool) {
        self.claiming.store(claiming, Ordering::SeqCst);
    }

    /// The bell of a job: rung when it shall be cancelled.
    pub(super) fn bell(&self, id: JobId) -> Option<Arc<Notify>> {
        self.jobs().get(&id).map(|(_, bell)| bell.clone())
    }

    pub(super) fn cancel(&self, id: JobId) {
        if let Some(bell) = self.bell(id) {
            bell.notify_one();
        }
    }
}
