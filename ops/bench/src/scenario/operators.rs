//! Operators who look, beside a load: how long each page takes, and what watching costs.

use super::storm::{describe, plan, send};
use crate::exactness;
use crate::http::HttpConnection;
use crate::lab::{ADMIN_TOKEN, APP_SECRET, Lab, LabArgs, Running, WEBHOOK_PATH, WEBHOOKS};
use crate::load::quantiles;
use crate::numbers::rounded;
use crate::processes::CpuSecs;
use crate::report::Report;
use crate::workload::{MadeOnDemand, Target, Workload};
use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SEED: &str = include_str!("../../sql/seed_operators.sql");
/// So many are sampled: the queues, and ingest.
const QUEUES: f64 = 8.0;
/// A page may take so long, in milliseconds, at the 95th percentile.
const GOAL_MS: f64 = 200.0;

#[derive(clap::Args, Clone, Debug)]
pub struct Operators {
    /// Operators, each with the overview open and another page once a second
    #[arg(long = "operators", default_value_t = 10)]
    people: usize,
    #[arg(long, default_value_t = 1_000_000)]
    queued: usize,
    #[arg(long, default_value_t = 100_000)]
    dead: usize,
    #[arg(long, default_value_t = 3_000_000)]
    done: usize,
    /// Webhooks a second
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Seconds without operators, and as many with
    #[arg(long, default_value_t = 30)]
    secs: u64,
}

type Times = BTreeMap<&'static str, Histogram<u64>>;

