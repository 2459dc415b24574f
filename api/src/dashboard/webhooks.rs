//! Raw webhooks: the log, one in full, and processing some once more, with what that would write shown first.

use super::{
    acts::counted,
    form::{self, Form},
    format,
    gate::Viewer,
    job,
    jobs::{self, select, short, time, too_much},
    layout::{self, Html, Page},
};
use crate::{ApiError, App, request::Query};
use ::jobs::process_webhook::preview::{self, MOST_EVENTS, Preview};
use channels::registry;
use chrono::{DateTime, TimeDelta, Utc};
use domain::RawEventId;
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler, oapi::ToParameters};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use store::{
    StoreError,
    operator::{
        journey,
        paced::{self, Work},
        preview::Row,
        reading,
        webhooks::{self, Search, Webhook},
    },
    operator_jobs::{Actor, JobRow},
    operator_replay::{self, ReplayFilter},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

const PAGE: i64 = 50;
/// The fastest replay, in webhooks a second.
pub(super) const FASTEST: i64 = 1_000;
/// So much of a body is shown.
const SHOWN_BYTES: usize = 48 * 1024;
/// Rows of a difference that are shown.
const SHOWN_ROWS: usize = 40;
/// So long a dry run may take.
const LONGEST_DRY_RUN: Duration = Duration::from_secs(3);
static DRY_RUNS: Semaphore = Semaphore::const_new(1);
/// A try that lost a race is made again, so often.
const TRIES: u32 = 4;
/// A replay of more than this is counted no further beforehand.
pub(super) const COUNTED: i64 = 100_000;

/// Which webhooks. An empty field says nothing.
#[derive(Clone, Debug, Default, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct WebhookQuery {
    /// `whatsapp_cloud messenger instagram telegram_bot normalized`
    pub source: Option<String>,
    /// The provider's id of a channel.
    pub channel: Option<String>,
    /// The tenant's number.
    pub tenant: Option<i32>,
    /// `unroutable`: of no tenant, or of several.
    pub state: Option<String>,
    /// A part of the body.
    pub text: Option<String>,
    /// Arrived at or after this time (2026-01-31T12:00, UTC).
    pub from: Option<String>,
    /// Arrived before this time.
    pub to: Option<String>,
    /// Only those before this one: how to go on.
    pub before: Option<String>,
}

impl WebhookQuery {
    fn unroutable(&self) -> Result<bool, ApiError> {
        match self.state.as_deref().map(str::trim) {
            None | Some("") => Ok(false),
            Some("unroutable") => Ok(true),
            Some(_) => Err(ApiError::invalid_field("state", "must be unroutable, or left out")),
        }
    }
}

/// Finds webhooks, and where to go on.
pub(super) async fn search(app: &App, query: &WebhookQuery, limit: i64) -> Result<(Vec<Webhook>, Option<RawEventId>), ApiError> {
    let text = |text: &Option<String>| text.clone().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if let Some(source) = text(&query.source)
        && registry::find(&source).is_none()
    {
        return Err(ApiError::invalid_field("source", "is not a kind of channel"));
    }
    let before = text(&query.before)
        .map(|id| crate::request::parse_uuid(&id).ok_or_else(|| ApiError::invalid_field("before", "must be a UUID")))
        .transpose()?;
    let search = Search {
        source: text(&query.source),
        channel: text(&query.channel),
        tenant: query.tenant,
        unroutable: query.unroutable()?,
        text: text(&query.text),
        from: time("from", query.from.as_deref())?,
        to: time("to", query.to.as_deref())?,
        before: before.map(RawEventId),
    };
    webhooks::find(&mut *reading(&app.operator).await?, &search, limit).await.map_err(too_much)
}

