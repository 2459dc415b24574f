//! Passwords off the async threads, and only as many at once as there are cores.

use crate::ApiError;
use platform::{Secret, passwords};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// How long a sign-in waits for its turn before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Hashes and verifies passwords.
#[derive(Clone, Debug)]
pub(crate) struct Passwords(Arc<Semaphore>);

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self(Arc::new(Semaphore::new(cores)))
    }

    /// The hash to store.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String, ApiError> {
        self.off_thread(move || passwords::hash(&password)).await?.map_err(|error| ApiError::internal(&error))
    }

    /// True if `password` has this hash. Without a hash it takes as long, and is false.
    pub(crate) async fn verify(&self, password: Secret, hash: Option<String>) -> Result<bool, ApiError> {
        self.off_thread(move || passwords::verify(&password, hash.as_deref())).await
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let busy = || ApiError::unavailable("Too many people sign in at once: try again").with_retry_after(2);
        let turn = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned()).await.map_err(|_| busy())?.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        done.await.map_err(|error| ApiError::internal(&error))
    }
}
