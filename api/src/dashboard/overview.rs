//! The overview: what is wrong, every queue, ingest, processes, tenants and channels, as they are now.

use super::{
    format,
    gate::Viewer,
    health::{self, Complaint},
    layout::{self, Html, Page},
    pulse::{SILENT, Snapshot},
};
use crate::{ApiError, App};
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler};

/// Jobs of a process that are named.
const NAMED: usize = 4;

/// The page.
#[handler]
pub(super) async fn page(req: &mut Request, res: &mut Response, depot: &mut Depot, viewer: Viewer) -> Result<Html, ApiError> {
    let now = App::of(depot)?.pulse.read().await?;
    let body = html! { div id="live" data-live="/ops/live" { (fragment(&now)) } };
    Ok(Page { title: "Overview", viewer: &viewer, body }.show(req, res))
}

/// What is shown anew each second.
pub(super) fn fragment(now: &Snapshot) -> Markup {
    html! {
        p class="dim" { "At " time { (format::clock(now.at)) } " UTC" }
        (complaints(&health::complaints(now)))
        (totals(now))
        h2 { "Queues" }
        (queues(now))
        h2 id="processes" { "Processes" }
        (processes(now))
        h2 { "Tenants that wait longest" }
        (tenants(now))
        h2 { "Channels" }
        (channels(now))
    }
}

fn complaints(all: &[Complaint]) -> Markup {
    html! {
        @if all.is_empty() {
            p class="good" { "Nothing needs you: queues are served, webhooks are taken, no channel is in error." }
        } @else {
            ul class="complaints" {
                @for complaint in all {
                    li class=(if complaint.urgent { "bad" } else { "warn" }) {
                        strong { @if complaint.urgent { "Urgent: " } @else { "Look: " } }
                        (complaint.text) ". "
                        a href=(complaint.link) { "Show" } " · "
                        a href={ "/ops/runbook#" (complaint.runbook) } { "What to do" }
                    }
                }
            }
        }
    }
}

