//! What people of the tenant did.

use crate::{prelude::*, request};
use serde_json::Value;
use store::audit::{self, Entry};
use uuid::Uuid;

/// An act.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryView {
    id: Uuid,
    at: Time,
    /// `user:UUID`, `operator`, `service`, or the name of a sign-in that failed.
    actor: String,
    /// `noun.verb`, for example `user.update`.
    act: String,
    /// The id of what it was done to.
    subject: Option<String>,
    #[salvo(schema(value_type = Option<Object>))]
    detail: Option<Value>,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct AuditQuery {
    /// The id of an entry: those before it.
    before: Option<Uuid>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
}

impl From<&Entry> for EntryView {
    fn from(entry: &Entry) -> Self {
        Self {
            id: entry.id,
            at: Time(entry.at),
            actor: entry.actor.clone(),
            act: entry.act.clone(),
            subject: entry.subject.clone(),
            detail: entry.detail.clone(),
        }
    }
}

/// Read the audit log
///
/// Sign-ins and changes by people, the newest first. For owners and admins.
#[endpoint]
pub(super) async fn list_audit_log(app: App, caller: Admin, query: Query<AuditQuery>) -> Result<Ok200<Vec<EntryView>>, ApiError> {
    let (Admin(caller), Query(query)) = (caller, query);
    let limit = request::limit(query.limit)?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    Ok200::new(&audit::list(&mut tx, caller.tenant, query.before, limit).await?.iter().map(EntryView::from).collect())
}
