//! Jobs: finding them, looking at one, and doing something about it.

use super::{
    form::{self, Form},
    format,
    gate::Viewer,
    layout::{self, Html, Page},
    timeline,
};
use crate::{ApiError, App, error::FieldError, request::Query};
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::JobId;
use jobs::{kinds, queue};
use maud::{Markup, html};
use platform::TraceContext;
use salvo::{Depot, Request, Response, Writer, handler, oapi::ToParameters};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use store::{
    operator::{
        journey::{self, Term},
        reading,
        search::{self, Found, JobDetail, Search},
    },
    operator_jobs::{self, Actor, JobFilter, JobRow},
};
use uuid::Uuid;

/// Jobs on a page.
const PAGE: i64 = 50;
/// Messages of a person or a provider's id whose jobs are looked for.
const MESSAGES: i64 = 20;
pub(super) const STATES: [&str; 7] = ["queued", "delayed", "running", "dead", "done", "cancelled", "discarded"];

/// What is searched for. An empty field says nothing.
#[derive(Clone, Debug, Default, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct JobQuery {
    /// A job's id.
    pub id: Option<String>,
    /// `queued delayed running dead done cancelled discarded`
    pub state: Option<String>,
    pub kind: Option<String>,
    pub queue: Option<String>,
    /// The tenant's number; 0: of none; below zero: shared.
    pub tenant: Option<i32>,
    /// A channel's id: jobs of messages sent on it.
    pub channel: Option<String>,
    /// An id that the arguments name: of a conversation, a message, a raw webhook, a document.
    pub about: Option<String>,
    /// A customer's number (`+49...`), or a provider's id of a message or person.
    pub person: Option<String>,
    /// A part of the text of an error.
    pub error: Option<String>,
    /// Made at or after this time (2026-01-31T12:00, UTC).
    pub from: Option<String>,
    /// Made before this time.
    pub to: Option<String>,
    /// Only older ones than this job: how to go on.
    pub before: Option<String>,
}

/// A time as a form or a program writes it, by UTC.
pub(super) fn time(name: &'static str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let exact = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let local = || {
        ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .map(|time| time.and_utc())
    };
    let time = exact.or_else(local).filter(|time| (0..253_402_300_800).contains(&time.timestamp()));
    time.map(Some).ok_or_else(|| ApiError::invalid_field(name, "must be a time: 2026-01-31T12:00 or 2026-01-31T12:00:00Z"))
}

fn uuid(name: &'static str, text: Option<&str>) -> Result<Option<Uuid>, ApiError> {
    let parse = |text: &str| crate::request::parse_uuid(text.trim()).ok_or_else(|| ApiError::invalid_field(name, "must be a UUID"));
    text.filter(|text| !text.is_empty()).map(parse).transpose()
}

/// Finds jobs.
pub(super) async fn search(app: &App, query: &JobQuery, limit: i64) -> Result<Found, ApiError> {
    let text = |text: &Option<String>| text.clone().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let mut wrong = Vec::new();
    let mut check = |good: bool, field: &'static str, problem: &'static str| {
        if !good {
            wrong.push(FieldError { field: field.into(), problem: problem.into() });
        }
    };
    let state = text(&query.state);
    check(
        state.as_deref().is_none_or(|state| STATES.contains(&state)),
        "state",
        "must be one of queued, delayed, running, dead, done, cancelled, discarded",
    );
    let (kind, of_queue) = (text(&query.kind), text(&query.queue));
    check(kind.as_deref().is_none_or(|kind| kinds::find(kind).is_some()), "kind", "is not a kind of job");
    check(of_queue.as_deref().is_none_or(|name| queue::find(name).is_some()), "queue", "is not a queue");
    if !wrong.is_empty() {
        return Err(ApiError::invalid(wrong));
    }
    let mut tx = reading(&app.operator).await?;
    if let Some(id) = uuid("id", query.id.as_deref())? {
        let job = search::job(&mut tx, JobId(id)).await?;
        return Ok(Found { jobs: job.map(row_of).into_iter().collect(), next: None });
    }
    let mut about: Vec<Uuid> = uuid("about", query.about.as_deref())?.into_iter().collect();
    let mut nobody = false;
    if let Some(person) = text(&query.person) {
        let term = if person.starts_with('+') { Term::Phone(person) } else { Term::External(person) };
        let messages = journey::messages(&mut tx, &term, query.tenant, MESSAGES).await?;
        about.extend(messages.iter().map(|message| message.id));
        about.extend(messages.iter().filter_map(|message| message.conversation_id));
        nobody = messages.is_empty();
    }
    if let Some(channel) = uuid("channel", query.channel.as_deref())? {
        let messages = journey::sent_on(&mut tx, channel, MESSAGES * 10).await?;
        nobody |= messages.is_empty();
        about.extend(messages);
    }
    about.sort_unstable();
    about.dedup();
    if nobody {
        return Ok(Found { jobs: Vec::new(), next: None });
    }
    let search = Search {
        state,
        kind,
        queue: of_queue,
        tenant: query.tenant,
        error: text(&query.error),
        about,
        from: time("from", query.from.as_deref())?,
        to: time("to", query.to.as_deref())?,
        before: uuid("before", query.before.as_deref())?.map(JobId),
    };
    search::find(&mut tx, &search, limit).await.map_err(too_much)
}

