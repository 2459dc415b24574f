//! The jobs that this process runs right now.

use domain::JobId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Jobs from the claim until their outcome is written, each with the bell that cancels it.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashMap<JobId, Arc<Notify>>>);

impl Held {
    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    pub(super) fn is_empty(&self) -> bool {
        self.jobs().is_empty()
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
