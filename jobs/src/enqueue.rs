//! From a payload to a row of the ledger.

use crate::{Job, Policy};
use domain::{JobId, TenantId};
use serde::Serialize;
use serde_json::Value;
use store::ledger::NewJob;

/// A new job of kind `J`, ready at once. Set `run_at`, `ordering_key`, `priority`, `idempotency_key` as needed, then
/// write it with [`store::ledger::enqueue`] in the transaction that causes it.
pub fn new_job<J: Job>(tenant_id: TenantId, payload: &J, trace: Option<&str>) -> NewJob {
    of_kind(J::KIND, &J::POLICY, tenant_id, payload, trace)
}

pub(crate) fn of_kind(kind: &'static str, policy: &Policy, tenant_id: TenantId, payload: &impl Serialize, trace: Option<&str>) -> NewJob {
    NewJob {
        id: JobId::generate(),
        kind,
        queue: policy.queue,
        tenant_id,
        priority: 0,
        run_at: None,
        ordering_key: None,
        weight: 1,
        max_attempts: policy.max_attempts,
        idempotency_key: None,
        trace: trace.map(str::to_owned),
        // A payload is a plain struct of ids; it cannot fail to become JSON, and if it did the job would be a dead letter.
        args: serde_json::to_value(payload).unwrap_or(Value::Null),
        crashes: 0,
    }
}
