//! Where tools that answer later do so.

use crate::{prelude::*, request::NamedTenant};
use domain::TenantId;
use jobs::{queue, run_auto_reply};
use salvo::http::StatusCode;
use serde_json::Value;
use store::{
    StoreError, ledger,
    tenants::TenantKey,
    tool_callbacks::{self, Answered},
};
use uuid::Uuid;

/// More of an answer is not kept.
const MOST_CHARS: usize = 16_000;

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct Signed {
    /// Of the address that the tool was given.
    expires: Option<i64>,
    /// Of the same.
    signature: Option<String>,
}

/// What the tool has to say: any JSON. The agent reads it as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
pub(super) struct CallbackBody(#[salvo(schema(value_type = Object))] Value);

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallbackView {
    /// `accepted`, or `already_answered`: the first answer counts.
    status: &'static str,
}

/// Answer a call of an asynchronous tool
///
/// At the address that the call came with (`X-Callback-Url`, and `callback_url` in the body), which is good for a day. The agent goes on with it.
#[endpoint]
pub(super) async fn post_callback(
    app: App,
    tenant: NamedTenant,
    call_id: Path<Uuid>,
    query: Query<Signed>,
    body: Body<CallbackBody>,
) -> Result<Ok200<CallbackView>, ApiError> {
    let (Query(signed), Body(CallbackBody(said))) = (query, body);
    let not_good = || ApiError::new(StatusCode::NOT_FOUND, "not_found", "This address is not good, or not any more");
    let (TenantKey::Number(tenant), call) = (tenant.0, call_id.0) else { return Err(not_good()) };
    let tenant = TenantId(tenant);
    let (expires, signature) = (signed.expires.unwrap_or_default(), signed.signature.unwrap_or_default());
    let links = app.callback_links.as_ref();
    if !links.is_some_and(|links| links.is_good(tenant, call, expires, &signature, app.clock.now())) {
        return Err(not_good());
    }
    let mut tx = app.operator.begin().await.map_err(StoreError::from)?;
    let text = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
    let text: String = text.chars().take(MOST_CHARS).collect();
    let status = match tool_callbacks::answer(&mut tx, tenant, call, &text).await? {
        Answered::Now(conversation) => {
            ledger::enqueue(&mut tx, &[run_auto_reply::callback_job(tenant, conversation, call)]).await?;
            "accepted"
        }
        Answered::Before => "already_answered",
        Answered::Unknown => return Err(not_good()),
    };
    tx.commit().await.map_err(StoreError::from)?;
    app.waker.ring(queue::AGENTS.name, [tenant]);
    Ok200::new(&CallbackView { status })
}
