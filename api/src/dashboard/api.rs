//! The same as the pages, as JSON: `/api/ops/*`. Whatever a page can do can be done here; each act may say why.

use super::{
    acts, control,
    dead::{self, FASTEST},
    gate::{ApiGate, Viewer},
    health,
    history::{self, HistoryQuery},
    jobs::{self, Act, JobQuery, too_much},
    journey,
    pulse::Snapshot,
    webhooks::{self, WebhookQuery},
};
use crate::{
    contracts::{Contract, ErrorContext, object_of},
    prelude::*,
    request,
};
use chrono::{DateTime, Utc};
use domain::{JobId, RawEventId};
use salvo::{
    Router,
    http::StatusCode,
    oapi::{BasicType, Object},
};
use serde_json::{Value, json};
use std::time::Duration;
use store::operator::{groups, pauses, reading, sessions};
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
        .push(path("jobs").get(list_jobs))
        .push(path("jobs/{id}").get(get_job))
        .push(path("jobs/{id}/{act}").post(act_on_job))
        .push(path("dead-letters").get(list_groups))
        .push(path("dead-letters/release").post(release))
        .push(path("dead-letters/discard").post(discard_group))
        .push(path("dead-letters/canary").post(canary))
        .push(path("pauses").get(list_pauses).post(pause))
        .push(path("resume").post(resume))
        .push(path("journey").get(get_journey))
        .push(path("webhooks").get(list_webhooks))
        .push(path("webhooks/preview").post(preview_replay))
        .push(path("webhooks/replay").post(replay))
        .push(path("webhooks/{id}").get(get_webhook))
        .push(path("acts").get(list_acts))
        .push(path("acts/{id}").get(get_act))
        .push(path("acts/{id}/stop").post(stop_act))
        .push(path("audit").get(audit))
}

/// Plain data cannot fail to become JSON.
fn value(data: &impl Serialize) -> Value {
    serde_json::to_value(data).unwrap_or_default()
}