/// The log.
#[handler]
pub(super) async fn list_page(
    req: &mut Request,
    res: &mut Response,
    depot: &mut Depot,
    viewer: Viewer,
    query: Query<WebhookQuery>,
) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let Query(query) = query;
    let (found, next) = search(&app, &query, PAGE).await?;
    let ingest = app.pulse.read().await?.lane("ingest");
    let own = req
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("before="))
        .collect::<Vec<_>>()
        .join("&");
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let refused: Vec<String> = ingest.errors.iter().map(|(reason, times)| format!("{reason} {times}")).collect();
    let rows: Vec<Markup> = found.iter().map(|webhook| row(webhook, &viewer)).collect();
    let body = html! {
        p class="dim" {
            "In the last minute " (format::many(ingest.done, "webhook was", "webhooks were")) " taken"
            @if refused.is_empty() { "." } @else { "; refused, which are counted and not kept: " (refused.join(", ")) "." }
        }
        form method="get" action="/ops/webhooks" class="filters" {
            (select("Source", "source", registry::CHANNELS.iter().map(|kind| kind.kind), query.source.as_deref()))
            label { "Channel (provider's id)" input name="channel" value=(text(&query.channel)); }
            label { "Tenant (number)" input name="tenant" inputmode="numeric" value=(query.tenant.map(|id| id.to_string()).unwrap_or_default()); }
            (select("State", "state", std::iter::once("unroutable"), query.state.as_deref()))
            label { "Body contains" input name="text" value=(text(&query.text)); }
            label { "From (UTC)" input name="from" type="datetime-local" value=(text(&query.from)); }
            label { "To (UTC)" input name="to" type="datetime-local" value=(text(&query.to)); }
            button type="submit" { "Search" }
        }
        @if rows.is_empty() {
            p class="dim" { "No webhook matches" @if next.is_some() { " among those that were looked at; there are older ones" } "." }
        } @else {
            form method="get" action="/ops/webhooks/replay" {
                (layout::table("Webhooks", &["", "Webhook", "Arrived (UTC)", "Source", "Tenant", "Channels", "Bytes"], &rows))
                @if viewer.may_act() {
                    p {
                        button type="submit" { "Replay those chosen…" }
                        @if !own.is_empty() { " or " a href={ "/ops/webhooks/replay?" (own) } { "all that match this search…" } }
                    }
                }
            }
        }
        @if let Some(next) = next { p { a rel="next" href={ "/ops/webhooks?" (own) @if !own.is_empty() { "&" } "before=" (next) } { "Older ones" } } }
    };
    Ok(Page { title: "Webhooks", viewer: &viewer, body }.show(req, res))
}

fn row(webhook: &Webhook, viewer: &Viewer) -> Markup {
    html! {
        tr {
            td { @if viewer.may_act() { input type="checkbox" name="id" value=(webhook.id) aria-label={ "Choose " (short(webhook.id)) }; } }
            th scope="row" { a href={ "/ops/webhooks/" (webhook.id) } { (short(webhook.id)) } }
            td { (format::moment(webhook.received_at)) }
            td { (webhook.source) }
            td { @if let Some(tenant) = webhook.tenant_id { (tenant) } @else { span class="tag warn" { "unroutable" } } }
            td { (webhook.channel_ids.join(" ")) }
            td { (format::count(i64::from(webhook.size_bytes))) }
        }
    }
}

/// A webhook and the jobs that processed it.
pub(super) async fn find(app: &App, id: RawEventId) -> Result<(webhooks::WebhookBody, Vec<JobRow>), ApiError> {
    let mut tx = reading(&app.operator).await?;
    let webhook = webhooks::one(&mut tx, id).await.map_err(too_much)?.ok_or_else(|| ApiError::not_found("Webhook"))?;
    let at = webhook.webhook.received_at;
    let jobs =
        journey::jobs_about(&mut tx, &[id.0], (at - TimeDelta::seconds(4), at + TimeDelta::seconds(4)), 10).await.map_err(too_much)?;
    Ok((webhook, jobs))
}

/// A body as people read it: JSON indented, anything else as text.
pub(super) fn readable(body: &[u8]) -> String {
    let text = serde_json::from_slice::<Value>(body).map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |json| job::pretty(&json));
    if text.len() <= SHOWN_BYTES {
        text
    } else {
        format!("{}\n… ({} bytes; `GET /api/ops/webhooks/ID` has all of it)", format::cut(&text, SHOWN_BYTES), body.len())
    }
}

