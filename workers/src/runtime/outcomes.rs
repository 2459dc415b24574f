//! The one place that writes how runs ended. Outcomes that arrive at the same time become one transaction; it is repeated
//! until the database takes it, since a job whose outcome is not written would stay `running`.

use super::held::Held;
use domain::WorkerId;
use jobs::together::Together;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{
    PgPool, StoreError,
    ledger::{self, Burial, Delay, Run, unfinished},
};

/// Outcomes in one transaction.
const GROUP: usize = 512;

/// How a run ended, when its job did not settle itself.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) run: Run,
    pub(super) end: End,
}

#[derive(Clone, Debug)]
pub(super) enum End {
    Complete { ordered: bool },
    Delay(Delay),
    Bury(Burial),
    Cancel,
}

#[derive(Debug)]
struct Request {
    worker: WorkerId,
    outcomes: Vec<Outcome>,
}

/// Writes outcomes.
#[derive(Debug)]
pub(super) struct Outcomes(Together<Request, ()>);

impl Outcomes {
    pub(super) fn start(pool: PgPool, held: Arc<Held>, answer_within: Duration) -> Self {
        Self(Together::start(GROUP, Duration::ZERO, move |requests| {
            let (pool, held) = (pool.clone(), held.clone());
            async move {
                let written = vec![(); requests.len()];
                settle(&pool, &held, answer_within, requests).await;
                written
            }
        }))
    }

    /// Returns when the outcomes are written. `worker`: the id under which the jobs were claimed.
    pub(super) async fn write(&self, worker: WorkerId, outcomes: Vec<Outcome>) {
        self.0.ask(Request { worker, outcomes }).await.unwrap_or_default();
    }
}

async fn settle(pool: &PgPool, held: &Held, answer_within: Duration, requests: Vec<Request>) {
    // Nearly always one id; another one only after this process was declared dead.
    let mut by_worker: BTreeMap<WorkerId, Vec<Outcome>> = BTreeMap::new();
    for request in requests {
        by_worker.entry(request.worker).or_default().extend(request.outcomes);
    }
    for (worker, outcomes) in by_worker {
        persist(pool, worker, &outcomes, answer_within).await;
        held.remove(outcomes.iter().map(|outcome| outcome.run));
    }
}

async fn persist(pool: &PgPool, worker: WorkerId, outcomes: &[Outcome], answer_within: Duration) {
    let mut pause = Duration::from_millis(20);
    loop {
        match store::within(answer_within, write(pool, worker, outcomes)).await {
            Ok(()) => return,
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, jobs = outcomes.len(), "outcomes not written yet; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
            Err(error) if outcomes.len() > 1 => {
                tracing::error!(%error, jobs = outcomes.len(), "outcomes refused together; writing them one by one");
                for outcome in outcomes {
                    Box::pin(persist(pool, worker, std::slice::from_ref(outcome), answer_within)).await;
                }
                return;
            }
            Err(error) => {
                // Left `running`: the heartbeat gives it back to the queue.
                let id = outcomes.first().map(|outcome| outcome.run.id.to_string());
                tracing::error!(%error, id, "the outcome of a job cannot be written");
                return;
            }
        }
    }
}

async fn write(pool: &PgPool, worker: WorkerId, outcomes: &[Outcome]) -> Result<(), StoreError> {
    let (mut complete, mut ordered, mut delays, mut burials, mut cancels) = (Vec::new(), false, Vec::new(), Vec::new(), Vec::new());
    for outcome in outcomes {
        match &outcome.end {
            End::Complete { ordered: has_key } => {
                complete.push(outcome.run.id);
                ordered |= has_key;
            }
            End::Delay(delay) => delays.push(delay.clone()),
            End::Bury(burial) => burials.push(burial.clone()),
            End::Cancel => cancels.push(outcome.run.id),
        }
    }
    if delays.is_empty() && burials.is_empty() && cancels.is_empty() {
        let mut conn = pool.acquire().await?;
        ledger::complete(&mut conn, worker, &complete, ordered).await?;
        return Ok(());
    }
    let (mut tx, mut unended) = (pool.begin().await?, Vec::new());
    if !complete.is_empty() {
        ledger::complete(&mut tx, worker, &complete, ordered).await?;
    }
    if !delays.is_empty() && ledger::delay(&mut tx, worker, &delays).await?.len() < delays.len() {
        // A job whose cancellation was asked for is not put back.
        cancels.extend(delays.iter().map(|delay| delay.run.id));
    }
    if !cancels.is_empty() {
        unended.extend(ledger::cancel(&mut tx, worker, &cancels).await?);
    }
    if !burials.is_empty() {
        unended.extend(ledger::bury(&mut tx, worker, &burials).await?);
    }
    unfinished::close(&mut tx, &unended).await?;
    tx.commit().await?;
    Ok(())
}
