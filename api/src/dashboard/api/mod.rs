//! The same as the pages, as JSON: `/api/ops/*`. Whatever a page can do can be done here; each act may say why.

mod jobs;
mod pauses;
mod webhooks;

use super::{
    acts,
    gate::{ApiGate, Viewer},
    health,
    history::{self, HistoryQuery},
    pulse::Snapshot,
};
use crate::{
    contracts::{Contract, ErrorContext, object_of},
    prelude::*,
};
use salvo::{
    Router,
    http::StatusCode,
    oapi::{BasicType, Object},
};
use serde_json::{Value, json};
use store::operator::{paced, sessions};
use uuid::Uuid;

pub(crate) const CONTRACT: Contract = Contract {
    name: "ops",
    about: "Operators: what the pages at /ops show and do",
    paths: &["/api/ops", "/ops"],
    invalid_status: StatusCode::BAD_REQUEST,
    error_body,
    error_schema,
    routes,
};

fn error_body(error: &ApiError, context: &ErrorContext<'_>) -> Value {
    let fields: Vec<Value> = error.fields.iter().map(|field| json!({"field": field.field, "problem": field.problem})).collect();
    let body = json!({"message": error.message, "code": error.code});
    let body = if fields.is_empty() { body } else { with(body, json!({ "fields": fields })) };
    match error.detail.as_ref().filter(|_| context.development) {
        Some(detail) => with(body, json!({ "detail": detail })),
        None => body,
    }
}

fn error_schema() -> Object {
    let text = || Object::with_type(BasicType::String);
    object_of([("message", text().into(), true), ("code", text().into(), true)])
}

fn routes() -> Router {
    let path = Router::with_path;
    path("api/ops")
        .hoop(ApiGate)
        .push(path("overview").get(overview))
        .push(path("history").get(get_history))
        .push(path("jobs").get(jobs::list_jobs))
        .push(path("jobs/{id}").get(jobs::get_job))
        .push(path("jobs/{id}/{act}").post(jobs::act_on_job))
        .push(path("dead-letters").get(jobs::list_groups))
        .push(path("dead-letters/release").post(jobs::release))
        .push(path("dead-letters/discard").post(jobs::discard_group))
        .push(path("dead-letters/canary").post(jobs::canary))
        .push(path("pauses").get(pauses::list_pauses).post(pauses::pause))
        .push(path("resume").post(pauses::resume))
        .push(path("journey").get(webhooks::get_journey))
        .push(path("webhooks").get(webhooks::list_webhooks))
        .push(path("webhooks/preview").post(webhooks::preview_replay))
        .push(path("webhooks/replay").post(webhooks::replay))
        .push(path("webhooks/{id}").get(webhooks::get_webhook))
        .push(path("acts").get(list_acts))
        .push(path("acts/{id}").get(get_act))
        .push(path("acts/{id}/stop").post(stop_act))
        .push(path("audit").get(audit))
}

/// Plain data cannot fail to become JSON.
pub(super) fn value(data: &impl Serialize) -> Value {
    serde_json::to_value(data).unwrap_or_default()
}

/// An object with these fields as well.
pub(super) fn with(object: Value, more: Value) -> Value {
    match (object, more) {
        (Value::Object(mut object), Value::Object(more)) => {
            object.extend(more);
            Value::Object(object)
        }
        (object, _) => object,
    }
}

/// How everything stands
///
/// `complaints`: what is wrong, with the runbook's entry; `queues`, `ingest`, `processes`, `pauses`, `tenants` that wait longest, `channels` that need a look,
/// `dead_letters` by group. Times are seconds; at most a second old.
#[endpoint]
async fn overview(app: App, _viewer: Viewer) -> Result<Ok200<Value>, ApiError> {
    let now = app.pulse.read().await?;
    Ok200::new(&snapshot(&now))
}

