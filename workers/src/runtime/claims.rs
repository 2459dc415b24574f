//! Claims that arrive at the same time become one statement; while it runs, the next group gathers. No waiting for company.

use super::held::Held;
use domain::{JobId, WorkerId};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use store::{
    PgPool, StoreError,
    ledger::{self, ClaimedJob},
};
use tokio::sync::{mpsc, oneshot, watch};

/// Jobs in one claim statement.
const GROUP: usize = 512;

struct Request {
    ids: Vec<JobId>,
    answer: oneshot::Sender<Vec<ClaimedJob>>,
}

/// Claims jobs for this process.
#[derive(Debug)]
pub(super) struct Claims(mpsc::Sender<Request>);

impl Claims {
    pub(super) fn start(
        pool: PgPool,
        worker: Arc<RwLock<WorkerId>>,
        held: Arc<Held>,
        answer_within: Duration,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(GROUP);
        tokio::spawn(serve(Ledger { pool, answer_within }, worker, held, stopping, receiver));
        Self(sender)
    }

    /// Those of `ids` that are this process's now. The others belong to somebody else, or must wait. Empty, too, when the
    /// database does not answer: the feeder will name them again.
    pub(super) async fn take(&self, ids: Vec<JobId>) -> Vec<ClaimedJob> {
        let (answer, claimed) = oneshot::channel();
        if self.0.send(Request { ids, answer }).await.is_err() {
            return Vec::new();
        }
        claimed.await.unwrap_or_default()
    }
}

/// Where claims are made, and how long an answer is waited for.
struct Ledger {
    pool: PgPool,
    answer_within: Duration,
}

impl Ledger {
    async fn claim(&self, worker: WorkerId, ids: &[JobId]) -> Result<Vec<ClaimedJob>, StoreError> {
        store::within(self.answer_within, ledger::claim(&self.pool, worker, ids)).await
    }
}

async fn serve(
    ledger: Ledger,
    worker: Arc<RwLock<WorkerId>>,
    held: Arc<Held>,
    stopping: watch::Receiver<bool>,
    mut receiver: mpsc::Receiver<Request>,
) {
    let mut requests = Vec::with_capacity(GROUP);
    while receiver.recv_many(&mut requests, GROUP).await > 0 {
        // First say that a claim is under way, then ask whether to stop: who stops does it the other way round.
        held.set_claiming(true);
        if *stopping.borrow() {
            requests.clear();
        } else {
            let id = *worker.read().unwrap_or_else(PoisonError::into_inner);
            serve_group(&ledger, id, &held, &mut requests).await;
        }
        held.set_claiming(false);
    }
}

async fn serve_group(ledger: &Ledger, worker: WorkerId, held: &Held, requests: &mut Vec<Request>) {
    let mut ids: Vec<JobId> = requests.iter().flat_map(|request| &request.ids).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let claimed = claim(ledger, worker, &ids).await;
    held.insert(claimed.iter().map(ClaimedJob::run));
    let mut claimed: HashMap<JobId, ClaimedJob> = claimed.into_iter().map(|job| (job.id, job)).collect();
    for request in requests.drain(..) {
        let jobs: Vec<ClaimedJob> = request.ids.iter().filter_map(|id| claimed.remove(id)).collect();
        if let Err(unheard) = request.answer.send(jobs) {
            // The heartbeat gives them back.
            held.remove(unheard.iter().map(ClaimedJob::run));
        }
    }
}

async fn claim(ledger: &Ledger, worker: WorkerId, ids: &[JobId]) -> Vec<ClaimedJob> {
    match ledger.claim(worker, ids).await {
        Ok(claimed) => claimed,
        // Somebody claims a companion of one of them at this moment: the others must not suffer for it.
        Err(StoreError::Data(_)) if ids.len() > 1 => {
            let mut claimed = Vec::new();
            for id in ids {
                claimed.extend(ledger.claim(worker, &[*id]).await.unwrap_or_default());
            }
            claimed
        }
        Err(StoreError::Data(_)) => Vec::new(),
        Err(error) => {
            // The claim may have happened although the answer was lost: the heartbeat gives such jobs back.
            tracing::warn!(%error, jobs = ids.len(), "could not claim jobs");
            Vec::new()
        }
    }
}