/// A question that takes too long is the asker's to narrow, not the database's fault.
pub(super) fn too_much(error: store::StoreError) -> ApiError {
    if error.timed_out() {
        return ApiError::invalid_field("", "There is too much to look through: give a shorter time, a tenant or a kind");
    }
    error.into()
}

fn row_of(job: JobDetail) -> JobRow {
    let error = job.errors.as_ref().and_then(|errors| errors.as_array()?.last()?["message"].as_str().map(str::to_owned));
    JobRow {
        id: job.id,
        state: job.state,
        kind: job.kind,
        queue: job.queue,
        tenant_id: job.tenant_id,
        attempt: job.attempt,
        crashes: job.crashes,
        created_at: job.created_at,
        at: job.ended_at.or(job.run_at).or(job.started_at),
        fingerprint: job.fingerprint,
        error,
    }
}

/// The page that finds jobs.
#[handler]
pub(super) async fn list_page(
    req: &mut Request,
    res: &mut Response,
    depot: &mut Depot,
    viewer: Viewer,
    query: Query<JobQuery>,
) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let Query(query) = query;
    let found = search(&app, &query, PAGE).await?;
    let mut older = req
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("before="))
        .collect::<Vec<_>>()
        .join("&");
    if let Some(next) = found.next {
        older = format!("/ops/jobs?{older}{}before={next}", if older.is_empty() { "" } else { "&" });
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let body = html! {
        form method="get" action="/ops/jobs" class="filters" {
            label { "Job id" input name="id" value=(text(&query.id)); }
            (select("State", "state", STATES.iter().copied(), query.state.as_deref()))
            (select("Kind", "kind", kinds::ALL.iter().map(|kind| kind.name), query.kind.as_deref()))
            (select("Queue", "queue", queue::ALL.iter().map(|queue| queue.name), query.queue.as_deref()))
            label { "Tenant (number)" input name="tenant" inputmode="numeric" value=(query.tenant.map(|id| id.to_string()).unwrap_or_default()); }
            label { "Customer's number, or provider's id" input name="person" value=(text(&query.person)); }
            label { "Conversation, message, document" input name="about" value=(text(&query.about)); }
            label { "Channel id" input name="channel" value=(text(&query.channel)); }
            label { "Error says" input name="error" value=(text(&query.error)); }
            label { "From (UTC)" input name="from" type="datetime-local" value=(text(&query.from)); }
            label { "To (UTC)" input name="to" type="datetime-local" value=(text(&query.to)); }
            button type="submit" { "Search" }
        }
        @if found.jobs.is_empty() {
            p class="dim" { "No job matches" @if found.next.is_some() { " among those that were looked at; there are older ones" } "." }
        } @else {
            (table("Jobs", &found.jobs))
        }
        @if found.next.is_some() { p { a href=(older) rel="next" { "Older ones" } } }
    };
    Ok(Page { title: "Jobs", viewer: &viewer, body }.show(req, res))
}

pub(super) fn select<'a>(label: &str, name: &str, options: impl Iterator<Item = &'a str>, chosen: Option<&str>) -> Markup {
    html! {
        label { (label)
            select name=(name) {
                option value="" { "any" }
                @for option in options { option value=(option) selected[chosen == Some(option)] { (option) } }
            }
        }
    }
}

/// A list of jobs.
pub(super) fn table(label: &str, jobs: &[JobRow]) -> Markup {
    let rows: Vec<Markup> = jobs
        .iter()
        .map(|job| {
            html! {
                tr {
                    th scope="row" { a href={ "/ops/jobs/" (job.id) } { (short(job.id)) } }
                    td class=[(job.state == "dead").then_some("bad")] { (job.state) }
                    td { (job.kind) }
                    td { (format::tenant(job.tenant_id)) }
                    td { (job.attempt) @if job.crashes > 0 { " (+" (job.crashes) " crashes)" } }
                    td { (format::moment(job.created_at)) }
                    td { (job.at.map_or_else(|| "now".to_owned(), format::moment)) }
                    td { (format::cut(job.error.as_deref().unwrap_or("–"), 120)) }
                }
            }
        })
        .collect();
    layout::table(label, &["Job", "State", "Kind", "Tenant", "Attempt", "Made", "Since, due, ended", "Last error"], &rows)
}

/// The end of an id tells them apart: the beginning is the time.
pub(super) fn short(id: Uuid) -> String {
    let text = id.to_string();
    format!("{}…{}", text.get(..8).unwrap_or_default(), text.get(28..).unwrap_or_default())
}

/// One job, or 404.
pub(super) async fn find(app: &App, id: JobId) -> Result<JobDetail, ApiError> {
    search::job(&mut *app.operator_conn().await?, id).await?.ok_or_else(|| ApiError::not_found("Job"))
}

