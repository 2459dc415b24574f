//! Journeys and raw webhooks.

use super::{BegunView, checked_reason, pace, value, with};
use crate::{
    dashboard::{
        gate::Viewer,
        journey,
        webhooks::{self, WebhookQuery},
    },
    prelude::*,
    request,
};
use chrono::{DateTime, Utc};
use domain::RawEventId;
use serde_json::{Value, json};
use uuid::Uuid;

/// Whose journey.
#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct JourneyQuery {
    /// A customer's number, a provider's id, or the id of a message, conversation, customer, job or raw webhook.
    q: Option<String>,
    /// The tenant's number, if there are very many.
    tenant: Option<i32>,
}

/// The journey of a message
///
/// `messages` that are meant, newest first; `steps` of the one that is meant, or of the newest: each with `at`, `what`, `took_s`, and the `problem` of one that is
/// slow, failed or missing. Without a message: the steps of the job or webhook with that id, or of the latest webhooks that hold the number or id.
#[endpoint]
pub(super) async fn get_journey(app: App, _viewer: Viewer, query: Query<JourneyQuery>) -> Result<Ok200<Value>, ApiError> {
    let q = query.0.q.ok_or_else(|| ApiError::invalid_field("q", "is required"))?;
    Ok200::new(&value(&journey::find(&app, &q, query.0.tenant, None).await?))
}

/// The log of raw webhooks
///
/// Fifty at once, newest first; `next` is the `before` to go on with.
#[endpoint]
pub(super) async fn list_webhooks(app: App, _viewer: Viewer, query: Query<WebhookQuery>) -> Result<Ok200<Value>, ApiError> {
    let (found, next) = webhooks::search(&app, &query.0, 50).await?;
    Ok200::new(&json!({"webhooks": found, "next": next}))
}

/// One raw webhook
///
/// `body` is JSON if it was, else a text; `jobs` are those that processed it.
#[endpoint]
pub(super) async fn get_webhook(app: App, _viewer: Viewer, id: Path<Uuid>) -> Result<Ok200<Value>, ApiError> {
    let (found, jobs) = webhooks::find(&app, RawEventId(id.0)).await?;
    let body = serde_json::from_slice::<Value>(&found.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&found.body)));
    let view = with(value(&found.webhook), json!({"trace_id": found.trace_id, "jobs": jobs, "body": body}));
    Ok200::new(&view)
}

/// Which raw webhooks: these, or those of a time, channel, source or tenant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"from": "2026-01-31T12:00:00Z", "to": "2026-01-31T13:00:00Z", "per_second": 50})))]
pub(super) struct ReplayBody {
    #[salvo(schema(max_items = 1_000, value_type = Vec<String>))]
    #[serde(default)]
    ids: Vec<String>,
    source: Option<String>,
    channel: Option<String>,
    tenant: Option<i32>,
    /// Only those of no tenant, or of several.
    #[serde(default)]
    unroutable: bool,
    #[salvo(schema(format = "date-time"))]
    from: Option<String>,
    #[salvo(schema(format = "date-time"))]
    to: Option<String>,
    /// How many each second (50 unless given).
    #[salvo(schema(minimum = 1, maximum = 1_000))]
    per_second: Option<i64>,
    /// Why; for the audit log.
    #[salvo(schema(max_length = 500))]
    reason: Option<String>,
}

impl ReplayBody {
    fn filter(&self, now: DateTime<Utc>) -> Result<store::operator_replay::ReplayFilter, ApiError> {
        let ids: Option<Vec<Uuid>> = self.ids.iter().map(|id| request::parse_uuid(id)).collect();
        let ids =
            ids.filter(|ids| ids.len() <= 1_000).ok_or_else(|| ApiError::invalid_field("ids", "must be UUIDs, a thousand at most"))?;
        let query = WebhookQuery {
            source: self.source.clone(),
            channel: self.channel.clone(),
            tenant: self.tenant,
            state: self.unroutable.then(|| "unroutable".to_owned()),
            text: None,
            from: self.from.clone(),
            to: self.to.clone(),
            before: None,
        };
        webhooks::filter_of(&query, ids, now)
    }
}

/// What a replay would write
///
/// `count` of all that match; `preview` of the first hundred: rows that would `appear` or `change`, tried and undone. It locks them for a moment, so who
/// may look only may not do this.
#[endpoint]
pub(super) async fn preview_replay(app: App, viewer: Viewer, body: Body<ReplayBody>) -> Result<Ok200<Value>, ApiError> {
    viewer.must_act()?;
    let filter = body.0.filter(app.clock.now())?;
    let (count, preview) = webhooks::try_out(&app, &filter).await?;
    Ok200::new(&json!({"count": count, "preview": preview}))
}

/// Process raw webhooks once more, so many each second
///
/// What they wrote before stays as it is: nothing happens twice.
#[endpoint]
pub(super) async fn replay(app: App, viewer: Viewer, body: Body<ReplayBody>) -> Result<Accepted<BegunView>, ApiError> {
    viewer.must_act()?;
    let mut fields = Fields::default();
    let per_second = pace(body.0.per_second, 50, webhooks::FASTEST, &mut fields);
    let reason = checked_reason(body.0.reason.clone(), &mut fields);
    fields.finish()?;
    let filter = body.0.filter(app.clock.now())?;
    Accepted::new(&BegunView { act: webhooks::begin(&app, &viewer.actor(reason), filter, per_second).await? })
}
