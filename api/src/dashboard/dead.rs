//! The dead-letter desk: groups by what killed them; look, run one as a canary, release all at a pace, or give them up.

use super::{
    acts::counted,
    control,
    form::{self, Form},
    format,
    gate::Viewer,
    health::BURST,
    job,
    jobs::{self, too_much},
    layout::{self, Html, Page},
};
use crate::{ApiError, App};
use chrono::{DateTime, Utc};
use domain::JobId;
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler};
use store::{
    operator::{
        groups::{self, COUNTED, COUNTED_IN_LIST, DeadGroup},
        paced::{self, Work},
        pauses, reading,
    },
    operator_jobs::{self, Actor, JobFilter},
};
use uuid::Uuid;

/// Dead letters on a page.
const PAGE: i64 = 30;
/// Dead letters that are shown in full.
const SAMPLES: i64 = 2;
/// The fastest release, in jobs a second.
pub(super) const FASTEST: i64 = 1_000;

/// All groups.
#[handler]
pub(super) async fn list_page(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let groups = groups::list(&mut *reading(&app.operator).await?).await.map_err(too_much)?;
    let rows: Vec<Markup> = groups.iter().map(row).collect();
    let body = html! {
        p { "Jobs that failed for good, with every error kept. Look at one, mend what is wrong, run one as a canary, then release the rest at a pace." }
        @if rows.is_empty() {
            p class="good" { "There are no dead letters." }
        } @else {
            (layout::table("Groups of dead letters", &["What killed them", "Queue", "Count", "Last 5 min", "First", "Last", "For example"], &rows))
        }
        p { a href="/ops/jobs?state=dead" { "Search dead letters" } " · " a href="/ops/acts" { "Releases that go on" } }
    };
    Ok(Page { title: "Dead letters", viewer: &viewer, body }.show(req, res))
}

fn row(group: &DeadGroup) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/ops/dead/group?f=" (format::encoded(&group.fingerprint)) } { (group.fingerprint) } }
            td { (group.queue) }
            td { (counted(group.count, COUNTED_IN_LIST)) }
            td class=[(group.lately >= BURST).then_some("bad")] { (format::count(group.lately)) }
            td { (format::moment(group.first_at)) }
            td { (format::moment(group.last_at)) }
            td { a href={ "/ops/jobs/" (group.sample_id) } { (format::cut(group.sample_error.as_deref().unwrap_or("(no message)"), 120)) } }
        }
    }
}

/// One group.
#[handler]
pub(super) async fn group_page(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let fingerprint = req.query::<String>("f").unwrap_or_default();
    let before = req.query::<String>("before").and_then(|text| {
        let (at, id) = text.split_once('_')?;
        Some((at.parse::<DateTime<Utc>>().ok()?, id.parse::<Uuid>().ok()?))
    });
    let mut tx = reading(&app.operator).await?;
    let Some(group) = groups::find(&mut tx, &fingerprint).await.map_err(too_much)? else {
        let body = html! { p class="good" { "No dead letter is of this group (any more): " (fingerprint) } p { a href="/ops/dead" { "All groups" } } };
        return Ok(Page { title: "Dead letters", viewer: &viewer, body }.show(req, res));
    };
    let letters = groups::letters(&mut tx, &fingerprint, before, PAGE).await.map_err(too_much)?;
    let samples = groups::samples(&mut tx, &fingerprint, SAMPLES).await.map_err(too_much)?;
    drop(tx);
    let paused = app.pulse.read().await?.is_paused(&format!("kind:{}", group.kind));
    let older = letters.last().filter(|_| letters.len() as u64 >= PAGE.unsigned_abs()).and_then(|last| {
        let at = last.at?.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        Some(format!("/ops/dead/group?f={}&before={}_{}", format::encoded(&fingerprint), format::encoded(&at), last.id))
    });
    let body = html! {
        dl class="facts" {
            dt { "Count" } dd { (counted(group.count, COUNTED)) ", " (format::count(group.lately)) " in the last five minutes" }
            dt { "First" } dd { (format::moment(group.first_at)) " UTC" }
            dt { "Last" } dd { (format::moment(group.last_at)) " UTC" }
            dt { "Kind" } dd { (group.kind) @if paused { " " span class="tag warn" { "paused" } } }
        }
        @if group.lately >= BURST && !paused { p class="bad" { "They die in a burst: pause the kind until it is known why." } }
        @if viewer.may_act() { (acts(&group, &viewer, paused)) }
        h2 { "The latest in full" }
        @for sample in &samples {
            details open {
                summary { a href={ "/ops/jobs/" (sample.id) } { (jobs::short(sample.id)) } " (edit it there)" }
                pre { code { (job::pretty(&sample.args)) } }
                pre { code { (job::pretty(&sample.errors)) } }
            }
        }
        h2 { "All" }
        (jobs::table("Dead letters of this group", &letters))
        @if let Some(older) = older { p { a href=(older) rel="next" { "Older ones" } } }
    };
    Ok(Page { title: &group.fingerprint, viewer: &viewer, body }.show(req, res))
}