/// An object with these fields as well.
fn with(object: Value, more: Value) -> Value {
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

/// Find jobs
///
/// Fifty at once, newest first; `next` is the `before` to go on with, also when nothing matched among those that were looked at.
#[endpoint]
async fn list_jobs(app: App, _viewer: Viewer, query: Query<JobQuery>) -> Result<Ok200<Value>, ApiError> {
    let found = jobs::search(&app, &query.0, 50).await?;
    Ok200::new(&json!({"jobs": found.jobs, "next": found.next}))
}

/// One job in full
#[endpoint]
async fn get_job(app: App, _viewer: Viewer, id: Path<Uuid>) -> Result<Ok200<Value>, ApiError> {
    Ok200::new(&value(&jobs::find(&app, JobId(id.0)).await?))
}

/// What to do to a job, as far as the act needs it.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"reason": "the provider is back"})))]
struct JobActBody {
    /// Why; for the audit log.
    #[salvo(schema(max_length = 500))]
    reason: Option<String>,
    /// `snooze`: how long it waits from now.
    #[salvo(schema(minimum = 0, maximum = 2_592_000))]
    seconds: Option<u32>,
    /// `priority`: lower runs sooner.
    #[salvo(schema(minimum = -100, maximum = 100))]
    priority: Option<i16>,
    /// `edit`: the arguments to retry with.
    #[salvo(schema(value_type = Option<Object>))]
    args: Option<Value>,
}

#[derive(Debug, Serialize, ToSchema)]
struct DoneView {
    /// What was done, for people.
    done: String,
}

fn done(text: impl Into<String>) -> Result<Ok200<DoneView>, ApiError> {
    Ok200::new(&DoneView { done: text.into() })
}

fn checked_reason(reason: Option<String>, fields: &mut Fields) -> Option<String> {
    fields.at_most(reason.as_deref(), "reason", 500);
    reason.filter(|reason| !reason.trim().is_empty())
}

/// Do something to a job
///
/// `act`: `retry` or `discard` a dead letter, `edit` its arguments and retry it, `cancel` one that is queued or runs, `snooze` or `priority` of one that is
/// queued. 409 when it is not in the state for that.
#[endpoint]
async fn act_on_job(
    app: App,
    viewer: Viewer,
    body: Body<JobActBody>,
    id: Path<Uuid>,
    act: Path<ActName>,
) -> Result<Ok200<DoneView>, ApiError> {
    viewer.must_act()?;
    let Body(body) = body;
    let mut fields = Fields::default();
    let reason = checked_reason(body.reason, &mut fields);
    let act = match act.0.0.as_str() {
        "retry" => Some(Act::Retry),
        "discard" => Some(Act::Discard),
        "cancel" => Some(Act::Cancel),
        "snooze" => fields
            .need(body.seconds.filter(|seconds| *seconds <= 2_592_000), "seconds", "must be a number of seconds, of thirty days at most")
            .map(|seconds| Act::Snooze(Duration::from_secs(seconds.into()))),
        "priority" => fields
            .need(body.priority.filter(|priority| priority.abs() <= 100), "priority", "must be a number from -100 to 100")
            .map(Act::Priority),
        _ => fields.need(body.args, "args", "must be the arguments to retry with").map(Act::Edit),
    };
    fields.finish()?;
    let act = act.ok_or_else(|| ApiError::not_found("Act"))?;
    done(jobs::do_to(&app, &viewer.actor(reason), JobId(id.0), act).await?)
}

/// What can be done to a job.
#[derive(Debug)]
struct ActName(String);

impl request::Segment for ActName {
    fn parse(text: &str) -> Option<Self> {
        ["retry", "discard", "cancel", "snooze", "priority", "edit"].contains(&text).then(|| Self(text.to_owned()))
    }

    fn schema() -> Object {
        Object::with_type(BasicType::String).enum_values(["retry", "discard", "cancel", "snooze", "priority", "edit"])
    }
}

/// Dead letters by what killed them
#[endpoint]
async fn list_groups(app: App, _viewer: Viewer) -> Result<Ok200<Value>, ApiError> {
    let groups = groups::list(&mut *reading(&app.operator).await?).await.map_err(too_much)?;
    Ok200::new(&json!({ "groups": groups }))
}

/// A group of dead letters.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"fingerprint": "send_outbound:refused", "per_second": 20, "reason": "the provider is back"})))]
struct GroupBody {
    #[salvo(schema(min_length = 1, max_length = 200))]
    fingerprint: String,
    /// How many each second (20 unless given).
    #[salvo(schema(minimum = 1, maximum = 1_000))]
    per_second: Option<i64>,
    /// Why; for the audit log.
    #[salvo(schema(max_length = 500))]
    reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct BegunView {
    /// `GET /api/ops/acts/{id}` shows how far it is.
    act: Uuid,
}

fn pace(given: Option<i64>, default: i64, most: i64, fields: &mut Fields) -> i64 {
    let pace = given.unwrap_or(default);
    if !(1..=most).contains(&pace) {
        fields.wrong("per_second", format!("must be from 1 to {most}"));
    }
    pace
}

async fn begin(app: &App, viewer: &Viewer, body: GroupBody, discard: bool) -> Result<Accepted<BegunView>, ApiError> {
    viewer.must_act()?;
    let mut fields = Fields::default();
    let fingerprint = fields.text(&body.fingerprint, "fingerprint", 200);
    let per_second = pace(body.per_second, 20, FASTEST, &mut fields);
    let reason = checked_reason(body.reason, &mut fields);
    fields.finish()?;
    Accepted::new(&BegunView { act: dead::begin(app, &viewer.actor(reason), &fingerprint, discard, per_second).await? })
}

/// Release a group, so many each second
///
/// It stops by itself when its jobs die again.
#[endpoint]
async fn release(app: App, viewer: Viewer, body: Body<GroupBody>) -> Result<Accepted<BegunView>, ApiError> {
    begin(&app, &viewer, body.0, false).await
}

/// Give a group up for good, so many each second
#[endpoint]
async fn discard_group(app: App, viewer: Viewer, body: Body<GroupBody>) -> Result<Accepted<BegunView>, ApiError> {
    begin(&app, &viewer, body.0, true).await
}

#[derive(Debug, Serialize, ToSchema)]
struct CanaryView {
    /// `GET /api/ops/jobs/{id}` shows what becomes of it.
    job: Uuid,
}

/// Run a group's latest dead letter again, alone
#[endpoint]
async fn canary(app: App, viewer: Viewer, body: Body<GroupBody>) -> Result<Accepted<CanaryView>, ApiError> {
    viewer.must_act()?;
    let mut fields = Fields::default();
    let fingerprint = fields.text(&body.0.fingerprint, "fingerprint", 200);
    let reason = checked_reason(body.0.reason, &mut fields);
    fields.finish()?;
    Accepted::new(&CanaryView { job: dead::canary(&app, &viewer.actor(reason), &fingerprint).await?.0 })
}

/// What is paused
#[endpoint]
async fn list_pauses(app: App, _viewer: Viewer) -> Result<Ok200<Value>, ApiError> {
    Ok200::new(&json!({"pauses": pauses::list(&mut *app.operator_conn().await?).await?}))
}

/// Something to pause or resume.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"what": "queue:outbound", "reason": "the provider asked us to"})))]
struct PauseBody {
    /// `queue:NAME`, `kind:KIND`, `tenant:NUMBER`, `channel:UUID` or `worker:NAME`.
    #[salvo(schema(min_length = 1, max_length = 300))]
    what: String,
    /// Why; for the audit log.
    #[salvo(schema(max_length = 500))]
    reason: Option<String>,
}

impl PauseBody {
    fn checked(self) -> Result<(String, Option<String>), ApiError> {
        let mut fields = Fields::default();
        let what = fields.text(&self.what, "what", 300);
        let reason = checked_reason(self.reason, &mut fields);
        fields.finish()?;
        Ok((what, reason))
    }
}

/// Pause something; a worker is drained
#[endpoint]
async fn pause(app: App, viewer: Viewer, body: Body<PauseBody>) -> Result<Ok200<DoneView>, ApiError> {
    viewer.must_act()?;
    let (what, reason) = body.0.checked()?;
    let changed = control::pause(&app, &viewer.actor(reason), &what).await?;
    done(if changed { format!("paused {what}") } else { format!("{what} was paused already") })
}

/// Resume something
#[endpoint]
async fn resume(app: App, viewer: Viewer, body: Body<PauseBody>) -> Result<Ok200<DoneView>, ApiError> {
    viewer.must_act()?;
    let (what, reason) = body.0.checked()?;
    let changed = control::resume(&app, &viewer.actor(reason), &what).await?;
    done(if changed { format!("resumed {what}") } else { format!("{what} was not paused") })
}

/// Whose journey.
#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
struct JourneyQuery {
    /// A customer's number, a provider's id, or the id of a message, conversation, customer, job or raw webhook.
    q: Option<String>,
    /// The tenant's number, if there are very many.
    tenant: Option<i32>,
}

/// The journey of a message
///
/// `messages` that are meant, newest first; `steps` of the one that is meant, or of the newest: each with `at`, `what`, `took_s`, and the `problem` of one that is
/// slow, failed or missing.
#[endpoint]
async fn get_journey(app: App, _viewer: Viewer, query: Query<JourneyQuery>) -> Result<Ok200<Value>, ApiError> {
    let q = query.0.q.ok_or_else(|| ApiError::invalid_field("q", "is required"))?;
    Ok200::new(&value(&journey::find(&app, &q, query.0.tenant, None).await?))
}

/// The log of raw webhooks
///
/// Fifty at once, newest first; `next` is the `before` to go on with.
#[endpoint]
async fn list_webhooks(app: App, _viewer: Viewer, query: Query<WebhookQuery>) -> Result<Ok200<Value>, ApiError> {
    let (found, next) = webhooks::search(&app, &query.0, 50).await?;
    Ok200::new(&json!({"webhooks": found, "next": next}))
}

/// One raw webhook
///
/// `body` is JSON if it was, else a text; `jobs` are those that processed it.
#[endpoint]
async fn get_webhook(app: App, _viewer: Viewer, id: Path<Uuid>) -> Result<Ok200<Value>, ApiError> {
    let (found, jobs) = webhooks::find(&app, RawEventId(id.0)).await?;
    let body = serde_json::from_slice::<Value>(&found.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&found.body)));
    let view = with(value(&found.webhook), json!({"trace_id": found.trace_id, "jobs": jobs, "body": body}));
    Ok200::new(&view)
}

