//! One job: how it is, and doing something about it.

use super::{
    form::{self, Draft, Form},
    format,
    gate::Viewer,
    jobs::short,
    layout::{self, Html, Page},
    timeline,
};
use crate::{ApiError, App};
use domain::JobId;
use jobs::kinds;
use maud::{Markup, html};
use platform::TraceContext;
use salvo::{Depot, Request, Response, Writer, handler};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use store::{
    operator::search::{self, JobDetail},
    operator_jobs::{self, Actor, JobFilter},
};
use uuid::Uuid;

/// A job, and what it waits for.
#[derive(Debug, Serialize)]
pub(super) struct JobView {
    #[serde(flatten)]
    pub detail: JobDetail,
    /// Of one that is queued: the pause, the time or the job that it waits for, if it does not only wait for its turn.
    pub waits_for: Option<String>,
}

impl std::ops::Deref for JobView {
    type Target = JobDetail;

    fn deref(&self) -> &JobDetail {
        &self.detail
    }
}

/// One job, or 404.
pub(super) async fn find(app: &App, id: JobId) -> Result<JobView, ApiError> {
    let mut conn = app.operator_conn().await?;
    let job = search::job(&mut conn, id).await?.ok_or_else(|| ApiError::not_found("Job"))?;
    let waits_for = timeline::waits_for(&mut conn, &job).await?;
    Ok(JobView { detail: job, waits_for })
}

/// The page of one job.
#[handler]
pub(super) async fn detail(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let id = req.param::<Uuid>("id").map(JobId).ok_or_else(|| ApiError::not_found("Job"))?;
    let job = find(&app, id).await?;
    Ok(page(req, res, &viewer, &job, Draft::default()))
}

fn page(req: &Request, res: &mut Response, viewer: &Viewer, job: &JobView, draft: Draft<'_>) -> Html {
    let args = job.args.as_ref().map(pretty).unwrap_or_default();
    let trace = job.trace.as_deref().and_then(TraceContext::parse).map(|trace| trace.trace_id().to_string());
    let links = timeline::links(job.args.as_ref());
    let body = html! {
        div id="live" data-live={ "/ops/live?job=" (job.id) } { (state(job)) }
        @if viewer.may_act() { (actions(job, viewer, &args, draft)) }
        h2 { "Arguments" }
        pre { code { (args) } }
        @if !links.is_empty() {
            p { "Journey of " @for (name, id) in &links { a href={ "/ops/journey?q=" (id) } { (name) } " " } }
            @for (_, id) in links.iter().filter(|(name, _)| *name == timeline::WEBHOOK) { p { a href={ "/ops/webhooks/" (id) } { "The body of webhook " (id) } } }
        }
        @if let Some(trace) = trace { p { "Trace " code { (trace) } } }
    };
    Page { title: &format!("Job {}", short(job.id)), viewer, body }.show(req, res)
}

pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// What changes of a job while one looks.
pub(super) fn state(job: &JobView) -> Markup {
    let waited = job.started_at.map(|at| (at - job.created_at).as_seconds_f64());
    let ran = job.started_at.zip(job.ended_at).map(|(from, to)| (to - from).as_seconds_f64());
    let errors = job.errors.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows: Vec<Markup> = errors
        .iter()
        .map(|error| {
            html! { tr { td { (error["attempt"]) } td { (text(&error["at"])) } td { (text(&error["class"])) } td class="wrap" { (text(&error["message"])) } } }
        })
        .collect();
    html! {
        dl class="facts" {
            dt { "State" } dd class=(match job.state.as_str() { "dead" => "bad", "done" => "good", _ => "" }) { (job.state) @if let Some(worker) = &job.runs_on { " on " (worker) } }
            @if let Some(reason) = &job.waits_for { dt { "Waits for" } dd class="warn" { (reason) } }
            dt { "Kind" } dd { (job.kind) " in " a href={ "/ops/jobs?queue=" (job.queue) } { (job.queue) } }
            dt { "Tenant" } dd { (format::tenant(job.tenant_id)) }
            dt { "Attempts" } dd { (job.attempt) @if let Some(most) = job.max_attempts { " of " (most) } @if job.crashes > 0 { ", " (format::many(job.crashes, "crash", "crashes")) } }
            dt { "Made" } dd { (format::moment(job.created_at)) " UTC, " (format::seconds((job.now - job.created_at).as_seconds_f64())) " ago" }
            @if let Some(due) = job.run_at { dt { "Due" } dd { (format::moment(due)) " UTC" } }
            @if let Some(waited) = waited { dt { "Waited" } dd { (format::seconds(waited)) " before its last run" } }
            @if let Some(ran) = ran { dt { "Ran" } dd { (format::seconds(ran)) } }
            @if let Some(ended) = job.ended_at { dt { "Ended" } dd { (format::moment(ended)) " UTC" } }
            @if let Some(priority) = job.priority { dt { "Priority" } dd { (priority) } }
            @if let Some(key) = &job.ordering_key { dt { "In order with" } dd { (key) } }
            @if let Some(fingerprint) = &job.fingerprint { dt { "Group" } dd { a href={ "/ops/dead/group?f=" (format::encoded(fingerprint)) } { (fingerprint) } } }
        }
        h2 { "What went wrong" }
        @if rows.is_empty() { p class="dim" { "Nothing." } } @else { (layout::table("Errors", &["Attempt", "At", "Class", "Message"], &rows)) }
    }
}

