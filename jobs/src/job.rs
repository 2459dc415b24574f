//! What a job is. Adding one: a folder here with a payload that implements `Job`, and one line in `workers/src/registry.rs`.

use crate::{Done, JobContext, JobError, Policy};
use domain::{JobId, TenantId};
use serde::{Serialize, de::DeserializeOwned};

/// A unit of background work. The implementing type is the payload: ids and a version, no bodies; fields are only added.
///
/// `run` may be called again after any of its steps. Effects in Postgres belong into the transaction that
/// [`JobContext::commit`] ends: it settles the job in the same transaction, so effects and completion happen together or
/// not at all.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// Verb and noun in snake case; never changes once released.
    const KIND: &'static str;
    const POLICY: Policy;

    fn run(self, ctx: &JobContext) -> impl Future<Output = Result<Done, JobError>> + Send;
}

/// A job of which many are run as one, because that is cheaper. An error that concerns only one of them must be kept from
/// the others (split it off); an error that is returned concerns all.
pub trait BatchJob: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    const KIND: &'static str;
    const POLICY: Policy;

    fn run(batch: Vec<Claimed<Self>>, ctx: &JobContext) -> impl Future<Output = Result<Done, JobError>> + Send;
}

/// One job of a batch.
#[derive(Clone, Debug)]
pub struct Claimed<J> {
    pub id: JobId,
    pub tenant_id: TenantId,
    pub payload: J,
}