/// Which raw webhooks: these, or those of a time, channel, source or tenant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"from": "2026-01-31T12:00:00Z", "to": "2026-01-31T13:00:00Z", "per_second": 50})))]
struct ReplayBody {
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
        if ids.is_empty()
            && self.source.is_none()
            && self.channel.is_none()
            && self.tenant.is_none()
            && !self.unroutable
            && self.from.is_none()
            && self.to.is_none()
        {
            return Err(ApiError::invalid_field("", "Say which webhooks: ids, from, to, source, channel, tenant or unroutable"));
        }
        webhooks::filter_of(&query, ids, now)
    }
}

/// What a replay would write
///
/// `count` of all that match; `preview` of the first hundred: rows that would `appear` or `change`, tried and undone.
#[endpoint]
async fn preview_replay(app: App, _viewer: Viewer, body: Body<ReplayBody>) -> Result<Ok200<Value>, ApiError> {
    let filter = body.0.filter(app.clock.now())?;
    let (count, preview) = webhooks::try_out(&app, &filter).await?;
    Ok200::new(&json!({"count": count, "preview": preview}))
}

/// Process raw webhooks once more, so many each second
///
/// What they wrote before stays as it is: nothing happens twice.
#[endpoint]
async fn replay(app: App, viewer: Viewer, body: Body<ReplayBody>) -> Result<Accepted<BegunView>, ApiError> {
    viewer.must_act()?;
    let mut fields = Fields::default();
    let per_second = pace(body.0.per_second, 50, webhooks::FASTEST, &mut fields);
    let reason = checked_reason(body.0.reason.clone(), &mut fields);
    fields.finish()?;
    let filter = body.0.filter(app.clock.now())?;
    Accepted::new(&BegunView { act: webhooks::begin(&app, &viewer.actor(reason), filter, per_second).await? })
}

/// Releases and replays, the latest first
#[endpoint]
async fn list_acts(app: App, _viewer: Viewer) -> Result<Ok200<Value>, ApiError> {
    Ok200::new(&json!({"acts": store::operator::paced::list(&mut *app.operator_conn().await?, 50).await?}))
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
    let stopped = store::operator::paced::stop(&app.operator, &viewer.actor(reason), id.0).await?;
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