fn actions(job: &JobView, viewer: &Viewer, args: &str, draft: Draft<'_>) -> Markup {
    let here = format!("/ops/jobs/{}", job.id);
    let offered: &[&str] = match job.state.as_str() {
        "dead" => &["retry", "discard", "edit"],
        "queued" => &["now", "cancel", "snooze", "priority"],
        "running" => &["cancel"],
        _ => &[],
    };
    html! {
        h2 { "Act" }
        // The job moved on meanwhile, so that its form is not here any more.
        @if !draft.of(offered).is_refused() {
            (layout::problem(draft))
            @if let Some(args) = draft.typed("args") { details open { summary { "What was typed" } pre { code { (args) } } } }
        }
        div class="actions" {
            @if job.state == "dead" {
                (simple_acts(&here, viewer, &[("retry", "Retry"), ("discard", "Discard")], draft))
                @let edit = draft.of(&["edit"]);
                details open[edit.is_refused()] {
                    summary { "Edit the arguments and retry" }
                    form method="post" action=(here) {
                        (layout::form_fields(viewer)) (layout::problem(edit))
                        label { "Arguments (JSON)"
                            textarea name="args" rows="12" spellcheck="false" required autofocus[edit.is_refused()] { (edit.typed("args").unwrap_or(args)) }
                        }
                        (layout::reason_again(edit))
                        button type="submit" name="act" value="edit" { "Save and retry" }
                    }
                }
            }
            @if job.state == "queued" {
                (simple_acts(&here, viewer, &[("now", "Run now"), ("cancel", "Cancel")], draft))
                @let snooze = draft.of(&["snooze"]);
                form method="post" action=(here) {
                    (layout::form_fields(viewer)) (layout::problem(snooze))
                    label { "Let it wait (minutes)"
                        input name="minutes" type="number" min="1" max="43200" value=(snooze.typed("minutes").unwrap_or("10")) required autofocus[snooze.is_refused()];
                    }
                    (layout::reason_again(snooze))
                    button type="submit" name="act" value="snooze" { "Snooze" }
                }
                @let priority = draft.of(&["priority"]);
                @let now = job.priority.unwrap_or(0).to_string();
                form method="post" action=(here) {
                    (layout::form_fields(viewer)) (layout::problem(priority))
                    label { "Priority (lower runs sooner)"
                        input name="priority" type="number" min="-10" max="10" value=(priority.typed("priority").unwrap_or(&now)) required autofocus[priority.is_refused()];
                    }
                    (layout::reason_again(priority))
                    button type="submit" name="act" value="priority" { "Change" }
                }
            }
            @if job.state == "running" { (simple_acts(&here, viewer, &[("cancel", "Cancel")], draft)) }
            @if ["done", "cancelled", "discarded"].contains(&job.state.as_str()) { p class="dim" { "It is over: nothing can be done about it here." } }
        }
    }
}

