//! Jobs and dead letters.

use super::{BegunView, DoneView, checked_reason, done, pace, value};
use crate::{
    dashboard::{
        dead::{self, FASTEST},
        gate::Viewer,
        job::{self, Act},
        jobs::{self, JobQuery, too_much},
    },
    prelude::*,
    request,
};
use domain::JobId;
use salvo::oapi::{BasicType, Object};
use serde_json::{Value, json};
use std::time::Duration;
use store::operator::{groups, reading};
use uuid::Uuid;

/// Find jobs
///
/// Fifty at once, newest first; `next` is the `before` to go on with, also when nothing matched among those that were looked at.
#[endpoint]
pub(super) async fn list_jobs(app: App, _viewer: Viewer, query: Query<JobQuery>) -> Result<Ok200<Value>, ApiError> {
    let found = jobs::search(&app, &query.0, 50).await?;
    Ok200::new(&json!({"jobs": found.jobs, "next": found.next}))
}

/// One job in full
///
/// `waits_for`: the pause, the time or the job that a queued one waits for, in words; null if it only waits for its turn.
#[endpoint]
pub(super) async fn get_job(app: App, _viewer: Viewer, id: Path<Uuid>) -> Result<Ok200<Value>, ApiError> {
    Ok200::new(&value(&job::find(&app, JobId(id.0)).await?))
}

/// What to do to a job, as far as the act needs it.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"reason": "the provider is back"})))]
pub(super) struct JobActBody {
    /// Why; for the audit log.
    #[salvo(schema(max_length = 500))]
    reason: Option<String>,
    /// `snooze`: how long it waits from now.
    #[salvo(schema(minimum = 0, maximum = 2_592_000))]
    seconds: Option<u32>,
    /// `priority`: lower runs sooner.
    #[salvo(schema(minimum = -10, maximum = 10))]
    priority: Option<i16>,
    /// `edit`: the arguments to retry with.
    #[salvo(schema(value_type = Option<Object>))]
    args: Option<Value>,
}

/// Do something to a job
///
/// `act`: `retry` or `discard` a dead letter, `edit` its arguments and retry it, `cancel` one that is queued or runs, `snooze` or `priority` of one that is
/// queued. 409 when it is not in the state for that.
#[endpoint]
pub(super) async fn act_on_job(
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
            .need(body.priority.filter(|priority| priority.abs() <= 10), "priority", "must be a number from -10 to 10")
            .map(Act::Priority),
        _ => fields.need(body.args, "args", "must be the arguments to retry with").map(Act::Edit),
    };
    fields.finish()?;
    let act = act.ok_or_else(|| ApiError::not_found("Act"))?;
    done(job::do_to(&app, &viewer.actor(reason), JobId(id.0), act).await?)
}

/// What can be done to a job.
#[derive(Debug)]
pub(super) struct ActName(String);

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
pub(super) async fn list_groups(app: App, _viewer: Viewer) -> Result<Ok200<Value>, ApiError> {
    let groups = groups::list(&mut *reading(&app.operator).await?).await.map_err(too_much)?;
    Ok200::new(&json!({ "groups": groups }))
}

/// A group of dead letters.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"fingerprint": "send_outbound:refused", "per_second": 20, "reason": "the provider is back"})))]
pub(super) struct GroupBody {
    #[salvo(schema(min_length = 1, max_length = 200))]
    fingerprint: String,
    /// How many each second (20 unless given).
    #[salvo(schema(minimum = 1, maximum = 1_000))]
    per_second: Option<i64>,
    /// Why; for the audit log.
    #[salvo(schema(max_length = 500))]
    reason: Option<String>,
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
pub(super) async fn release(app: App, viewer: Viewer, body: Body<GroupBody>) -> Result<Accepted<BegunView>, ApiError> {
    begin(&app, &viewer, body.0, false).await
}

/// Give a group up for good, so many each second
#[endpoint]
pub(super) async fn discard_group(app: App, viewer: Viewer, body: Body<GroupBody>) -> Result<Accepted<BegunView>, ApiError> {
    begin(&app, &viewer, body.0, true).await
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CanaryView {
    /// `GET /api/ops/jobs/{id}` shows what becomes of it.
    job: Uuid,
}

/// Run a group's latest dead letter again, alone
#[endpoint]
pub(super) async fn canary(app: App, viewer: Viewer, body: Body<GroupBody>) -> Result<Accepted<CanaryView>, ApiError> {
    viewer.must_act()?;
    let mut fields = Fields::default();
    let fingerprint = fields.text(&body.0.fingerprint, "fingerprint", 200);
    let reason = checked_reason(body.0.reason, &mut fields);
    fields.finish()?;
    Accepted::new(&CanaryView { job: dead::canary(&app, &viewer.actor(reason), &fingerprint).await?.0 })
}
