//! How it was: charts over any span, and every queue as it stood at a moment that a slider chooses.

use super::{
    chart::{Line, chart},
    format,
    gate::Viewer,
    jobs::{time, too_much},
    layout::{self, Html, Page},
};
use crate::{ApiError, App, request::Query};
use chrono::{DateTime, TimeDelta, Utc};
use jobs::queue;
use maud::{Markup, html};
use salvo::{Depot, Request, Response, Writer, handler, oapi::ToParameters};
use serde::Deserialize;
use serde_json::Value;
use store::operator::{
    reading,
    samples::{self, ErrorTrend, Sample},
};

/// Points of a chart.
const POINTS: i64 = 90;
/// How many minutes of failures are compared with as many before.
const ERROR_MINUTES: i32 = 15;
const ERRORS: i64 = 12;
/// What a chart can span, in minutes.
const SPANS: [(&str, i64); 5] = [("1h", 60), ("6h", 360), ("1d", 1_440), ("7d", 10_080), ("30d", 43_200)];
const LONGEST: i64 = 43_200;

/// Which queue, and when.
#[derive(Clone, Debug, Default, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct HistoryQuery {
    /// A queue, or `ingest`: webhooks.
    pub queue: Option<String>,
    /// `1h 6h 1d 7d 30d`: how long before `to` the charts begin.
    pub span: Option<String>,
    /// Where they end; now, if it is left out.
    pub to: Option<String>,
    /// The moment at which all queues are shown; the end, if it is left out.
    pub at: Option<String>,
    /// The same by the slider: 0 (the beginning) to 90 (the end).
    pub point: Option<i64>,
}

/// What there is to show.
#[derive(Debug)]
pub(super) struct History {
    pub queue: &'static str,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub minutes: i64,
    pub step_minutes: i64,
    pub series: Vec<Sample>,
    pub at: DateTime<Utc>,
    pub moment: Vec<Sample>,
    pub errors: Vec<ErrorTrend>,
}

/// Reads it.
pub(super) async fn read(app: &App, query: &HistoryQuery) -> Result<History, ApiError> {
    let queue = match query.queue.as_deref() {
        None => queue::WEBHOOKS.name,
        Some("ingest") => "ingest",
        Some(name) => queue::find(name).map(|queue| queue.name).ok_or_else(|| ApiError::invalid_field("queue", "is not a queue"))?,
    };
    let minutes = match query.span.as_deref() {
        None => 60,
        Some(span) => {
            let known = SPANS.iter().find(|(name, _)| *name == span).map(|(_, minutes)| *minutes);
            known.ok_or_else(|| ApiError::invalid_field("span", "must be 1h, 6h, 1d, 7d or 30d"))?
        }
    };
    let to = time("to", query.to.as_deref())?.unwrap_or_else(|| app.clock.now());
    let from = to - TimeDelta::minutes(minutes.min(LONGEST));
    let at = match (time("at", query.at.as_deref())?, query.point) {
        (Some(at), _) => at,
        (None, Some(point)) => from + (to - from) * i32::try_from(point.clamp(0, POINTS)).unwrap_or(0) / i32::try_from(POINTS).unwrap_or(1),
        (None, None) => to,
    };
    // Old samples are of ten minutes.
    let step_minutes = (minutes / POINTS).max(1).max(if to - from > TimeDelta::days(1) { 10 } else { 1 });
    let mut tx = reading(&app.operator).await?;
    let series = samples::series(&mut tx, queue, (from, to), i32::try_from(step_minutes).unwrap_or(10)).await.map_err(too_much)?;
    let moment = samples::at(&mut tx, at).await.map_err(too_much)?;
    let errors = samples::errors(&mut tx, at, ERROR_MINUTES, ERRORS).await.map_err(too_much)?;
    Ok(History { queue, from, to, minutes, step_minutes, series, at, moment, errors })
}

/// The page.
#[handler]
pub(super) async fn page(
    req: &mut Request,
    res: &mut Response,
    depot: &mut Depot,
    viewer: Viewer,
    query: Query<HistoryQuery>,
) -> Result<Html, ApiError> {
    let app = App::of(depot)?;
    let Query(query) = query;
    let history = read(&app, &query).await?;
    let body = html! {
        (choices(&history, query.to.as_deref()))
        (charts(&history))
        (slider(&history, query.to.as_deref()))
        (moment(&history))
        h2 { "Failures" }
        (errors(&history))
    };
    Ok(Page { title: "History", viewer: &viewer, body }.show(req, res))
}

fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once("ingest").chain(queue::ALL.iter().map(|queue| queue.name))
}

fn span_name(minutes: i64) -> &'static str {
    SPANS.iter().find(|(_, known)| *known == minutes).map_or("1h", |(name, _)| name)
}

