//! The journey of one message: found by whatever is known of it.

use super::{
    format,
    gate::Viewer,
    jobs::too_much,
    layout::{self, Html, Page},
    timeline::{self, Step},
};
use crate::{ApiError, App};
use domain::{JobId, RawEventId};
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler};
use serde::Serialize;
use store::operator::{
    journey::{self, JourneyMessage, Term},
    reading, search, webhooks,
};
use uuid::Uuid;

/// Messages to choose from.
const MESSAGES: i64 = 25;

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Journey {
    /// The latest messages that are meant, newest first.
    pub messages: Vec<JourneyMessage>,
    /// Of the one that is meant, or the newest.
    pub steps: Vec<Step>,
    #[serde(skip)]
    pub chosen: Option<Uuid>,
}

/// Finds it, by a customer's number, a provider's id, or the id of a message, conversation, customer, job or raw webhook.
pub(super) async fn find(app: &App, q: &str, tenant: Option<i32>, chosen: Option<Uuid>) -> Result<Journey, ApiError> {
    let q = q.trim();
    let mut tx = reading(&app.operator).await?;
    let mut messages = Vec::new();
    if let Some(id) = crate::request::parse_uuid(q) {
        messages = journey::messages(&mut tx, &Term::Id(id), tenant, MESSAGES).await.map_err(too_much)?;
        if messages.is_empty()
            && let Some(job) = search::job(&mut tx, JobId(id)).await.map_err(too_much)?
        {
            for (_, named) in timeline::links(job.args.as_ref()) {
                let Some(named) = crate::request::parse_uuid(&named) else { continue };
                messages.extend(journey::messages(&mut tx, &Term::Id(named), tenant, MESSAGES).await.map_err(too_much)?);
                messages.extend(journey::of_webhook(&mut tx, RawEventId(named), MESSAGES).await.map_err(too_much)?);
            }
        }
        if messages.is_empty() && webhooks::one(&mut tx, RawEventId(id)).await.map_err(too_much)?.is_some() {
            messages = journey::of_webhook(&mut tx, RawEventId(id), MESSAGES).await.map_err(too_much)?;
        }
    } else if !q.is_empty() {
        if let Some(digits) = timeline::phone_digits(q) {
            messages = journey::messages(&mut tx, &Term::Phone(format!("+{digits}")), tenant, MESSAGES).await.map_err(too_much)?;
        }
        if messages.is_empty() {
            messages = journey::messages(&mut tx, &Term::External(q.to_owned()), tenant, MESSAGES).await.map_err(too_much)?;
        }
    }
    drop(tx);
    messages.sort_by_key(|message| std::cmp::Reverse((message.created_at, message.id)));
    messages.dedup_by_key(|message| message.id);
    let meant = messages.iter().find(|message| {
        chosen.map_or(message.id.to_string() == q || message.external_id.as_deref() == Some(q), |chosen| message.id == chosen)
    });
    let steps = match meant.or(messages.first()) {
        Some(message) => timeline::of(app, message).await.map_err(too_much)?,
        None if q.is_empty() => Vec::new(),
        None => timeline::without_message(app, q).await.map_err(too_much)?,
    };
    let chosen = meant.or(messages.first()).map(|message| message.id);
    Ok(Journey { messages, steps, chosen })
}

/// The page.
#[handler]
pub(super) async fn page(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let q = req.query::<String>("q").unwrap_or_default();
    let tenant = req.query::<i32>("tenant");
    let journey = find(&app, &q, tenant, req.query::<Uuid>("message")).await?;
    let body = html! {
        form method="get" action="/ops/journey" class="filters" {
            label class="wide" { "Customer's number, provider's id, or the id of a message, conversation, customer, job or webhook" input name="q" value=(q) required autofocus[q.is_empty()]; }
            label { "Tenant (number, if there are very many)" input name="tenant" inputmode="numeric" value=(tenant.map(|id| id.to_string()).unwrap_or_default()); }
            button type="submit" { "Find" }
        }
        @if !q.is_empty() && journey.messages.is_empty() {
            @if journey.steps.is_empty() { p class="dim" { "Nothing is known by that." } } @else { p class="warn" { "No message is stored by that, but this is known:" } (steps(&journey.steps)) }
        }
        @if let Some(message) = journey.messages.iter().find(|message| Some(message.id) == journey.chosen) { (head(message)) (steps(&journey.steps)) }
        @if journey.messages.len() > 1 { h2 { "Other messages" } (others(&q, &journey)) }
    };
    Ok(Page { title: "Journey", viewer: &viewer, body }.show(req, res))
}

fn head(message: &JourneyMessage) -> Markup {
    html! {
        dl class="facts" {
            dt { "Message" } dd { (message.direction) " " (message.message_type) ", " strong { (message.status) } }
            dt { "Says" } dd { (format::cut(message.content.as_deref().unwrap_or("–"), 300)) }
            dt { "Customer" } dd { (message.customer.as_deref().unwrap_or("–")) " " (message.phone.as_deref().unwrap_or_default()) }
            dt { "Channel" } dd { (message.channel) " " (message.channel_name) " of " (message.tenant) " (" (message.tenant_id) ")" }
            dt { "Ids" } dd { code { (message.id) } " " @if let Some(id) = &message.external_id { code { (id) } } }
        }
    }
}

fn steps(steps: &[Step]) -> Markup {
    html! {
        ol class="steps" {
            @for step in steps {
                li class=[step.problem.as_ref().map(|_| "bad")] {
                    @match step.at { Some(at) => time { (at.format("%d %b ")) (format::clock(at)) }, None => span class="dim" { "no time" } }
                    " " strong { @if let Some(link) = &step.link { a href=(link) { (step.what) } } @else { (step.what) } }
                    @if let Some(took) = step.took_s { " " span class="dim" { (format::seconds(took)) } }
                    @if !step.detail.is_empty() { div { (format::cut(&step.detail, 500)) } }
                    @if let Some(problem) = &step.problem { div { strong { (format::cut(problem, 500)) } } }
                }
            }
        }
    }
}

fn others(q: &str, journey: &Journey) -> Markup {
    let rows: Vec<Markup> = journey
        .messages
        .iter()
        .filter(|message| Some(message.id) != journey.chosen)
        .map(|message| {
            html! {
                tr {
                    th scope="row" { a href={ "/ops/journey?q=" (format::encoded(q)) "&message=" (message.id) } { (format::moment(message.created_at)) } }
                    td { (message.direction) }
                    td { (message.status) }
                    td { (message.channel) }
                    td { (message.tenant_id) }
                    td class="wrap" { (format::cut(message.content.as_deref().unwrap_or("–"), 100)) }
                }
            }
        })
        .collect();
    layout::table("Messages", &["Stored (UTC)", "Direction", "Status", "Channel", "Tenant", "Says"], &rows)
}