/// The page of one webhook.
#[handler]
pub(super) async fn detail(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let id = req.param::<Uuid>("id").map(RawEventId).ok_or_else(|| ApiError::not_found("Webhook"))?;
    let (found, jobs) = find(&app, id).await?;
    let webhook = &found.webhook;
    let body = html! {
        dl class="facts" {
            dt { "Arrived" } dd { (format::moment(webhook.received_at)) " UTC" }
            dt { "Source" } dd { (webhook.source) }
            dt { "Tenant" } dd { @if let Some(tenant) = webhook.tenant_id { (tenant) } @else { "none, or several" } }
            dt { "Channels" } dd { (webhook.channel_ids.join(" ")) }
            @if let Some(trace) = &found.trace_id { dt { "Trace" } dd { code { (trace) } } }
        }
        p { a href={ "/ops/journey?q=" (webhook.id) } { "Journey of its messages" } @if viewer.may_act() { " · " a href={ "/ops/webhooks/replay?id=" (webhook.id) } { "Replay…" } } }
        h2 { "Processed by" }
        @if jobs.is_empty() { p class="dim" { "No job of that time names it: it was removed after its retention, or the webhook was replayed later." } }
        @else { (jobs::table("Jobs", &jobs)) }
        h2 { "Body" }
        pre { code { (readable(&found.body)) } }
    };
    Ok(Page { title: &format!("Webhook {}", short(webhook.id)), viewer: &viewer, body }.show(req, res))
}

/// What a replay is about: ids, or a search.
pub(super) fn filter_of(query: &WebhookQuery, ids: Vec<Uuid>, now: DateTime<Utc>) -> Result<ReplayFilter, ApiError> {
    if !ids.is_empty() {
        return Ok(ReplayFilter { ids: ids.into_iter().map(RawEventId).collect(), ..ReplayFilter::default() });
    }
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if text(&query.text).is_some() {
        return Err(ApiError::invalid_field(
            "text",
            "cannot choose what is replayed: choose the webhooks one by one, or by time, channel, source and tenant",
        ));
    }
    let (from, to) = (time("from", query.from.as_deref())?, time("to", query.to.as_deref())?);
    let (source, channel, unroutable) = (text(&query.source), text(&query.channel), query.unroutable()?);
    if source.is_none() && channel.is_none() && query.tenant.is_none() && !unroutable && from.is_none() && to.is_none() {
        return Err(ApiError::invalid_field("", "Say which webhooks: choose some, or name a time, channel, source, tenant or state"));
    }
    Ok(ReplayFilter {
        ids: Vec::new(),
        from,
        // What arrives from now on is not part of it.
        to: Some(to.map_or(now, |to| to.min(now))),
        channel,
        unroutable,
        source,
        tenant: query.tenant,
    })
}

/// How many there are (at most a hundred thousand are counted), and what the first hundred would write.
pub(super) async fn try_out(app: &App, filter: &ReplayFilter) -> Result<(i64, Preview), ApiError> {
    let count = operator_replay::count(&mut *reading(&app.operator).await?, filter, COUNTED).await.map_err(too_much)?;
    let first = operator_replay::find(&app.operator, filter, None, i64::try_from(MOST_EVENTS).unwrap_or(100)).await.map_err(too_much)?;
    let ids: Vec<RawEventId> = first.iter().map(|event| event.id).collect();
    let ttl = TimeDelta::from_std(app.human_override_ttl).unwrap_or(TimeDelta::days(1));
    let mut tries = 0;
    loop {
        tries += 1;
        // Rows are locked meanwhile: one at a time, and not for long.
        let turn = DRY_RUNS.acquire().await.map_err(|error| ApiError::internal(&error))?;
        let outcome = tokio::time::timeout(LONGEST_DRY_RUN, preview::preview(&app.operator, &ids, ttl)).await;
        drop(turn);
        let Ok(outcome) = outcome else {
            return Err(ApiError::conflict("too_slow", "To try this took more than three seconds: choose fewer webhooks, or try again"));
        };
        match outcome {
            Ok(preview) => return Ok((count, preview)),
            Err(StoreError::Stale(_) | StoreError::Conflict(_)) if tries < TRIES => {}
            Err(StoreError::Data(error)) => {
                return Err(ApiError::conflict("refused_by_database", format!("The database would refuse one of them: {error}")));
            }
            Err(error) => return Err(too_much(error)),
        }
    }
}

/// Begins a replay. The act's id.
pub(super) async fn begin(app: &App, actor: &Actor, filter: ReplayFilter, per_second: i64) -> Result<Uuid, ApiError> {
    let count = operator_replay::count(&mut *reading(&app.operator).await?, &filter, COUNTED).await.map_err(too_much)?;
    if count == 0 {
        return Err(ApiError::not_found("Webhook"));
    }
    Ok(paced::begin(&app.operator, actor, &Work::Replay(filter), i32::try_from(per_second).unwrap_or(1), count).await?)
}

