//! Claims that arrive at the same time become one statement; while it runs, the next group gathers. No waiting for company.

use super::held::Held;
use domain::{JobId, WorkerId};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};
use store::{
    PgPool,
    ledger::{self, ClaimedJob},
};
use tokio::sync::{mpsc, oneshot};

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
    pub(super) fn start(pool: PgPool, worker: Arc<RwLock<WorkerId>>, held: Arc<Held>) -> Self {
        let (sender, receiver) = mpsc::channel(GROUP);
        tokio::spawn(serve(pool, worker, held, receiver));
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

async fn serve(pool: PgPool, worker: Arc<RwLock<WorkerId>>, held: Arc<Held>, mut receiver: mpsc::Receiver<Request>) {
    let mut requests = Vec::with_capacity(GROUP);
    while receiver.recv_many(&mut requests, GROUP).await > 0 {
        let id = *worker.read().unwrap_or_else(PoisonError::into_inner);
        let mut ids: Vec<JobId> = requests.iter().flat_map(|request| &request.ids).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        match ledger::claim(&pool, id, &ids).await {
            Ok(claimed) => {
                held.insert(claimed.iter().map(|job| job.id));
                let mut claimed: HashMap<JobId, ClaimedJob> = claimed.into_iter().map(|job| (job.id, job)).collect();
                for request in requests.drain(..) {
                    let jobs: Vec<ClaimedJob> = request.ids.iter().filter_map(|id| claimed.remove(id)).collect();
                    if let Err(unheard) = request.answer.send(jobs) {
                        held.remove(unheard.iter().map(|job| &job.id));
                    }
                }
            }
            Err(error) => {
                // The claim may have happened although the answer was lost: the heartbeat gives such jobs back.
                tracing::warn!(%error, jobs = ids.len(), "could not claim jobs");
                requests.clear();
            }
        }
    }
}
