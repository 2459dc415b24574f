//! The statements of a send. Those of sends that run at the same time are made together, since a statement costs more than a row.

use crate::{JobContext, JobError, together::Together};
use domain::{JobId, MessageId, TenantId, WorkerId};
use std::{collections::BTreeMap, time::Duration};
use store::{
    PgConnection, PgPool, StoreError, ledger,
    sending::{self, Accepted, Begun, Waiting},
};

/// Sends in one statement.
const GROUP: usize = 128;
/// How long they gather under load; a provider's answer takes longer.
const GATHER: Duration = Duration::from_millis(8);

type Key = (TenantId, MessageId);

/// What a process's sends ask the database.
#[derive(Debug)]
pub struct Statements {
    pool: PgPool,
    look: Together<Key, Option<Waiting>>,
    begin: Together<Key, Option<Begun>>,
    accept: Together<Ending, ()>,
}

/// A message that a provider has taken, and the job that is done with it.
#[derive(Debug)]
struct Ending {
    worker: WorkerId,
    job: JobId,
    accepted: Accepted,
}

impl Statements {
    /// `answer_within`: how long a statement that is made for several is waited for.
    pub fn start(pool: &PgPool, answer_within: Duration) -> Self {
        let (for_look, for_begin, for_accept) = (pool.clone(), pool.clone(), pool.clone());
        Self {
            pool: pool.clone(),
            look: Together::start(GROUP, GATHER, move |keys: Vec<Key>| {
                let pool = for_look.clone();
                async move { found(&keys, store::within(answer_within, look(&pool, &keys)).await) }
            }),
            begin: Together::start(GROUP, GATHER, move |keys: Vec<Key>| {
                let pool = for_begin.clone();
                async move { found(&keys, store::within(answer_within, begin(&pool, &keys)).await) }
            }),
            accept: Together::start(GROUP, GATHER, move |endings: Vec<Ending>| {
                let pool = for_accept.clone();
                async move { store::within(answer_within, accept(&pool, &endings)).await.map_or(Vec::new(), |()| vec![(); endings.len()]) }
            }),
        }
    }

    /// Whoever gets no answer in company asks alone: it hears of its own trouble then, and only of that.
    pub(super) async fn look(&self, key: Key) -> Result<Option<Waiting>, StoreError> {
        match self.look.ask(key).await {
            Some(found) => Ok(found),
            None => Ok(look(&self.pool, &[key]).await?.remove(&key.1)),
        }
    }

    pub(super) async fn begin(&self, key: Key) -> Result<Option<Begun>, StoreError> {
        match self.begin.ask(key).await {
            Some(begun) => Ok(begun),
            None => Ok(begin(&self.pool, &[key]).await?.remove(&key.1)),
        }
    }

    /// Writes an acceptance and the job's end with it. False: nothing may be written, so do it alone.
    pub(super) async fn accept(&self, ctx: &JobContext, accepted: Accepted) -> bool {
        let Some(job) = ctx.only_job() else { return false };
        self.accept.ask(Ending { worker: ctx.worker, job, accepted }).await.is_some()
    }
}

fn found<A>(keys: &[Key], rows: Result<BTreeMap<MessageId, A>, StoreError>) -> Vec<Option<A>> {
    rows.map_or(Vec::new(), |mut rows| keys.iter().map(|key| rows.remove(&key.1)).collect())
}

async fn look(pool: &PgPool, keys: &[Key]) -> Result<BTreeMap<MessageId, Waiting>, StoreError> {
    sending::look_at(&mut *pool.acquire().await?, keys).await
}

async fn begin(pool: &PgPool, keys: &[Key]) -> Result<BTreeMap<MessageId, Begun>, StoreError> {
    sending::begin(&mut *pool.acquire().await?, keys).await
}

/// What providers took is true also of messages whose jobs are somebody else's by now, or were cancelled: only their jobs stay as they are.
async fn accept(pool: &PgPool, endings: &[Ending]) -> Result<(), StoreError> {
    let Some(worker) = endings.first().map(|ending| ending.worker) else { return Ok(()) };
    if endings.iter().any(|ending| ending.worker != worker) {
        return Err(StoreError::Fenced);
    }
    let mut tx = pool.begin().await?;
    let conn: &mut PgConnection = &mut tx;
    let accepted: Vec<&Accepted> = endings.iter().map(|ending| &ending.accepted).collect();
    sending::accepted(conn, &accepted).await?;
    let jobs: Vec<JobId> = endings.iter().map(|ending| ending.job).collect();
    ledger::complete(conn, worker, &jobs, true).await?;
    Ok(tx.commit().await?)
}

/// An acceptance by itself, without the job's end.
pub(super) async fn accept_alone(ctx: &JobContext, accepted: &Accepted) -> Result<(), JobError> {
    let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
    Ok(sending::accepted(&mut conn, &[accepted]).await?)
}
