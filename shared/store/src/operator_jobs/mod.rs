//! What an operator sees of the jobs and does to them. Every act and its row in `operator_acts` are one transaction.

mod acts;
mod list;
mod queues;
mod stats;

pub(crate) use acts::record;
pub use acts::{Acted, cancel, discard, retry};
pub use list::{JobRow, count_dead, count_live, find, list_dead, list_done, list_live};
pub use queues::{pause, resume};
pub use stats::{QueueStats, stats};

use domain::{JobId, TenantId};

/// Which jobs. Conditions that are absent hold for all.
#[derive(Clone, Debug, Default, serde::Serialize)]
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
pub struct Actor(pub String);
