//! What operators did and do: acts that go on for a while, and the audit log.

use super::{
    form::{self, Form},
    format,
    gate::Viewer,
    layout::{self, Html, Page},
};
use crate::{ApiError, App};
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler};
use serde_json::Value;
use store::operator::{
    paced::{self, PacedAct},
    sessions,
};
use uuid::Uuid;

const PACED: i64 = 20;
const PAGE: i64 = 50;

/// The page.
#[handler]
pub(super) async fn page(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let before = req.query::<i64>("before");
    let mut conn = app.operator_conn().await?;
    let paced = paced::list(&mut conn, PACED).await?;
    let log = sessions::acts(&mut conn, before, PAGE).await?;
    drop(conn);
    let going_on: Vec<Markup> = paced.iter().map(paced_row).collect();
    let rows: Vec<Markup> = log
        .iter()
        .map(|act| {
            html! {
                tr {
                    td { (format::moment(act.at)) }
                    td { (act.actor) }
                    th scope="row" { (act.act) }
                    td { (act.affected) }
                    td class="wrap" { code { (format::cut(&act.subject.to_string(), 300)) } }
                    td class="wrap" { (act.reason.as_deref().unwrap_or("–")) }
                }
            }
        })
        .collect();
    let older = log.last().filter(|_| log.len() as u64 >= PAGE.unsigned_abs()).map(|last| last.id);
    let body = html! {
        h2 { "Releases and replays" }
        @if going_on.is_empty() {
            p class="dim" { "None in the last thirty days." }
        } @else {
            (layout::table("Releases and replays", &["Act", "State", "Done", "Of", "A second", "By", "Why", "Since"], &going_on))
        }
        h2 { "Audit log" }
        (layout::table("Audit log", &["At (UTC)", "Who", "Did", "Rows", "To what", "Why"], &rows))
        @if let Some(older) = older { p { a href={ "/ops/acts?before=" (older) } rel="next" { "Older ones" } } }
    };
    Ok(Page { title: "Acts", viewer: &viewer, body }.show(req, res))
}

fn paced_row(act: &PacedAct) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/ops/acts/" (act.id) } { (act.act) } }
            td { (act.state) }
            td { (format::count(act.done)) }
            td { (format::count(act.total)) }
            td { (act.per_second) }
            td { (act.actor) }
            td class="wrap" { (act.reason.as_deref().unwrap_or("–")) }
            td { (format::moment(act.started_at)) }
        }
    }
}

/// One act, or 404.
pub(super) async fn find(app: &App, id: Uuid) -> Result<PacedAct, ApiError> {
    paced::find(&mut *app.operator_conn().await?, id).await?.ok_or_else(|| ApiError::not_found("Act"))
}

/// The page of one act.
#[handler]
pub(super) async fn progress(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let act = find(&app, req.param::<Uuid>("id").ok_or_else(|| ApiError::not_found("Act"))?).await?;
    let fingerprint = act.filter.get("fingerprint").and_then(Value::as_str);
    let body = html! {
        div id="live" data-live={ "/ops/live?act=" (act.id) } { (state(&act, &viewer)) }
        h2 { "To what" }
        pre { code { (super::job::pretty(&act.filter)) } }
        @if let Some(fingerprint) = fingerprint { p { a href={ "/ops/dead/group?f=" (format::encoded(fingerprint)) } { "The group" } } }
    };
    Ok(Page { title: &format!("{} at a pace", act.act), viewer: &viewer, body }.show(req, res))
}

/// How far it is.
pub(super) fn state(act: &PacedAct, viewer: &Viewer) -> Markup {
    let handled = act.done + act.skipped;
    let left = (act.total - handled).max(0);
    html! {
        p class=(match act.state.as_str() { "done" => "good", "stopped" => "warn", _ => "" }) {
            strong { (act.state) } ": " (format::count(act.done)) " of " (format::count(act.total))
            @if act.skipped > 0 { ", " (format::count(act.skipped)) " left alone (the same work is queued already)" }
            @if let Some(note) = &act.note { "; " (note) }
            @if act.state == "running" { ", " (act.per_second) " a second, " (format::seconds(f64::from(i32::try_from(left).unwrap_or(i32::MAX)) / f64::from(act.per_second))) " left" }
        }
        progress max=(act.total.max(1)) value=(handled.min(act.total)) aria-label="Done" {}
        p class="dim" { "Begun " (format::moment(act.started_at)) " UTC by " (act.actor) @if let Some(reason) = &act.reason { ": " (reason) } }
        @if act.state == "running" && viewer.may_act() {
            form method="post" action={ "/ops/acts/" (act.id) } { (layout::form_fields(viewer)) button type="submit" class="danger" { "Stop" } }
        }
    }
}

/// Stops one.
#[handler]
pub(super) async fn stop(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    let id = req.param::<Uuid>("id").ok_or_else(|| ApiError::not_found("Act"))?;
    let form = Form::of_actor(req, &viewer).await?;
    find(&app, id).await?;
    let stopped = paced::stop(&app.operator, &viewer.actor(form.reason()), id).await?;
    form::go(res, &format!("/ops/acts/{id}"), if stopped { "Stopped." } else { "It was over already." });
    Ok(())
}
