//! Telling operators that this process is there and what it does, and hearing whether it shall take nothing new.

use super::Runtime;
use std::{sync::Arc, time::Duration};
use store::operator::{
    pauses,
    processes::{self, Announced},
};

const EVERY: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Tells for ever, until the process stops: then its row goes.
pub(super) async fn show(runtime: Arc<Runtime>, announced: Announced) {
    let host = announced.name.split(':').next().unwrap_or_default();
    let drained = format!("worker:{host}");
    let mut stopping = runtime.stopping.clone();
    let mut known = false;
    while !*stopping.borrow() {
        match store::within(ANSWER_WITHIN, pauses::is_held(&runtime.control, &drained)).await {
            Ok(draining) => {
                runtime.draining.send_if_modified(|now| std::mem::replace(now, draining) != draining);
                if std::mem::replace(&mut known, draining) != draining {
                    tracing::info!(worker = host, draining, "an operator decided whether this worker takes new jobs");
                }
            }
            Err(error) => tracing::debug!(%error, "not known whether this worker may take new jobs"),
        }
        let figures = runtime.figures.last_minute();
        let told = processes::beat(&runtime.control, &announced, Some(runtime.worker_id()), &figures);
        if let Err(error) = store::within(ANSWER_WITHIN, told).await {
            tracing::debug!(%error, "operators cannot be told what this process does");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
    // If it fails, the row says by its age that nobody is there.
    store::within(ANSWER_WITHIN, processes::gone(&runtime.control, announced.id)).await.ok();
}
