//! Jobs: finding them.

use super::{
    format,
    gate::Viewer,
    layout::{self, Html, Page},
};
use crate::{ApiError, App, error::FieldError, request::Query};
use chrono::{DateTime, NaiveDateTime, Utc};
use domain::JobId;
use jobs::{kinds, queue};
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler, oapi::ToParameters};
use serde::Deserialize;
use store::{
    operator::{
        journey::{self, Term},
        reading,
        search::{self, Found, JobDetail, Search},
    },
    operator_jobs::JobRow,
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
    /// A part of what the last error says.
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
        let job = search::job(&mut tx, JobId(id)).await.map_err(too_much)?;
        return Ok(Found { jobs: job.map(row_of).into_iter().collect(), next: None });
    }
    let mut about: Vec<Uuid> = uuid("about", query.about.as_deref())?.into_iter().collect();
    let mut nobody = false;
    if let Some(person) = text(&query.person) {
        let term = if person.starts_with('+') { Term::Phone(person) } else { Term::External(person) };
        let messages = journey::messages(&mut tx, &term, query.tenant, MESSAGES).await.map_err(too_much)?;
        about.extend(messages.iter().map(|message| message.id));
        about.extend(messages.iter().filter_map(|message| message.conversation_id));
        nobody = messages.is_empty();
    }
    if let Some(channel) = uuid("channel", query.channel.as_deref())? {
        let messages = journey::sent_on(&mut tx, channel, MESSAGES * 10).await.map_err(too_much)?;
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
                    td { (job.attempt) @if job.crashes > 0 { " (+" (format::many(job.crashes, "crash", "crashes")) ")" } }
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