fn chosen(req: &Request) -> Vec<Uuid> {
    let pairs = form_urlencoded::parse(req.uri().query().unwrap_or_default().as_bytes());
    pairs.filter(|(name, _)| name == "id").filter_map(|(_, id)| id.parse().ok()).take(1_000).collect()
}

/// What a replay would write, before it is begun.
#[handler]
pub(super) async fn plan(
    req: &mut Request,
    res: &mut Response,
    depot: &mut Depot,
    viewer: Viewer,
    query: Query<WebhookQuery>,
) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    viewer.must_act()?;
    let filter = filter_of(&query.0, chosen(req), app.clock.now())?;
    let (count, preview) = try_out(&app, &filter).await?;
    let body = html! {
        p { strong { (counted(count, COUNTED)) } (if count == 1 { " webhook" } else { " webhooks" }) " would be processed once more." @if u64::try_from(count).unwrap_or(0) > preview.events as u64 { " What follows is about the first " (preview.events) "." } }
        (difference(&preview))
        @if count > 0 {
            form method="post" action={ "/ops/webhooks/replay?" (req.uri().query().unwrap_or_default()) } {
                (layout::form_fields(&viewer))
                label { "Webhooks a second" input name="per_second" type="number" min="1" max=(FASTEST) value="50" required; }
                (layout::reason_field())
                button type="submit" { "Replay " (counted(count, COUNTED)) }
            }
        }
    };
    Ok(Page { title: "Replay webhooks", viewer: &viewer, body }.show(req, res))
}

fn difference(preview: &Preview) -> Markup {
    let nothing = preview.appear.is_empty() && preview.change.is_empty();
    let part = |rows: &[Row], title: &str| {
        html! {
            @if !rows.is_empty() {
                h2 { (title) " (" (rows.len()) ")" }
                @for row in rows.iter().take(SHOWN_ROWS) {
                    details {
                        summary { (row.table) " " code { (row.key) } " of tenant " (row.tenant_id) (gist(row)) }
                        @if let Some(before) = &row.before { p { "Before" } pre { code { (job::pretty(before)) } } p { "After" } }
                        pre { code { (job::pretty(&row.after)) } }
                    }
                }
                @if rows.len() > SHOWN_ROWS { p class="dim" { "and " (rows.len() - SHOWN_ROWS) " more" } }
            }
        }
    };
    html! {
        @if nothing && preview.parts > 0 { p class="good" { "Nothing would appear or change: all that they say" @if preview.unrouted + preview.held > 0 { ", as far as it has a channel and is not held," } " is stored already." } }
        @if preview.parts == 0 { p class="warn" { "Nothing would be written: nothing that could be stored is in them." } }
        @if preview.unrouted > 0 { p class="warn" { (format::many(preview.unrouted, "part is for a channel", "parts are for channels")) " that nobody has." } }
        @if preview.held > 0 { p class="warn" { (format::many(preview.held, "is of a tenant", "are of tenants")) " whose webhooks are held." } }
        @for reason in &preview.malformed { p class="bad" { (reason) } }
        (part(&preview.appear, "Would appear"))
        (part(&preview.change, "Would change"))
    }
}

/// What a row says, for the line that opens it.
fn gist(row: &Row) -> String {
    let of = |name: &str| row.after.get(name).and_then(Value::as_str).map(|text| format!(": {}", format::cut(text, 60)));
    of("content").or_else(|| of("status")).or_else(|| of("name")).unwrap_or_default()
}

/// Begins it.
#[handler]
pub(super) async fn replay(
    req: &mut Request,
    res: &mut Response,
    depot: &mut Depot,
    viewer: Viewer,
    query: Query<WebhookQuery>,
) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    let ids = chosen(req);
    let form = Form::of_actor(req, &viewer).await?;
    let filter = filter_of(&query.0, ids, app.clock.now())?;
    let id = begin(&app, &viewer.actor(form.reason()), filter, form.number("per_second", (1, FASTEST))?).await?;
    form::go(res, &format!("/ops/acts/{id}"), "It has begun.");
    Ok(())
}
