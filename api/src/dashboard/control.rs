//! Pausing and resuming: queues, kinds, tenants, channels; and draining workers.

use super::{
    form::{self, Draft, Form},
    format,
    gate::Viewer,
    layout::{self, Html, Page},
    pulse::Snapshot,
};
use crate::{ApiError, App};
use domain::TenantId;
use jobs::{kinds, queue, resume_webhooks};
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler, http::StatusCode};
use std::collections::BTreeMap;
use store::{
    operator::{
        pauses,
        processes::{self, Process},
        reading,
    },
    operator_jobs::Actor,
};

/// Pauses `what`. False: it was paused.
pub(super) async fn pause(app: &App, actor: &Actor, what: &str) -> Result<bool, ApiError> {
    kinds::pausable(what).map_err(|problem| ApiError::invalid_field("what", problem))?;
    if !pauses::exists(&app.operator, what).await? {
        return Err(ApiError::invalid_field("what", format!("there is no {}", what.replacen(':', " ", 1))));
    }
    if let Some(name) = what.strip_prefix("worker:")
        && !pauses::is_held(&app.operator, what).await?
    {
        must_be_heard_of(app, name).await?;
    }
    let changed = pauses::hold(&app.operator, actor, what).await?;
    app.pulse.forget().await;
    Ok(changed)
}

/// A slip of the pen would drain nothing, silently.
async fn must_be_heard_of(app: &App, name: &str) -> Result<(), ApiError> {
    let processes = processes::list(&mut *reading(&app.operator).await?).await?;
    let known = workers(&processes);
    // Of more than are listed, one that is not may be there all the same.
    if known.contains_key(name) || i64::try_from(processes.len()).is_ok_and(|listed| listed >= processes::MOST) {
        return Ok(());
    }
    let names = known.into_keys().collect::<Vec<_>>().join(", ");
    let there =
        if names.is_empty() { "none was heard of in the last hour".to_owned() } else { format!("there are: {}", format::cut(&names, 300)) };
    Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("There is no worker {name}; {there}")))
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
    Ok(shown(req, res, &viewer, &now, Draft::default()))
}

fn shown(req: &Request, res: &mut Response, viewer: &Viewer, now: &Snapshot, draft: Draft<'_>) -> Html {
    let what = req.query::<String>("what").unwrap_or_default();
    let workers = workers(&now.processes);
    let body = html! {
        p { "What is paused starts nothing new; what runs ends. It stays so through restarts, and nothing is lost: jobs, messages and webhooks wait." }
        h2 { "Paused now" }
        (paused(&now.pauses, viewer))
        @if viewer.may_act() {
            h2 { "Queues" }
            div class="buttons" { @for queue in queue::ALL { (hold_queue(viewer, now, queue.name)) } }
            h2 { "Kinds" }
            div class="buttons" { @for kind in kinds::ALL { (hold_kind(viewer, now, kind.name, kind.queue)) } }
            h2 { "Workers" }
            p class="dim" { "A worker that is drained takes nothing new, by its name (WORKER_NAME, else the host's), also after it starts again." }
            div class="buttons" {
                @for (name, worker) in &workers { (drain(viewer, name, *worker)) }
                @if workers.is_empty() { span class="dim" { "No worker was heard of in the last hour." } }
            }
            h2 { "A tenant, a channel, or anything by its name" }
            form method="post" action="/ops/control" {
                (layout::form_fields(viewer)) (layout::problem(draft))
                label { "What"
                    input name="what" type="text" required value=(draft.typed("what").unwrap_or(&what)) placeholder="tenant:7, channel:UUID, worker:NAME" autofocus[draft.is_refused()];
                }
                (layout::reason_again(draft))
                button type="submit" name="act" value="pause" { "Pause" }
                " "
                button type="submit" name="act" value="resume" { "Resume" }
            }
            p class="dim" { "A tenant: nothing of it is processed, answered or sent, and its webhooks are held. A channel: nothing is sent on it, while what comes in is processed." }
        }
    };
    Page { title: "Pauses", viewer, body }.show(req, res)
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
                    td { @if viewer.may_act() { (resume_button(viewer, &pause.what, "Resume")) } }
                }
            }
        })
        .collect();
    layout::table("Paused", &["What", "Since", "By", "Why", ""], &rows)
}

/// A worker as it is drained: all processes of its name.
#[derive(Clone, Copy, Debug, Default)]
struct Worker {
    draining: bool,
    running: i64,
}

/// Those that were heard of, by name.
fn workers(processes: &[Process]) -> BTreeMap<&str, Worker> {
    let mut workers: BTreeMap<&str, Worker> = BTreeMap::new();
    for process in processes.iter().filter(|process| process.role == "worker") {
        let worker = workers.entry(process.name.split(':').next().unwrap_or_default()).or_default();
        worker.draining |= process.draining;
        worker.running += process.running;
    }
    workers
}

