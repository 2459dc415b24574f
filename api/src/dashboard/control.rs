//! Pausing and resuming: queues, kinds, tenants, channels; and draining workers.

use super::{
    form::{self, Form},
    format,
    gate::Viewer,
    layout::{self, Html, Page},
};
use crate::{ApiError, App};
use domain::TenantId;
use jobs::{kinds, queue, resume_webhooks};
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler};
use store::{operator::pauses, operator_jobs::Actor};

/// Pauses `what`. False: it was paused.
pub(super) async fn pause(app: &App, actor: &Actor, what: &str) -> Result<bool, ApiError> {
    kinds::pausable(what).map_err(|problem| ApiError::invalid_field("what", problem))?;
    if !pauses::exists(&app.operator, what).await? {
        return Err(ApiError::invalid_field("what", format!("there is no {}", what.replacen(':', " ", 1))));
    }
    let changed = pauses::hold(&app.operator, actor, what).await?;
    app.pulse.forget().await;
    Ok(changed)
}

/// Lets `what` go on. False: it was not paused.
pub(super) async fn resume(app: &App, actor: &Actor, what: &str) -> Result<bool, ApiError> {
    kinds::pausable(what).map_err(|problem| ApiError::invalid_field("what", problem))?;
    let tenant = what.strip_prefix("tenant:").and_then(|id| id.parse().ok()).map(TenantId);
    let follow_up: Vec<_> = tenant.map(resume_webhooks::job_for).into_iter().collect();
    let changed = pauses::release(&app.operator, actor, what, &follow_up).await?;
    app.waker.ring(queue::CHORES.name, tenant);
    app.pulse.forget().await;
    Ok(changed)
}

/// The page.
#[handler]
pub(super) async fn page(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let now = app.pulse.read().await?;
    let what = req.query::<String>("what").unwrap_or_default();
    let mut workers: Vec<(String, bool)> = now
        .processes
        .iter()
        .filter(|process| process.role == "worker")
        .map(|process| (process.name.split(':').next().unwrap_or_default().to_owned(), process.draining))
        .collect();
    workers.sort();
    workers.dedup();
    let body = html! {
        p { "What is paused starts nothing new; what runs ends. It stays so through restarts, and nothing is lost: jobs, messages and webhooks wait." }
        h2 { "Paused now" }
        (paused(&now.pauses, &viewer))
        @if viewer.may_act() {
            h2 { "Queues" }
            div class="buttons" { @for queue in queue::ALL { (button(&viewer, &format!("queue:{}", queue.name), queue.name, now.is_paused(&format!("queue:{}", queue.name)))) } }
            h2 { "Kinds" }
            div class="buttons" { @for kind in kinds::ALL { (button(&viewer, &format!("kind:{}", kind.name), kind.name, now.is_paused(&format!("kind:{}", kind.name)))) } }
            h2 { "Workers" }
            p class="dim" { "A worker that is drained takes nothing new, by its name (WORKER_NAME, else the host's), also after it starts again." }
            div class="buttons" {
                @for (name, draining) in &workers { (drain(&viewer, name, *draining)) }
                @if workers.is_empty() { span class="dim" { "No worker was heard of in the last hour." } }
            }
            h2 { "A tenant, a channel, or anything by its name" }
            form method="post" action="/ops/control" {
                (layout::form_fields(&viewer))
                label { "What" input name="what" type="text" required value=(what) placeholder="tenant:7, channel:UUID, worker:NAME"; }
                (layout::reason_field())
                button type="submit" name="act" value="pause" { "Pause" }
                " "
                button type="submit" name="act" value="resume" { "Resume" }
            }
            p class="dim" { "A tenant: nothing of it is processed, answered or sent, and its webhooks are held. A channel: nothing is sent on it, while what comes in is processed." }
        }
    };
    Ok(Page { title: "Pauses", viewer: &viewer, body }.show(req, res))
}

/// `/ops/pauses`, as the API calls it, leads to the page.
#[handler]
pub(super) async fn to_page(req: &mut Request, res: &mut Response) {
    let query = req.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    form::go(res, &format!("/ops/control{query}"), "");
}

fn paused(pauses: &[pauses::Pause], viewer: &Viewer) -> Markup {
    if pauses.is_empty() {
        return html! { p class="good" { "Nothing is paused." } };
    }
    let rows: Vec<Markup> = pauses
        .iter()
        .map(|pause| {
            html! {
                tr {
                    th scope="row" { (pause.what) }
                    td { (format::moment(pause.paused_at)) }
                    td { (pause.paused_by) }
                    td { (pause.reason.as_deref().unwrap_or("–")) }
                    td { @if viewer.may_act() { (button(viewer, &pause.what, "", true)) } }
                }
            }
        })
        .collect();
    layout::table("Paused", &["What", "Since", "By", "Why", ""], &rows)
}

/// Drains a worker, or lets it take jobs again.
fn drain(viewer: &Viewer, name: &str, draining: bool) -> Markup {
    let (act, word) = if draining { ("resume", "Let take jobs again: ") } else { ("pause", "Drain ") };
    html! {
        form method="post" action="/ops/control" class="inline" {
            (layout::form_fields(viewer))
            input type="hidden" name="what" value={ "worker:" (name) };
            button type="submit" name="act" value=(act) class=[draining.then_some("warn")] { (word) (name) }
        }
    }
}

/// Pauses or resumes one thing.
pub(super) fn button(viewer: &Viewer, what: &str, name: &str, paused: bool) -> Markup {
    let act = if paused { "resume" } else { "pause" };
    let word = if paused { "Resume" } else { "Pause" };
    html! {
        form method="post" action="/ops/control" class="inline" {
            (layout::form_fields(viewer))
            input type="hidden" name="what" value=(what);
            button type="submit" name="act" value=(act) class=[paused.then_some("warn")] { (word) @if !name.is_empty() { " " (name) } }
        }
    }
}

/// Pauses or resumes.
#[handler]
pub(super) async fn post(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    let form = Form::of_actor(req, &viewer).await?;
    let what = form.need("what")?;
    let actor = viewer.actor(form.reason());
    let said = match form.get("act") {
        Some("pause") if pause(&app, &actor, what).await? => format!("Paused {what}."),
        Some("pause") => format!("{what} was paused already."),
        Some("resume") if resume(&app, &actor, what).await? => format!("Resumed {what}."),
        Some("resume") => format!("{what} was not paused."),
        _ => return Err(ApiError::invalid_field("act", "must be pause or resume")),
    };
    let back = form.get("back").filter(|back| back.starts_with("/ops/dead")).unwrap_or("/ops/control");
    form::go(res, back, &said);
    Ok(())
}
