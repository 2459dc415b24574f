//! One commit for many webhooks: their raw events and their jobs, in one statement; then all are answered.

use super::{
    Measures,
    backlog::Backlog,
    channel_owners::sole_owner,
    inbox::{Held, Refusal, Waiter},
    parts::Parts,
};
use crate::partitions;
use domain::TenantId;
use jobs::{
    process_webhook::{StoredEvent, jobs_for},
    queue,
    wake::Waker,
};
use platform::TraceContext;
use std::{
    collections::BTreeSet,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{
    OwnConnection, PgPool, StoreError,
    channel_map::ChannelMap,
    ledger::NewJob,
    raw_events::{self, NewRawEvent},
};
use tokio::sync::Mutex;

/// A statement that takes longer is given up, before the providers give up (Meta does after some 20 s). It may be done all the
/// same; the provider's next delivery is then recognised as a duplicate.
const STATEMENT_LIMIT: Duration = Duration::from_secs(7);

pub(crate) struct GroupCommit {
    pub pool: PgPool,
    /// For the statement that everybody waits for.
    pub connection: Mutex<OwnConnection>,
    pub channels: ChannelMap,
    pub waker: Waker,
    pub backlog: Arc<Backlog>,
    pub measures: Arc<Measures>,
}

/// Why a statement did not do what it should.
struct Failure(StoreError);

/// Postgres is away: there is no use in trying with more.
pub(super) struct DatabaseAway;

struct Rows {
    events: Vec<NewRawEvent>,
    trace: Option<String>,
}

/// What a commit has stored.
#[derive(Default)]
struct Kept {
    events: usize,
    bytes: usize,
    /// In whose lanes there is work now.
    lanes: BTreeSet<TenantId>,
}

impl Kept {
    fn add(&mut self, rows: &Rows, part: Range<usize>, lanes: BTreeSet<TenantId>) {
        let events = rows.events.get(part).unwrap_or_default();
        self.events += events.len();
        self.bytes += events.iter().map(|event| event.body.len()).sum::<usize>();
        self.lanes.extend(lanes);
    }
}

impl GroupCommit {
    /// True if the database answers within `limit`.
    pub(super) async fn database_answers(&self, limit: Duration) -> bool {
        matches!(tokio::time::timeout(limit, store::operator_status::now(&self.pool)).await, Ok(Ok(_)))
    }

    /// Writes `batch` and answers everybody in it.
    pub(super) async fn commit(&self, batch: Vec<Held>) -> Result<(), DatabaseAway> {
        let started = Instant::now();
        let trace = batch.first().map(|held| held.trace);
        let (events, waiters): (Vec<_>, Vec<_>) = batch.into_iter().map(|held| (held.event, held.waiter)).unzip();
        let mut kept = Kept::default();
        let result = match self.resolve(events, trace).await {
            Ok(rows) => self.write(&rows, waiters, &mut kept).await,
            Err(failure) => {
                failure.log("the channels of a commit could not be looked up");
                answer(waiters.into_iter(), Err(Refusal::Database));
                failure.verdict()
            }
        };
        if kept.events > 0 {
            self.waker.ring(queue::WEBHOOKS.name, kept.lanes.iter().copied());
            self.report(&kept, started.elapsed(), trace);
        }
        result
    }

    fn report(&self, kept: &Kept, took: Duration, trace: Option<TraceContext>) {
        self.measures.commit_seconds.record(took);
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
        self.measures.commit_events.record(kept.events as f64);
        let trace = trace.map(|trace| tracing::field::display(trace.trace_id()));
        let (events, bytes, millis) = (kept.events, kept.bytes, u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        tracing::info!(events, bytes, millis, trace, "webhooks taken");
    }

    async fn resolve(&self, mut events: Vec<NewRawEvent>, trace: Option<TraceContext>) -> Result<Rows, Failure> {
        let channels = {
            let named: Vec<_> = events.iter().flat_map(|event| event.channel_ids.iter().map(|id| (event.naming, id.as_str()))).collect();
            in_time(self.channels.resolve(&self.pool, &named)).await?
        };
        for event in &mut events {
            if event.tenant_id.is_none() {
                event.tenant_id = sole_owner(event.naming, &event.channel_ids, &channels);
            }
        }
        Ok(Rows { events, trace: trace.map(|trace| trace.to_string()) })
    }

    /// Writes the rows, in parts if Postgres refuses some of them, and answers part by part.
    async fn write(&self, rows: &Rows, waiters: Vec<Waiter>, kept: &mut Kept) -> Result<(), DatabaseAway> {
        let mut waiters = waiters.into_iter();
        let mut parts = Parts::whole(rows.events.len());
        let mut partitions_made = false;
        while let Some(part) = parts.next() {
            let result = match self.accept(rows, part.clone()).await {
                Ok(lanes) => {
                    kept.add(rows, part.clone(), lanes);
                    Ok(())
                }
                Err(Failure(StoreError::Data(_))) if !partitions_made => {
                    // Also what Postgres says when the day has no partition, for example after days without a database.
                    partitions_made = true;
                    self.make_partitions().await;
                    parts.again(part);
                    continue;
                }
                Err(Failure(StoreError::Data(_))) if part.len() > 1 => {
                    parts.halve(part);
                    continue;
                }
                Err(Failure(StoreError::Data(error))) => {
                    let refused = rows.events.get(part.start).map(|event| (event.id, event.body.len()));
                    tracing::error!(%error, event = ?refused, "Postgres refused a webhook; it is not stored");
                    Err(Refusal::Data)
                }
                Err(failure) => {
                    failure.log("webhooks could not be stored");
                    if let Err(away) = failure.verdict() {
                        answer(waiters, Err(Refusal::Database));
                        return Err(away);
                    }
                    Err(Refusal::Database)
                }
            };
            answer(waiters.by_ref().take(part.len()), result);
        }
        Ok(())
    }

    /// Writes one part and returns the lanes of its jobs. A conflict is tried once more.
    async fn accept(&self, rows: &Rows, part: Range<usize>) -> Result<BTreeSet<TenantId>, Failure> {
        let events = rows.events.get(part).unwrap_or_default();
        // One of several tenants waits in nobody's lane, so that nothing that is done to one of them touches the others.
        let stored: Vec<StoredEvent> =
            events.iter().map(|event| StoredEvent { id: event.id, tenant_id: event.tenant_id, size: event.body.len() }).collect();
        let jobs = jobs_for(&stored, self.backlog.lanes(), rows.trace.as_deref());
        match in_time(self.insert(events, &jobs)).await {
            Err(Failure(StoreError::Conflict(_))) => in_time(self.insert(events, &jobs)).await?,
            other => other?,
        }
        Ok(jobs.iter().map(|job| job.tenant_id).collect())
    }

    async fn insert(&self, events: &[NewRawEvent], jobs: &[NewJob]) -> Result<(), StoreError> {
        self.connection.lock().await.run(async |connection| raw_events::accept(connection, events, jobs).await).await
    }

    async fn make_partitions(&self) {
        if let Err(failure) = in_time(store::maintenance::ensure_partitions(&self.pool, partitions::DAYS_AHEAD)).await {
            failure.log("partitions could not be made");
        }
    }
}

fn answer(waiters: impl Iterator<Item = Waiter>, result: Result<(), Refusal>) {
    for waiter in waiters {
        waiter.answer(result);
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, Failure> {
    store::within(STATEMENT_LIMIT, work).await.map_err(Failure)
}

impl Failure {
    /// Is the database away, so that everybody can be refused at once until it is back? `Ok`: no, only this did not work.
    fn verdict(&self) -> Result<(), DatabaseAway> {
        match self {
            Self(StoreError::Unavailable(_)) => Err(DatabaseAway),
            Self(
                StoreError::Conflict(_)
                | StoreError::Data(_)
                | StoreError::Fenced
                | StoreError::Stale(_)
                | StoreError::Migration(_)
                | StoreError::Defect(_),
            ) => Ok(()),
        }
    }

    fn log(&self, what: &'static str) {
        match self {
            Self(error) if error.is_transient() => tracing::warn!(%error, "{what}"),
            Self(error) => tracing::error!(%error, "{what}"),
        }
    }
}