pub async fn run(args: &LabArgs, operators: &Operators) -> Result<Report> {
    let phases = 3;
    let workload = Workload::storm(1, usize::try_from(operators.secs * phases * u64::from(operators.rate))?);
    let lab = Lab::prepare(args, &workload.phone_number_ids()).await?;
    lab.database.seed_outbound(&workload.outbound()).await?;
    eprintln!("seeding {} jobs that wait, {} dead, {} done", operators.queued, operators.dead, operators.done);
    let sql = SEED
        .replace("{queued}", &operators.queued.to_string())
        .replace("{dead}", &operators.dead.to_string())
        .replace("{done}", &operators.done.to_string());
    lab.database.client.batch_execute(&sql).await.context("seeding")?;
    // The rows are a day's: autovacuum would have seen them long ago.
    for table in ["jobs", "jobs_dead", "jobs_done", "queue_samples"] {
        lab.database.client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).await.context("vacuuming what was seeded")?;
    }
    let mut running = lab.start(WEBHOOKS).await?;
    let requests = MadeOnDemand { workload: workload.clone(), target: Target::new(running.address, WEBHOOK_PATH, APP_SECRET) };
    let load = tokio::spawn(send(plan(running.address, 32, Some(f64::from(operators.rate)), 50), requests));
    let watched = lab.watched(&running).await?;
    let phase = Duration::from_secs(operators.secs);

    // Without anybody; with overviews that are only open; with operators who go from page to page as well.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut cpu = vec![watched.cpu()?];
    tokio::time::sleep(phase.saturating_sub(Duration::from_secs(2))).await;
    cpu.push(watched.cpu()?);
    let cookie = sign_in(running.address).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let streams: Vec<_> = (0..operators.people).map(|_| watch(running.address, cookie.clone(), stop.clone())).collect();
    tokio::time::sleep(phase).await;
    cpu.push(watched.cpu()?);
    let pages = pages(&lab).await?;
    let until = Instant::now() + phase.saturating_sub(Duration::from_secs(2));
    let looking: Vec<_> = (0..operators.people).map(|number| look(running.address, cookie.clone(), pages.clone(), number, until)).collect();
    let mut times = Times::new();
    for looker in looking {
        for (page, histogram) in looker.await?? {
            match times.get_mut(page) {
                Some(sum) => sum.add(&histogram)?,
                None => drop(times.insert(page, histogram)),
            }
        }
    }
    cpu.push(watched.cpu()?);
    stop.store(true, Ordering::Relaxed);
    let mut parts = 0;
    for stream in streams {
        parts += stream.await??;
    }
    let outcome = load.await??;
    exactness::wait_until_stored(&lab.database, &workload).await?;
    running.check_alive()?;
    let exact = exactness::check(&lab.database, &workload).await?;
    let slowest = times.values().map(|histogram| milliseconds(histogram.value_at_quantile(0.95))).fold(0.0, f64::max);
    let report = Report {
        scenario: "operators",
        passed: exact.holds() && outcome.failed == 0 && slowest < GOAL_MS && parts > 0,
        settings: json!({ "operators": operators.people, "queued": operators.queued, "dead": operators.dead, "done": operators.done,
            "rate": operators.rate, "secs": operators.secs }),
        results: json!({
            "pages_ms": times.iter().map(|(page, histogram)| ((*page).to_owned(), quantiles(histogram))).collect::<Map<_, _>>(),
            "slowest_p95_ms": rounded(slowest, 1),
            "live_parts": parts,
            "cpu_s_per_s": {
                "load": per_second(&cpu, 0, phase.as_secs_f64() - 2.0),
                "load_and_open_overviews": per_second(&cpu, 1, phase.as_secs_f64()),
                "load_and_operators": per_second(&cpu, 2, phase.as_secs_f64() - 2.0),
            },
            "sampling_ms": sampling(&running)?,
            "ack": describe(&outcome),
            "exactness": exact.describe(),
            "memory_mb": watched.memory()?,
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a page")]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn per_second(cpu: &[CpuSecs], phase: usize, secs: f64) -> Value {
    let (Some(before), Some(after)) = (cpu.get(phase), cpu.get(phase + 1)) else { return Value::Null };
    let used =
        before.iter().zip(after).map(|((name, earlier), (_, later))| ((*name).to_owned(), json!(rounded((later - earlier) / secs, 3))));
    used.collect::<Map<_, _>>().into()
}

async fn sign_in(address: SocketAddr) -> Result<String> {
    let body = format!("secret={ADMIN_TOKEN}");
    let request = format!(
        "POST /ops/sign-in HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || -> Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    let answer = answer.await??;
    let cookie = answer
        .lines()
        .find_map(|line| line.to_ascii_lowercase().starts_with("set-cookie: switchboard_ops=").then(|| line.split_once(": ")));
    let (_, cookie) = cookie.flatten().with_context(|| format!("no session: {answer}"))?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

/// Keeps the overview's events open. Returns how many parts came.
fn watch(address: SocketAddr, cookie: String, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<Result<usize>> {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET /ops/live HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n").as_bytes())?;
        let (mut parts, mut chunk) = (0, vec![0; 65_536]);
        while !stop.load(Ordering::Relaxed) {
            let count = stream.read(&mut chunk).context("reading events")?;
            ensure!(count > 0, "the events ended");
            parts += chunk.get(..count).unwrap_or_default().windows(11).filter(|bytes| *bytes == b"event: part").count();
        }
        Ok(parts)
    })
}

/// The pages, with an id of each kind that there is.
async fn pages(lab: &Lab) -> Result<Vec<(&'static str, String)>> {
    let text = async |sql: &str| -> Result<String> { Ok(lab.database.client.query_one(sql, &[]).await?.try_get(0)?) };
    let dead = text("SELECT id::text FROM jobs_dead ORDER BY id DESC OFFSET 1000 LIMIT 1").await?;
    let webhook = text("SELECT id::text FROM raw_webhook_events ORDER BY received_on DESC, id DESC OFFSET 100 LIMIT 1").await?;
    let message =
        text("SELECT id::text FROM chat_messages WHERE direction = 'inbound' ORDER BY tenant_id, id DESC OFFSET 100 LIMIT 1").await?;
    let phone = text("SELECT phone_number FROM customers WHERE phone_number IS NOT NULL ORDER BY tenant_id, id LIMIT 1").await?;
    let external =
        text("SELECT external_id FROM chat_messages WHERE direction = 'inbound' ORDER BY tenant_id, id DESC OFFSET 200 LIMIT 1").await?;
    Ok(vec![
        ("overview", "/ops".to_owned()),
        ("history, an hour", "/ops/history?queue=webhooks&span=1h".to_owned()),
        ("history, thirty days", "/ops/history?queue=webhooks&span=30d&point=40".to_owned()),
        ("jobs", "/ops/jobs".to_owned()),
        ("jobs of a queue", "/ops/jobs?queue=outbound&state=done".to_owned()),
        ("jobs by error", "/ops/jobs?state=dead&error=job+77777".to_owned()),
        ("jobs of a tenant", "/ops/jobs?tenant=7&state=queued".to_owned()),
        ("jobs of a customer", format!("/ops/jobs?person={}", phone.replace('+', "%2B"))),
        ("job", format!("/ops/jobs/{dead}")),
        ("dead letters", "/ops/dead".to_owned()),
        ("group", "/ops/dead/group?f=send_outbound%3Aclass_3".to_owned()),
        ("pauses", "/ops/control".to_owned()),
        ("journey by message", format!("/ops/journey?q={message}")),
        ("journey by number", format!("/ops/journey?q={}", phone.replace('+', "%2B"))),
        ("journey by provider's id", format!("/ops/journey?q={}", external.replace('=', "%3D"))),
        ("webhooks", "/ops/webhooks".to_owned()),
        ("webhooks that hold a text", "/ops/webhooks?text=no+webhook+says+this".to_owned()),
        ("webhook", format!("/ops/webhooks/{webhook}")),
        ("replay, tried", format!("/ops/webhooks/replay?id={webhook}")),
        ("acts", "/ops/acts".to_owned()),
        ("runbook", "/ops/runbook".to_owned()),
    ])
}

/// One page a second, all in turn.
fn look(
    address: SocketAddr,
    cookie: String,
    pages: Vec<(&'static str, String)>,
    number: usize,
    until: Instant,
) -> tokio::task::JoinHandle<Result<Times>> {
    tokio::task::spawn_blocking(move || {
        let mut times = Times::new();
        let mut http = HttpConnection::open(address)?;
        for (page, path) in pages.iter().cycle().skip(number * 2) {
            let started = Instant::now();
            if started > until {
                break;
            }
            let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n");
            let (status, _) = http.ask(request.as_bytes()).with_context(|| format!("{page}: {path}"))?;
            ensure!(status == 200, "{page} answered {status}: {path}");
            let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            let histogram = match times.entry(page) {
                std::collections::btree_map::Entry::Vacant(place) => place.insert(Histogram::new(3)?),
                std::collections::btree_map::Entry::Occupied(place) => place.into_mut(),
            };
            histogram.record(took)?;
            std::thread::sleep(Duration::from_secs(1).saturating_sub(started.elapsed()));
        }
        Ok(times)
    })
}

/// What the samples of all queues took since the worker began to lead, each from asking to kept, in milliseconds.
fn sampling(running: &Running) -> Result<Value> {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", running.worker_metrics);
    let (status, text) = HttpConnection::open(running.worker_metrics)?.ask(request.as_bytes())?;
    ensure!(status == 200, "the worker's metrics were answered {status}");
    let text = String::from_utf8(text)?;
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok()).unwrap_or(0.0);
    let (samples, seconds) = (value("switchboard_sampling_seconds_count"), value("switchboard_sampling_seconds_sum"));
    let each = if samples > 0.0 { seconds * 1000.0 / samples } else { 0.0 };
    Ok(json!({ "samples": samples, "all_queues": rounded(each, 2), "per_queue": rounded(each / QUEUES, 2) }))
}