/// Acts that need nothing but a reason: one form with a button for each.
fn simple_acts(here: &str, viewer: &Viewer, acts: &[(&str, &str)], draft: Draft<'_>) -> Markup {
    let names: Vec<&str> = acts.iter().map(|(act, _)| *act).collect();
    let draft = draft.of(&names);
    html! {
        form method="post" action=(here) {
            (layout::form_fields(viewer)) (layout::problem(draft)) (layout::reason_again(draft))
            @for (act, says) in acts {
                button type="submit" name="act" value=(act) class=[["discard", "cancel"].contains(act).then_some("danger")] { (says) } " "
            }
        }
    }
}

/// What can be done to one job.
#[derive(Debug)]
pub(super) enum Act {
    Retry,
    Discard,
    Cancel,
    Snooze(Duration),
    Priority(i16),
    Edit(Value),
}

/// Does it. An error says why it cannot be done.
pub(super) async fn do_to(app: &App, actor: &Actor, id: JobId, act: Act) -> Result<&'static str, ApiError> {
    let only = JobFilter { ids: vec![id], ..JobFilter::default() };
    let pool = &app.operator;
    let (changed, said, why_not) = match act {
        Act::Retry => {
            let acted = operator_jobs::retry(pool, actor, &only, None, 1).await?;
            let why = if acted.skipped > 0 { "the same work is queued already" } else { "it is no dead letter (any more)" };
            (acted.affected > 0, "It runs again.", why)
        }
        Act::Discard => {
            (operator_jobs::discard(pool, actor, &only, None, 1).await?.affected > 0, "Discarded.", "it is no dead letter (any more)")
        }
        Act::Cancel => {
            (operator_jobs::cancel(pool, actor, &only, None, 1).await?.affected > 0, "Cancelled.", "it is not queued or running (any more)")
        }
        Act::Snooze(wait) => {
            let said = if wait.is_zero() { "It is due now." } else { "It waits." };
            (operator_jobs::snooze(pool, actor, id, wait).await?, said, "it is not queued (any more)")
        }
        Act::Priority(priority) => (
            operator_jobs::prioritize(pool, actor, id, priority).await?,
            "Its priority is changed.",
            "it is not queued (any more), or has that priority",
        ),
        Act::Edit(args) => {
            let job = find(app, id).await?;
            let kind =
                kinds::find(&job.kind).ok_or_else(|| ApiError::conflict("unknown_kind", "This version knows no such kind of job"))?;
            kind.check(&args).map_err(|problem| ApiError::invalid_field("args", format!("are not those of {}: {problem}", kind.name)))?;
            (
                operator_jobs::edit_and_retry(pool, actor, id, &args).await?,
                "It runs again with these arguments.",
                "it is no dead letter (any more), or the same work is queued already",
            )
        }
    };
    if !changed {
        find(app, id).await?;
        return Err(ApiError::conflict("not_possible", format!("That cannot be done: {why_not}")));
    }
    app.pulse.forget().await;
    Ok(said)
}

/// Does something to a job. What is refused is shown again.
#[handler]
pub(super) async fn post(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    let id = req.param::<Uuid>("id").map(JobId).ok_or_else(|| ApiError::not_found("Job"))?;
    let form = Form::of_actor(req, &viewer).await?;
    match submitted(&app, &viewer, id, &form).await {
        Ok(said) => form::go(res, &format!("/ops/jobs/{id}"), said),
        Err(error) if error.status.is_client_error() => {
            let Ok(job) = find(&app, id).await else { return Err(error) };
            page(req, res, &viewer, &job, Draft::refused(&form, &error)).refusing(&error).put(res);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn submitted(app: &App, viewer: &Viewer, id: JobId, form: &Form) -> Result<&'static str, ApiError> {
    let act = match form.get("act") {
        Some("retry") => Act::Retry,
        Some("discard") => Act::Discard,
        Some("cancel") => Act::Cancel,
        Some("now") => Act::Snooze(Duration::ZERO),
        Some("snooze") => Act::Snooze(Duration::from_secs(form.number("minutes", (1, 43_200))?.unsigned_abs() * 60)),
        Some("priority") => Act::Priority(i16::try_from(form.number("priority", (-10, 10))?).unwrap_or_default()),
        Some("edit") => {
            let args = serde_json::from_str(form.need("args")?);
            Act::Edit(args.map_err(|error| ApiError::invalid_field("args", format!("are not JSON: {error}")))?)
        }
        _ => return Err(ApiError::invalid_field("act", "is none that can be done to a job")),
    };
    do_to(app, &viewer.actor(form.reason()), id, act).await
}
