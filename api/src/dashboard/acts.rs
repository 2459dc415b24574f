//! What operators did and do: acts that go on for a while, and the audit log.

use super::{
    form::{self, Form},
    format,
    gate::Viewer,
    layout::{self, Html, Page},
    webhooks,
};
use crate::{ApiError, App};
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler};
use serde_json::Value;
use store::operator::{
    groups,
    paced::{self, PacedAct},
    sessions::{self, OperatorAct},
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
                    td { (rows_of(act)) }
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

/// A count that was taken up to `most`.
pub(super) fn counted(count: i64, most: i64) -> String {
    if count >= most { format!("{} or more", format::count(most)) } else { format::count(count) }
}

/// Up to where what an act is about was counted.
fn most(act: &str) -> i64 {
    if act == "replay" { webhooks::COUNTED } else { groups::COUNTED }
}

fn rows_of(act: &OperatorAct) -> String {
    match act.subject.get("act").and_then(Value::as_str).filter(|_| act.act == "paced.begin") {
        Some(begun) => counted(act.affected, most(begun)),
        None => format::count(act.affected),
    }
}

fn paced_row(act: &PacedAct) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/ops/acts/" (act.id) } { (act.act) } }
            td { (act.state) }
            td { (format::count(act.done)) }
            td { (counted(act.total, most(&act.act))) }
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
    let (handled, most) = (act.done + act.skipped, most(&act.act));
    // Where not all were counted, nobody knows how many are left.
    let left = (act.total < most).then(|| (act.total - handled).max(0));
    let share = (left.is_some() || act.state == "done").then_some(handled.min(act.total));
    html! {
        p class=(match act.state.as_str() { "done" => "good", "stopped" => "warn", _ => "" }) {
            strong { (act.state) } ": " (format::count(act.done)) " of " (counted(act.total, most))
            @if act.skipped > 0 { ", " (format::count(act.skipped)) " left alone (the same work is queued already)" }
            @if let Some(note) = &act.note { "; " (note) }
            @if act.state == "running" { ", " (act.per_second) " a second" }
            @if let Some(left) = left.filter(|_| act.state == "running") { ", " (format::seconds(f64::from(i32::try_from(left).unwrap_or(i32::MAX)) / f64::from(act.per_second))) " left" }
        }
        @if share.is_some() || act.state == "running" { progress max=(act.total.max(1)) value=[share] aria-label="Done" {} }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_at_its_cap_says_so() {
        assert_eq!([0, 999, 1_000].map(|count| counted(count, 1_000)), ["0", "999", "1 000 or more"]);
        assert!(most("replay") == webhooks::COUNTED && most("retry") == groups::COUNTED && most("discard") == groups::COUNTED);
    }
}