fn acts(group: &DeadGroup, viewer: &Viewer, paused: bool) -> Markup {
    let here = format!("/ops/dead/group?f={}", format::encoded(&group.fingerprint));
    html! {
        div class="actions" {
            @if paused {
                form method="post" action="/ops/control" {
                    (layout::form_fields(viewer))
                    input type="hidden" name="what" value={ "kind:" (group.kind) };
                    input type="hidden" name="back" value=(here);
                    (layout::reason_field())
                    button type="submit" name="act" value="resume" { "Resume " (group.kind) }
                }
            } @else {
                (control::pause_kind(viewer, &group.kind, &group.queue, Some(&here)))
            }
            form method="post" action=(here) {
                (layout::form_fields(viewer)) (layout::reason_field())
                button type="submit" name="act" value="canary" { "Run one as a canary" }
            }
            form method="post" action=(here) {
                (layout::form_fields(viewer))
                label { "Jobs a second" input name="per_second" type="number" min="1" max=(FASTEST) value="20" required; }
                (layout::reason_field())
                button type="submit" name="act" value="release" { "Release all " (counted(group.count, COUNTED)) } " "
                button type="submit" name="act" value="discard" class="danger" { "Discard all" }
            }
            p class="dim" { "A release stops by itself when its jobs die again while it goes on." }
        }
    }
}

/// Begins to release, or to discard, a whole group. The act's id.
pub(super) async fn begin(app: &App, actor: &Actor, fingerprint: &str, discard: bool, per_second: i64) -> Result<Uuid, ApiError> {
    let group = groups::find(&mut *reading(&app.operator).await?, fingerprint).await.map_err(too_much)?;
    let group = group.ok_or_else(|| ApiError::not_found("Group"))?;
    let filter = JobFilter {
        fingerprint: Some(fingerprint.to_owned()),
        kind: Some(group.kind.clone()),
        queue: Some(group.queue.clone()),
        ..JobFilter::default()
    };
    if !discard {
        // They would wait, and then run all at once.
        for (what, name) in [("kind", &group.kind), ("queue", &group.queue)] {
            if pauses::is_held(&app.operator, &format!("{what}:{name}")).await? {
                return Err(is_paused(what, name));
            }
        }
    }
    let work = if discard { Work::Discard(filter) } else { Work::Retry(filter) };
    Ok(paced::begin(&app.operator, actor, &work, i32::try_from(per_second).unwrap_or(1), group.count).await?)
}

fn is_paused(what: &str, name: &str) -> ApiError {
    ApiError::conflict("paused", format!("The {what} {name} is paused: resume it first"))
}

/// Runs the group's latest dead letter again, alone, even while its kind is paused.
pub(super) async fn canary(app: &App, actor: &Actor, fingerprint: &str) -> Result<JobId, ApiError> {
    let mut tx = reading(&app.operator).await?;
    let letters = groups::letters(&mut tx, fingerprint, None, PAGE).await.map_err(too_much)?;
    drop(tx);
    if letters.is_empty() {
        return Err(ApiError::not_found("Dead letter"));
    }
    // The latest one that would run now: whose work is not queued already, of a tenant that is not paused.
    let pauses = pauses::list(&mut *app.operator_conn().await?).await?;
    let held = |what: &str| pauses.iter().any(|pause| pause.what == what);
    for letter in letters {
        if held(&format!("queue:{}", letter.queue)) {
            return Err(is_paused("queue", &letter.queue));
        }
        if held(&format!("tenant:{}", letter.tenant_id)) {
            continue;
        }
        if operator_jobs::canary(&app.operator, actor, JobId(letter.id)).await? {
            app.pulse.forget().await;
            return Ok(JobId(letter.id));
        }
    }
    Err(ApiError::conflict(
        "none_would_run",
        "None of the latest would run now: their work, or others before them, are queued, or their tenants are paused",
    ))
}

/// Does something to a group.
#[handler]
pub(super) async fn post(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    let fingerprint = req.query::<String>("f").unwrap_or_default();
    let form = Form::of_actor(req, &viewer).await?;
    let actor = viewer.actor(form.reason());
    match form.get("act") {
        Some("canary") => {
            let id = canary(&app, &actor, &fingerprint).await?;
            form::go(res, &format!("/ops/jobs/{id}"), "The canary runs: watch it here. If it ends well, release the rest.");
        }
        Some(act @ ("release" | "discard")) => {
            let id = begin(&app, &actor, &fingerprint, act == "discard", form.number("per_second", (1, FASTEST))?).await?;
            form::go(res, &format!("/ops/acts/{id}"), "It has begun.");
        }
        _ => return Err(ApiError::invalid_field("act", "is none that can be done to a group")),
    }
    Ok(())
}
