//! The operators' pages at `/ops`, and the same as JSON at `/api/ops`. Pages are written on the server and work without JavaScript; with it, what moves is
//! shown as it moves.

mod acts;
mod api;
mod assets;
mod chart;
mod control;
mod dead;
mod form;
mod format;
mod gate;
mod health;
mod history;
mod job;
mod jobs;
mod journey;
mod layout;
mod live;
mod overview;
mod pulse;
mod runbook;
mod session;
mod telling;
mod timeline;
mod webhooks;

pub(crate) use api::CONTRACT;
pub(crate) use layout::error_page;
pub(crate) use pulse::Pulse;
pub(crate) use telling::tell;

use crate::App;
use gate::PageGate;
use salvo::{Router, affix_state, timeout::Timeout};
use salvo_compression::{Compression, CompressionLevel};
use std::time::Duration;

/// A page is worth no longer wait.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The pages.
pub(crate) fn pages(app: &App) -> Router {
    let path = Router::with_path;
    let signed_in = Router::new()
        .hoop(PageGate)
        .push(Router::new().get(overview::page))
        .push(path("sign-out").post(session::sign_out))
        .push(path("history").get(history::page))
        .push(path("jobs").get(jobs::list_page))
        .push(path("jobs/{id}").get(job::detail).post(job::post))
        .push(path("dead").get(dead::list_page))
        .push(path("dead/group").get(dead::group_page).post(dead::post))
        .push(path("control").get(control::page).post(control::post))
        .push(path("pauses").get(control::to_page))
        .push(path("journey").get(journey::page))
        .push(path("webhooks").get(webhooks::list_page))
        .push(path("webhooks/replay").get(webhooks::plan).post(webhooks::replay))
        .push(path("webhooks/{id}").get(webhooks::detail))
        .push(path("acts").get(acts::page))
        .push(path("acts/{id}").get(acts::progress).post(acts::stop))
        .push(path("runbook").get(runbook::page));
    let pages = Router::new()
        .hoop(Timeout::new(TIME_LIMIT))
        .hoop(Compression::new().disable_all().enable_gzip(CompressionLevel::Fastest).min_length(1024))
        .push(path("sign-in").get(session::sign_in_form).post(session::sign_in))
        .push(assets::routes())
        .push(signed_in);
    let live = path("live").hoop(PageGate).get(live::watch);
    path("ops").hoop(affix_state::inject(app.clone())).hoop(layout::Headers).push(live).push(pages)
}
