//! What a running job can use, and the one way to end it together with its effects.

use crate::{
    JobError,
    agent_tools::CallbackLinks,
    knowledge::Knowledge,
    live::Teller,
    send_outbound::{Lanes, Statements, Throttle},
    thinking::Prices,
    wake::Waker,
};
use ai::service::AgentService;
use channels::sending::ProviderUrls;
use chrono::TimeDelta;
use domain::{Change, JobId, TenantId, WorkerId};
use platform::{GuardedClient, MediaStore, Sealing};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{
    PgConnection, PgPool, Postgres, StoreError, Transaction,
    channel_map::ChannelMap,
    inbound::PeopleCache,
    ledger::{self, Burial, ClaimedJob, NewJob},
    realtime,
};

/// What all jobs of a process share.
#[derive(Debug)]
pub struct Services {
    pub pool: PgPool,
    /// Commits here do not wait for the disk: see [`JobContext::begin_relaxed`].
    pub relaxed: PgPool,
    pub waker: Waker,
    pub channels: ChannelMap,
    pub people: PeopleCache,
    /// How long a person's message keeps the bot away.
    pub human_override_ttl: TimeDelta,
    /// For calls to providers.
    pub http: reqwest::Client,
    pub providers: ProviderUrls,
    /// For addresses that others supply.
    pub guarded: GuardedClient,
    /// Where copies of files go, and how large they may be.
    pub media: MediaStore,
    pub media_max_bytes: u64,
    pub lanes: Arc<Lanes>,
    pub sends: Statements,
    pub throttle: Throttle,
    pub agents: Agents,
    /// What tenants' documents say.
    pub knowledge: Knowledge,
    /// For those who wait for an agent's answer.
    pub live: Teller,
    /// Opens what tenants entrusted to us.
    pub sealing: Sealing,
}

/// How agents are asked.
#[derive(Debug)]
pub struct Agents {
    /// `None`: they repeat what they heard, unless there is a service or the tenant has a key of its own.
    pub model: Option<ai::Model>,
    /// For tenants with a key but without an address of their own.
    pub openai_base_url: String,
    /// For agents that name no model.
    pub default_model: String,
    /// The longest that an answer is waited for.
    pub patience: Duration,
    /// Answers where there is no model, or where the tenant's settings say so.
    pub service: Option<AgentService>,
    pub prices: Prices,
    /// `None`: no tool can answer later.
    pub callbacks: Option<CallbackLinks>,
    /// The least time between two answers in a conversation.
    pub cooldown: TimeDelta,
}

/// Proof that a run ended well, and whether it is settled already.
#[derive(Debug)]
pub struct Done {
    pub(crate) settled: bool,
    buried: Vec<String>,
}

impl Done {
    /// For jobs without effects in Postgres: the runtime settles them, many in one statement.
    pub const WITHOUT_EFFECTS: Self = Self { settled: false, buried: Vec::new() };

    /// True if the job was settled by [`JobContext::commit`].
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// The classes of what went wrong with the jobs that became dead letters, of a run that ended well for the others.
    pub fn buried(&self) -> &[String] {
        &self.buried
    }
}