/// Pauses a queue, or resumes it.
fn hold_queue(viewer: &Viewer, now: &Snapshot, name: &str) -> Markup {
    let what = format!("queue:{name}");
    if now.is_paused(&what) {
        return resume_button(viewer, &what, &format!("Resume {name}"));
    }
    // One that is not shown is empty.
    let (ready, delayed, about) = now
        .queues
        .iter()
        .find(|queue| queue.queue == name)
        .map_or((0, 0, ""), |queue| (queue.ready, queue.delayed, if queue.estimated { "about " } else { "" }));
    let then = format!(
        "Nothing of {name} starts until it is resumed; what runs ends. Now {about}{} and {about}{}.",
        format::many(ready, "job waits", "jobs wait"),
        format::many(delayed, "is due later", "are due later")
    );
    Ask { what: &what, button: &format!("Pause {name}"), then: &then, back: None }.show(viewer)
}

/// Pauses a kind, or resumes it.
fn hold_kind(viewer: &Viewer, now: &Snapshot, name: &str, queue: &str) -> Markup {
    let what = format!("kind:{name}");
    if now.is_paused(&what) {
        return resume_button(viewer, &what, &format!("Resume {name}"));
    }
    pause_kind(viewer, name, queue, None)
}

/// Asks before a kind is paused.
pub(super) fn pause_kind(viewer: &Viewer, name: &str, queue: &str, back: Option<&str>) -> Markup {
    let then = format!(
        "No {name} starts until it is resumed, but for canaries and those that are edited and retried; what runs ends. Other kinds of the queue {queue} go on."
    );
    Ask { what: &format!("kind:{name}"), button: &format!("Pause {name}"), then: &then, back }.show(viewer)
}

/// Drains a worker, or lets it take jobs again.
fn drain(viewer: &Viewer, name: &str, worker: Worker) -> Markup {
    let what = format!("worker:{name}");
    if worker.draining {
        return resume_button(viewer, &what, &format!("Let take jobs again: {name}"));
    }
    let then = format!(
        "{name} takes nothing new until it is let go on, also after it starts again. {} there now, to the end.",
        format::many(worker.running, "job runs", "jobs run")
    );
    Ask { what: &what, button: &format!("Drain {name}"), then: &then, back: None }.show(viewer)
}

/// A pause that is asked about before it begins: a line that opens to what will happen, and to the button.
struct Ask<'a> {
    what: &'a str,
    button: &'a str,
    then: &'a str,
    /// Where to go on afterwards; none: on the page of pauses.
    back: Option<&'a str>,
}

impl Ask<'_> {
    fn show(&self, viewer: &Viewer) -> Markup {
        html! {
            details class="ask" {
                summary { (self.button) "…" }
                form method="post" action="/ops/control" {
                    (layout::form_fields(viewer))
                    input type="hidden" name="what" value=(self.what);
                    @if let Some(back) = self.back { input type="hidden" name="back" value=(back); }
                    p { (self.then) }
                    (layout::reason_field())
                    button type="submit" name="act" value="pause" { (self.button) }
                }
            }
        }
    }
}

/// Lets one thing go on.
fn resume_button(viewer: &Viewer, what: &str, says: &str) -> Markup {
    html! {
        form method="post" action="/ops/control" class="inline" {
            (layout::form_fields(viewer))
            input type="hidden" name="what" value=(what);
            button type="submit" name="act" value="resume" class="warn" { (says) }
        }
    }
}

/// Pauses or resumes. What is refused is shown again.
#[handler]
pub(super) async fn post(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    let form = Form::of_actor(req, &viewer).await?;
    match submitted(&app, &viewer, &form).await {
        Ok(said) => {
            let back = form.get("back").filter(|back| back.starts_with("/ops/dead")).unwrap_or("/ops/control");
            form::go(res, back, &said);
        }
        Err(error) if error.status.is_client_error() => {
            let Ok(now) = app.pulse.read().await else { return Err(error) };
            shown(req, res, &viewer, &now, Draft::refused(&form, &error)).refusing(&error).put(res);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn submitted(app: &App, viewer: &Viewer, form: &Form) -> Result<String, ApiError> {
    let what = form.need("what")?;
    let actor = viewer.actor(form.reason());
    Ok(match form.get("act") {
        Some("pause") if pause(app, &actor, what).await? => format!("Paused {what}."),
        Some("pause") => format!("{what} was paused already."),
        Some("resume") if resume(app, &actor, what).await? => format!("Resumed {what}."),
        Some("resume") => format!("{what} was not paused."),
        _ => return Err(ApiError::invalid_field("act", "must be pause or resume")),
    })
}