fn choices(history: &History, to: Option<&str>) -> Markup {
    html! {
        form method="get" action="/ops/history" class="filters" data-auto="" {
            label { "Queue" select name="queue" { @for name in names() { option value=(name) selected[name == history.queue] { (name) } } } }
            label { "Span" select name="span" { @for (name, minutes) in SPANS { option value=(name) selected[minutes == history.minutes] { (name) } } } }
            label { "Until (UTC, empty: now)" input name="to" type="datetime-local" value=(to.unwrap_or_default()); }
            button type="submit" { "Show" }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of minutes are far below 2^52")]
fn charts(history: &History) -> Markup {
    let step = TimeDelta::minutes(history.step_minutes);
    // Samples lie on whole steps since the epoch.
    let whole_steps = history.from.timestamp() / step.num_seconds().max(1) * step.num_seconds();
    let first = DateTime::from_timestamp(whole_steps, 0).unwrap_or(history.from);
    let mut moments = Vec::new();
    let mut at = first;
    while at < history.to && moments.len() < 400 {
        moments.push(at);
        at += step;
    }
    let line = |name, pick: &dyn Fn(&Sample) -> Option<f64>| Line {
        name,
        values: moments.iter().map(|at| history.series.iter().find(|sample| sample.at == *at).and_then(pick)).collect(),
    };
    let per_second = |count: i64, sample: &Sample| Some(count as f64 / (sample.minutes.max(1) as f64 * 60.0));
    let whole = |value: f64| format!("{value:.0}");
    if history.series.is_empty() {
        return html! { p class="dim" { "There are no samples of this time: one is kept each minute while a worker leads." } };
    }
    let is_ingest = history.queue == "ingest";
    html! {
        div class="charts" {
            (chart(if is_ingest { "Webhooks per second" } else { "Jobs per second" }, &moments, &[
                line("in", &|sample| per_second(sample.entered, sample)),
                line("done", &|sample| per_second(sample.done, sample)),
                line("failed", &|sample| per_second(sample.failed, sample)),
            ], format::rate))
            (chart(if is_ingest { "Time to the 200" } else { "Wait" }, &moments, &[
                line("p50", &|sample| sample.wait_p50.map(f64::from)),
                line("p95", &|sample| sample.wait_p95.map(f64::from)),
                line("p99", &|sample| sample.wait_p99.map(f64::from)),
            ], format::seconds))
            @if !is_ingest {
                (chart("Waiting", &moments, &[
                    line("ready", &|sample| Some(sample.ready as f64)),
                    line("later", &|sample| Some(sample.delayed as f64)),
                    line("dead", &|sample| Some(sample.dead as f64)),
                ], whole))
                (chart("Run", &moments, &[
                    line("p50", &|sample| sample.run_p50.map(f64::from)),
                    line("p95", &|sample| sample.run_p95.map(f64::from)),
                    line("p99", &|sample| sample.run_p99.map(f64::from)),
                ], format::seconds))
            }
        }
    }
}

fn slider(history: &History, to: Option<&str>) -> Markup {
    let span = (history.to - history.from).num_seconds().max(1);
    let point = ((history.at - history.from).num_seconds() * POINTS / span).clamp(0, POINTS);
    html! {
        h2 { "At " time { (format::moment(history.at)) } " UTC" }
        form method="get" action="/ops/history" data-auto="" class="slider" {
            input type="hidden" name="queue" value=(history.queue);
            input type="hidden" name="span" value=(span_name(history.minutes));
            // The end stays where it was while the slider moves.
            input type="hidden" name="to" value=(to.map_or_else(|| history.to.format("%Y-%m-%dT%H:%M").to_string(), str::to_owned));
            label { "Moment" input type="range" name="point" min="0" max=(POINTS) value=(point); }
            button type="submit" { "Look" }
        }
        form method="get" action="/ops/history" class="filters" {
            input type="hidden" name="queue" value=(history.queue);
            input type="hidden" name="span" value=(span_name(history.minutes));
            input type="hidden" name="to" value=(to.unwrap_or_default());
            label { "Or exactly (UTC)" input type="datetime-local" name="at" value=(history.at.format("%Y-%m-%dT%H:%M").to_string()); }
            button type="submit" { "Look" }
        }
    }
}

fn moment(history: &History) -> Markup {
    if history.moment.is_empty() {
        return html! { p class="dim" { "There is no sample of that moment." } };
    }
    let rows: Vec<Markup> = history
        .moment
        .iter()
        .map(|sample| {
            let stuck = sample.stuck.as_array().cloned().unwrap_or_default();
            let p99 = |value: Option<f32>| format::maybe(value.map(f64::from));
            html! {
                tr {
                    th scope="row" { (sample.queue) @if sample.paused { " " span class="tag warn" { "paused" } } }
                    td { (format::count(sample.ready)) }
                    td class=[(sample.oldest_seconds > 30.0).then_some("bad")] { (format::maybe(Some(sample.oldest_seconds).filter(|age| *age > 0.0))) }
                    td { (format::count(sample.delayed)) }
                    td { (format::count(sample.running)) }
                    td { (format::count(sample.dead)) }
                    td { (format::count(sample.entered)) }
                    td { (format::count(sample.done)) }
                    td class=[(sample.failed > 0).then_some("bad")] { (format::count(sample.failed)) }
                    td { (p99(sample.wait_p99)) }
                    td { (p99(sample.run_p99)) }
                    td { (sample.workers) }
                    td { @for job in &stuck { (stuck_job(job)) " " } }
                }
            }
        })
        .collect();
    let headings =
        ["Queue", "Waiting", "Oldest", "Later", "Running", "Dead", "In", "Done", "Failed", "Wait p99", "Run p99", "Workers", "Ran longest"];
    layout::table("Queues at that moment", &headings, &rows)
}

fn stuck_job(job: &Value) -> Markup {
    let id = job["id"].as_str().unwrap_or_default();
    html! { a href={ "/ops/jobs/" (id) } { (job["kind"].as_str().unwrap_or_default()) " " (format::seconds(job["seconds"].as_f64().unwrap_or(0.0))) } }
}

fn errors(history: &History) -> Markup {
    if history.errors.is_empty() {
        return html! { p class="dim" { "Nothing failed in the half hour before." } };
    }
    let rows: Vec<Markup> = history
        .errors
        .iter()
        .map(|trend| {
            let rose = trend.now > trend.before;
            html! {
                tr {
                    th scope="row" { (trend.fingerprint) }
                    td class=[rose.then_some("bad")] { (format::count(trend.now)) @if rose { " ↑" } }
                    td { (format::count(trend.before)) }
                }
            }
        })
        .collect();
    layout::table("Failures", &["Queue and class", "In 15 minutes before", "In the 15 before those"], &rows)
}