/// One run of one job, or of one batch.
#[derive(Debug)]
pub struct JobContext {
    pub services: Arc<Services>,
    pub(crate) worker: WorkerId,
    jobs: Vec<JobId>,
    /// Where the successors of ordered jobs wait: the queue and the tenants. Empty if no job has an ordering key.
    successors: BTreeSet<(&'static str, TenantId)>,
    /// The tenant of (the first of) the jobs.
    pub tenant: TenantId,
    /// No attempt is left for (one of) the jobs if this one fails.
    pub is_last_attempt: bool,
    /// The most attempts (this one included) that any of the jobs has behind it.
    pub attempt: i16,
    /// The most crashes that any of the jobs has behind it.
    pub crashes: i16,
    /// How long (the longest of) the jobs was put off by waits that count, since it last failed or was made.
    pub waited: Duration,
    /// The traceparent of (the first of) the jobs.
    pub trace: Option<String>,
    enqueued: Mutex<BTreeSet<(&'static str, TenantId)>>,
    told: Mutex<BTreeSet<TenantId>>,
}

impl JobContext {
    /// For the runtime: a run of `jobs` of `queue`, claimed by `worker`.
    pub fn new(services: Arc<Services>, worker: WorkerId, queue: &'static str, jobs: &[ClaimedJob]) -> Self {
        Self {
            services,
            worker,
            jobs: jobs.iter().map(|job| job.id).collect(),
            successors: jobs.iter().filter(|job| job.ordered).map(|job| (queue, job.tenant_id)).collect(),
            tenant: jobs.first().map_or(TenantId::NONE, |job| job.tenant_id),
            is_last_attempt: jobs.iter().any(|job| job.attempt >= job.max_attempts),
            attempt: jobs.iter().map(|job| job.attempt).max().unwrap_or(0),
            crashes: jobs.iter().map(|job| job.crashes).max().unwrap_or(0),
            waited: Duration::try_from_secs_f64(jobs.iter().map(|job| job.put_off_seconds).fold(0.0, f64::max)).unwrap_or_default(),
            trace: jobs.iter().find_map(|job| job.trace.clone()),
            enqueued: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// The job, of a kind whose jobs run one by one.
    pub fn only_job(&self) -> Option<JobId> {
        self.jobs.first().copied()
    }

    /// Begins the transaction of the job's effects.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.services.pool.begin().await?)
    }

    /// The same, with a commit that does not wait for the disk. Only for jobs all of whose effects are in this transaction: if a
    /// crash of Postgres undoes it, the job is undone with it and runs again from what is durable (the raw event).
    pub async fn begin_relaxed(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.services.relaxed.begin().await?)
    }

    /// Fails if the job is somebody else's by now. If it is not, nobody takes it away before the transaction ends: for effects that are committed before
    /// the job's end.
    pub async fn hold(&self, conn: &mut PgConnection) -> Result<(), JobError> {
        match self.only_job() {
            Some(job) if ledger::hold(conn, self.worker, job).await? => Ok(()),
            _ => Err(JobError::Fenced),
        }
    }

    /// Writes follow-up jobs in the transaction of the effects; the feeder hears of them after the commit.
    pub async fn enqueue(&self, conn: &mut PgConnection, jobs: &[NewJob]) -> Result<(), StoreError> {
        ledger::enqueue(conn, jobs).await?;
        self.enqueued.lock().unwrap_or_else(PoisonError::into_inner).extend(jobs.iter().map(|job| (job.queue, job.tenant_id)));
        Ok(())
    }

    /// Writes what the effects change, for those who watch; they hear of it after the commit.
    pub async fn tell(&self, conn: &mut PgConnection, changes: &BTreeMap<TenantId, Vec<Change>>) -> Result<(), StoreError> {
        realtime::tell(conn, changes).await?;
        self.told(changes.keys().copied());
        Ok(())
    }

    /// The same, where the statement of an effect has written it.
    pub fn told(&self, tenants: impl IntoIterator<Item = TenantId>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).extend(tenants);
    }

    /// Settles the job and commits its effects, both or neither. If somebody else owns the job by now (it was rescued
    /// while this run stalled), everything is rolled back.
    pub async fn commit(&self, tx: Transaction<'static, Postgres>) -> Result<Done, JobError> {
        self.commit_burying(tx, &[]).await
    }

    /// The same, for a batch of which some jobs failed for good: these become dead letters, the others are done.
    pub async fn commit_burying(&self, mut tx: Transaction<'static, Postgres>, burials: &[Burial]) -> Result<Done, JobError> {
        let buried = if burials.is_empty() { Vec::new() } else { ledger::bury(&mut tx, self.worker, burials).await? };
        let good: Vec<JobId> = self.jobs.iter().filter(|id| !buried.contains(id)).copied().collect();
        let done =
            if good.is_empty() { Vec::new() } else { ledger::complete(&mut tx, self.worker, &good, !self.successors.is_empty()).await? };
        if buried.len() + done.len() < self.jobs.len() {
            return Err(JobError::Fenced);
        }
        tx.commit().await.map_err(StoreError::from)?;
        let class = |burial: &Burial| burial.fingerprint.split_once(':').map_or_else(String::new, |(_, class)| class.to_owned());
        Ok(Done { buried: burials.iter().map(class).collect(), ..self.committed() })
    }

    /// The job is settled and its effects are committed: those who wait for them hear of it.
    pub(crate) fn committed(&self) -> Done {
        let enqueued = std::mem::take(&mut *self.enqueued.lock().unwrap_or_else(PoisonError::into_inner));
        for (queue, tenant) in enqueued.into_iter().chain(self.successors.iter().copied()) {
            self.services.waker.ring(queue, [tenant]);
        }
        self.services.waker.changed(std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner)));
        Done { settled: true, buried: Vec::new() }
    }
}
