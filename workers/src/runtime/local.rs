//! Workers that take hints from the feeder of their own process, without Redis (`DISPATCH=local`).

use super::{Runtime, work};
use jobs::dispatch::Hint;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// Works the hints of one queue, `concurrency` at once, until the feeder's end is dropped or the process stops.
pub(crate) async fn serve(runtime: Arc<Runtime>, queue: &'static str, mut hints: mpsc::Receiver<Hint>, concurrency: usize) {
    let slots = Arc::new(Semaphore::new(concurrency));
    while let Ok(slot) = slots.clone().acquire_owned().await {
        let mut draining = runtime.draining.subscribe();
        if draining.wait_for(|draining| !*draining).await.is_err() {
            return;
        }
        let Some(hint) = hints.recv().await else { return };
        let runtime = runtime.clone();
        tokio::spawn(async move {
            work(runtime, queue, hint).await;
            drop(slot);
        });
    }
}
