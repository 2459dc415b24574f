//! The jobs that this process runs right now.

use domain::JobId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

/// Jobs from the claim until their outcome is written, each with the bell that cancels it.
#[derive(Debug, Default)]
pub(super) struct Held {
    jobs: Mutex<HashMap<JobId, Arc<Notify>>>,
    /// A claim is under way: there may be more in a moment.
    claiming: AtomicBool,
}

impl Held {
    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Notify>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, ids: impl IntoIterator<Item = JobId>) {
        self.jobs().extend(ids.into_iter().map(|id| (id, Arc::default())));
    }

    pub(super) fn remove<'a>(&self, ids: impl IntoIterator<Item = &'a JobId>) {
        let mut jobs = self.jobs();
        for id in ids {
            jobs.remove(id);
        }
    }

    pub(super) fn contains(&self, id: JobId) -> bool {
        self.jobs().contains_key(&id)
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
        self.jobs().get(&id).cloned()
    }

    pub(super) fn cancel(&self, id: JobId) {
        if let Some(bell) = self.bell(id) {
            bell.notify_one();
        }
    }
}
