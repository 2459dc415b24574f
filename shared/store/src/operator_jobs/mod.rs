//! What an operator sees of the jobs and does to them. Every act and its row in `operator_acts` are one transaction.

mod acts;
mod changes;
mod list;
mod stats;

pub use acts::{Acted, canary, cancel, discard, retry};
pub(crate) use acts::{discard_some, record, retry_some};
pub use changes::{edit_and_retry, prioritize, snooze};
pub use list::{JobRow, count_dead, count_live, find, list_dead, list_done, list_live};
pub use stats::{QueueStats, stats};

use domain::{JobId, TenantId};

/// Which jobs. Conditions that are absent hold for all.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct JobFilter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// Only dead letters have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl JobFilter {
    fn uuids(&self) -> Option<Vec<uuid::Uuid>> {
        (!self.ids.is_empty()).then(|| self.ids.iter().map(|id| id.0).collect())
    }

    fn tenant(&self) -> Option<i32> {
        self.tenant_id.map(|tenant| tenant.0)
    }
}

/// Who acts.
#[derive(Clone, Debug)]
pub struct Actor {
    /// `cli:NAME`, `operator`, `user:UUID (e-mail)`.
    pub name: String,
    /// Why, in their words.
    pub reason: Option<String>,
}