fn totals(now: &Snapshot) -> Markup {
    let sum = |pick: fn(&store::operator::overview::QueueNow) -> i64| now.queues.iter().map(pick).sum::<i64>();
    let ingest = now.lane("ingest");
    let out: f64 = now.queues.iter().map(|queue| now.out_per_second(&queue.queue)).sum();
    let dead: i64 = now.slow.groups.iter().map(|group| group.count).sum();
    let tile = |name: &str, value: String, more: String| {
        html! { div class="tile" { span class="dim" { (name) } strong { (value) } span class="dim" { (more) } } }
    };
    html! {
        div class="tiles" {
            (tile("Waiting", format::count(sum(|queue| queue.ready)), format!("{} later", format::count(sum(|queue| queue.delayed)))))
            (tile("Running", format::count(sum(|queue| queue.running)), format!("{} retrying", format::count(sum(|queue| queue.retrying)))))
            (tile("Jobs done", format!("{}/s", format::rate(out)), format!("in {}/s", format::rate(in_per_second(sum(|queue| queue.entered_10s))))))
            (tile("Dead letters", format::count(dead), format::many(now.slow.groups.len(), "kind of failure", "kinds of failure")))
            (tile("Webhooks", format!("{}/s", format::rate(now.out_per_second("ingest"))), format!("{} refused in a minute", ingest.failed)))
            (tile("Ack p99", format::maybe(ingest.wait.quantile(0.99)), format!("p50 {}", format::maybe(ingest.wait.quantile(0.5)))))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of ten seconds are far below 2^52")]
fn in_per_second(in_ten_seconds: i64) -> f64 {
    in_ten_seconds as f64 / 10.0
}

fn queues(now: &Snapshot) -> Markup {
    let headings = [
        "Queue",
        "Waiting",
        "Oldest",
        "Later",
        "Retrying",
        "Running",
        "Longest",
        "Dead",
        "In/s",
        "Out/s",
        "Empty in",
        "Wait p50 / p95 / p99",
        "Run p50 / p95 / p99",
        "Window",
        "Workers",
    ];
    let rows: Vec<Markup> = now
        .queues
        .iter()
        .map(|queue| {
            let lane = now.lane(&queue.queue);
            let about = if queue.estimated { "≈ " } else { "" };
            let paused = now.is_paused(&format!("queue:{}", queue.queue));
            let drained = match now.drained_in(queue) {
                Some(0.0) => "–".to_owned(),
                Some(seconds) => format::seconds(seconds),
                None => "not so".to_owned(),
            };
            let three = |histogram: &platform::figures::Histogram| match histogram.quantile(0.5) {
                Some(_) => [0.5, 0.95, 0.99].map(|q| format::maybe(histogram.quantile(q))).join(" / "),
                None => "–".to_owned(),
            };
            html! {
                tr {
                    th scope="row" {
                        a href={ "/ops/jobs?queue=" (queue.queue) } { (queue.queue) }
                        @if paused { " " span class="tag warn" { "paused" } }
                    }
                    td { (about) (format::count(queue.ready)) }
                    td class=[queue.oldest_s.is_some_and(|age| age > 30.0).then_some("bad")] { (format::maybe(queue.oldest_s)) }
                    td { (about) (format::count(queue.delayed)) }
                    td { (format::count(queue.retrying)) }
                    td { (format::count(queue.running)) }
                    td { (format::maybe(queue.longest_running_s)) }
                    td { (format::count(now.dead(&queue.queue))) }
                    td { (format::rate(in_per_second(queue.entered_10s))) }
                    td { (format::rate(now.out_per_second(&queue.queue))) }
                    td { (drained) }
                    td { (three(&lane.wait)) }
                    td { (three(&lane.run)) }
                    td { @if let Some((used, size)) = lane.window { (used) " of " (size) } @else { "–" } }
                    td { (now.workers_of(&queue.queue).count()) }
                }
            }
        })
        .collect();
    layout::table("Queues", &headings, &rows)
}

fn processes(now: &Snapshot) -> Markup {
    let rows: Vec<Markup> = now
        .processes
        .iter()
        .map(|process| {
            let silent = process.silent_s >= SILENT;
            let slots: Vec<String> = process.queues.iter().zip(&process.slots).map(|(queue, slots)| format!("{queue} {slots}")).collect();
            html! {
                tr {
                    th scope="row" { (process.name) }
                    td { (process.role) }
                    td { (process.version) }
                    td class=[silent.then_some("bad")] {
                        @if silent { "silent for " (format::seconds(process.silent_s)) } @else { (format::seconds(process.silent_s)) " ago" }
                        @if process.draining { " " span class="tag warn" { "draining" } }
                    }
                    td { (slots.join(", ")) }
                    td {
                        (process.running)
                        @for job in now.runs(process.worker).take(NAMED) {
                            " · " a href={ "/ops/jobs/" (job.id) } { (job.kind) } " " (format::seconds(job.running_s))
                        }
                    }
                }
            }
        })
        .collect();
    layout::table("Processes", &["Process", "Role", "Version", "Heard of", "At once", "Runs"], &rows)
}

fn tenants(now: &Snapshot) -> Markup {
    if now.slow.tenants.is_empty() {
        return html! { p class="dim" { "No tenant waits." } };
    }
    let rows: Vec<Markup> = now
        .slow
        .tenants
        .iter()
        .map(|waits| {
            let ready = if waits.ready >= 1_000 { "1 000 or more".to_owned() } else { format::count(waits.ready) };
            html! {
                tr {
                    th scope="row" {
                        a href={ "/ops/jobs?state=queued&tenant=" (waits.tenant_id) } { (waits.name.clone().unwrap_or_else(|| format::tenant(waits.tenant_id))) }
                        @if waits.paused { " " span class="tag warn" { "paused" } }
                    }
                    td { (format::tenant(waits.tenant_id)) }
                    td { (waits.queue) }
                    td { (ready) }
                    td { (format::seconds(waits.oldest_s)) }
                }
            }
        })
        .collect();
    layout::table("Tenants", &["Tenant", "Number", "Queue", "Waiting", "Oldest"], &rows)
}

fn channels(now: &Snapshot) -> Markup {
    if now.slow.channels.is_empty() {
        return html! { p class="dim" { "No channel is in error or paused, and nothing waits to be sent." } };
    }
    let rows: Vec<Markup> = now
        .slow
        .channels
        .iter()
        .map(|channel| {
            html! {
                tr {
                    th scope="row" { (channel.name.as_deref().unwrap_or("(no name)")) @if channel.paused { " " span class="tag warn" { "paused" } } }
                    td { (channel.kind) }
                    td { (channel.tenant) " (" (channel.tenant_id) ")" }
                    td class=[(channel.status == "ERROR").then_some("bad")] { (channel.status) }
                    td { (format::count(channel.waiting)) }
                    td { (format::maybe(channel.oldest_s)) }
                    td { (channel.error.as_deref().or(channel.last_error.as_deref()).unwrap_or("–")) }
                    td { a href={ "/ops/control?what=channel:" (channel.id) } { "Pause or resume" } }
                }
            }
        })
        .collect();
    layout::table("Channels", &["Channel", "Type", "Tenant", "Status", "Waiting", "Oldest", "Last answer", ""], &rows)
}