/// The page of one job.
#[handler]
pub(super) async fn detail(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let id = req.param::<Uuid>("id").map(JobId).ok_or_else(|| ApiError::not_found("Job"))?;
    let job = find(&app, id).await?;
    let args = job.args.as_ref().map(pretty).unwrap_or_default();
    let trace = job.trace.as_deref().and_then(TraceContext::parse).map(|trace| trace.trace_id().to_string());
    let links = timeline::links(job.args.as_ref());
    let body = html! {
        div id="live" data-live={ "/ops/live?job=" (job.id) } { (state(&job)) }
        @if viewer.may_act() { (actions(&job, &viewer, &args)) }
        h2 { "Arguments" }
        pre { code { (args) } }
        @if !links.is_empty() {
            p { "Journey of " @for (name, id) in &links { a href={ "/ops/journey?q=" (id) } { (name) } " " } }
        }
        @if let Some(trace) = trace { p { "Trace " code { (trace) } } }
    };
    Ok(Page { title: &format!("Job {}", short(job.id)), viewer: &viewer, body }.show(req, res))
}

pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// What changes of a job while one looks.
pub(super) fn state(job: &JobDetail) -> Markup {
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
            dt { "Kind" } dd { (job.kind) " in " a href={ "/ops/jobs?queue=" (job.queue) } { (job.queue) } }
            dt { "Tenant" } dd { (format::tenant(job.tenant_id)) }
            dt { "Attempts" } dd { (job.attempt) @if let Some(most) = job.max_attempts { " of " (most) } @if job.crashes > 0 { ", " (job.crashes) " crashes" } }
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

fn actions(job: &JobDetail, viewer: &Viewer, args: &str) -> Markup {
    let here = format!("/ops/jobs/{}", job.id);
    html! {
        h2 { "Act" }
        div class="actions" {
            @if job.state == "dead" {
                form method="post" action=(here) {
                    (layout::form_fields(viewer)) (layout::reason_field())
                    button type="submit" name="act" value="retry" { "Retry" } " "
                    button type="submit" name="act" value="discard" class="danger" { "Discard" }
                }
                details {
                    summary { "Edit the arguments and retry" }
                    form method="post" action=(here) {
                        (layout::form_fields(viewer))
                        label { "Arguments (JSON)" textarea name="args" rows="12" spellcheck="false" required { (args) } }
                        (layout::reason_field())
                        button type="submit" name="act" value="edit" { "Save and retry" }
                    }
                }
            }
            @if job.state == "queued" {
                form method="post" action=(here) {
                    (layout::form_fields(viewer)) (layout::reason_field())
                    button type="submit" name="act" value="now" { "Run now" } " "
                    button type="submit" name="act" value="cancel" class="danger" { "Cancel" }
                }
                form method="post" action=(here) {
                    (layout::form_fields(viewer))
                    label { "Let it wait (minutes)" input name="minutes" type="number" min="1" max="43200" value="10" required; }
                    (layout::reason_field())
                    button type="submit" name="act" value="snooze" { "Snooze" }
                }
                form method="post" action=(here) {
                    (layout::form_fields(viewer))
                    label { "Priority (lower runs sooner)" input name="priority" type="number" min="-100" max="100" value=(job.priority.unwrap_or(0)) required; }
                    (layout::reason_field())
                    button type="submit" name="act" value="priority" { "Change" }
                }
            }
            @if job.state == "running" {
                form method="post" action=(here) {
                    (layout::form_fields(viewer)) (layout::reason_field())
                    button type="submit" name="act" value="cancel" class="danger" { "Cancel" }
                }
            }
            @if ["done", "cancelled", "discarded"].contains(&job.state.as_str()) { p class="dim" { "It is over: nothing can be done about it here." } }
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

/// Does something to a job.
#[handler]
pub(super) async fn post(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    let id = req.param::<Uuid>("id").map(JobId).ok_or_else(|| ApiError::not_found("Job"))?;
    let form = Form::of_actor(req, &viewer).await?;
    let act = match form.get("act") {
        Some("retry") => Act::Retry,
        Some("discard") => Act::Discard,
        Some("cancel") => Act::Cancel,
        Some("now") => Act::Snooze(Duration::ZERO),
        Some("snooze") => Act::Snooze(Duration::from_secs(form.number("minutes", (1, 43_200))?.unsigned_abs() * 60)),
        Some("priority") => Act::Priority(i16::try_from(form.number("priority", (-100, 100))?).unwrap_or_default()),
        Some("edit") => {
            let args = serde_json::from_str(form.need("args")?);
            Act::Edit(args.map_err(|error| ApiError::invalid_field("args", format!("are not JSON: {error}")))?)
        }
        _ => return Err(ApiError::invalid_field("act", "is none that can be done to a job")),
    };
    let said = do_to(&app, &viewer.actor(form.reason()), id, act).await?;
    form::go(res, &format!("/ops/jobs/{id}"), said);
    Ok(())
}