fn snapshot(now: &Snapshot) -> Value {
    let quantiles = |histogram: &platform::figures::Histogram| json!({"p50": histogram.quantile(0.5), "p95": histogram.quantile(0.95), "p99": histogram.quantile(0.99)});
    let queues: Vec<Value> = now
        .queues
        .iter()
        .map(|queue| {
            let lane = now.lane(&queue.queue);
            let more = json!({
                "out_per_s": now.out_per_second(&queue.queue),
                "dead": now.dead(&queue.queue),
                "paused": now.is_paused(&format!("queue:{}", queue.queue)),
                "empty_in_s": now.drained_in(queue),
                "failed_in_a_minute": lane.failed,
                "wait_s": quantiles(&lane.wait),
                "run_s": quantiles(&lane.run),
                "window": lane.window.map(|(used, size)| json!({"used": used, "size": size})),
                "workers": now.workers_of(&queue.queue).count(),
            });
            with(value(queue), more)
        })
        .collect();
    let processes: Vec<Value> =
        now.processes.iter().map(|process| with(value(process), json!({"runs": now.runs(process.worker).collect::<Vec<_>>()}))).collect();
    let ingest = now.lane("ingest");
    json!({
        "at": now.at,
        "complaints": health::complaints(now),
        "queues": queues,
        "ingest": {"accepted_in_a_minute": ingest.done, "accepted_per_s": now.out_per_second("ingest"), "refused_in_a_minute": ingest.errors, "ack_s": quantiles(&ingest.wait)},
        "processes": processes,
        "pauses": now.pauses,
        "tenants": now.slow.tenants,
        "channels": now.slow.channels,
        "dead_letters": now.slow.groups,
    })
}

/// How it was
///
/// `series`: a queue (or `ingest`: webhooks) over the span; `moment`: every queue as it stood at `at`; `errors`: failures in the fifteen minutes before `at`, and in
/// the fifteen before those.
#[endpoint]
async fn get_history(app: App, _viewer: Viewer, query: Query<HistoryQuery>) -> Result<Ok200<Value>, ApiError> {
    let history = history::read(&app, &query.0).await?;
    Ok200::new(&json!({
        "queue": history.queue, "from": history.from, "to": history.to, "step_minutes": history.step_minutes, "series": history.series,
        "at": history.at, "moment": history.moment, "errors": history.errors,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DoneView {
    /// What was done, for people.
    pub(super) done: String,
}

pub(super) fn done(text: impl Into<String>) -> Result<Ok200<DoneView>, ApiError> {
    Ok200::new(&DoneView { done: text.into() })
}

pub(super) fn checked_reason(reason: Option<String>, fields: &mut Fields) -> Option<String> {
    fields.at_most(reason.as_deref(), "reason", 500);
    reason.filter(|reason| !reason.trim().is_empty())
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BegunView {
    /// `GET /api/ops/acts/{id}` shows how far it is.
    pub(super) act: Uuid,
}

pub(super) fn pace(given: Option<i64>, default: i64, most: i64, fields: &mut Fields) -> i64 {
    let pace = given.unwrap_or(default);
    if !(1..=most).contains(&pace) {
        fields.wrong("per_second", format!("must be from 1 to {most}"));
    }
    pace
}

/// Releases and replays, the latest first
#[endpoint]
async fn list_acts(app: App, _viewer: Viewer) -> Result<Ok200<Value>, ApiError> {
    Ok200::new(&json!({"acts": paced::list(&mut *app.operator_conn().await?, 50).await?}))
}

/// How far a release or replay is
#[endpoint]
async fn get_act(app: App, _viewer: Viewer, id: Path<Uuid>) -> Result<Ok200<Value>, ApiError> {
    Ok200::new(&value(&acts::find(&app, id.0).await?))
}

/// Why something is stopped.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct StopBody {
    /// For the audit log.
    #[salvo(schema(max_length = 500))]
    reason: Option<String>,
}

/// Stop a release or replay
#[endpoint]
async fn stop_act(app: App, viewer: Viewer, body: Body<StopBody>, id: Path<Uuid>) -> Result<Ok200<DoneView>, ApiError> {
    viewer.must_act()?;
    let mut fields = Fields::default();
    let reason = checked_reason(body.0.reason, &mut fields);
    fields.finish()?;
    acts::find(&app, id.0).await?;
    let stopped = paced::stop(&app.operator, &viewer.actor(reason), id.0).await?;
    done(if stopped { "stopped" } else { "it was over already" })
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
struct AuditQuery {
    /// Only acts before this one: how to go on.
    before: Option<i64>,
}

/// Who did what, and why
#[endpoint]
async fn audit(app: App, _viewer: Viewer, query: Query<AuditQuery>) -> Result<Ok200<Value>, ApiError> {
    Ok200::new(&json!({"acts": sessions::acts(&mut *app.operator_conn().await?, query.0.before, 100).await?}))
}
