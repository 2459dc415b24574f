//! One webhook at a time on an otherwise idle system: how long until the 200, and until the message is stored.

use crate::http::HttpConnection;
use crate::lab::{APP_SECRET, Lab, LabArgs, WEBHOOK_PATH, WEBHOOKS};
use crate::load;
use crate::numbers::microseconds;
use crate::report::Report;
use crate::stored::{Stored, StoredWatch};
use crate::workload::{Target, Workload};
use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use std::time::{Duration, Instant};

/// Connections, caches and partitions are touched for the first time; not counted.
const WARM_UP: usize = 20;

#[derive(clap::Args, Clone, Debug)]
pub struct Idle {
    /// Webhooks to measure
    #[arg(long, default_value_t = 300)]
    n: usize,
    /// Milliseconds of quiet before each
    #[arg(long, default_value_t = 20)]
    pause_ms: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub async fn run(args: &LabArgs, idle: &Idle) -> Result<Report> {
    let workload = Workload::texts(idle.seed, WARM_UP + idle.n, 0);
    let numbers = workload.phone_number_ids();
    let lab = Lab::prepare(args, &numbers).await?;
    let mut running = lab.start(WEBHOOKS).await?;
    let channel = lab.database.channel(numbers.first().map_or("", String::as_str)).await?;
    let target = Target::new(running.address, WEBHOOK_PATH, APP_SECRET);
    let config = lab.database.config()?;
    let pause = Duration::from_millis(idle.pause_ms);

    let (acks, stored) = tokio::task::spawn_blocking(move || {
        let mut connection = HttpConnection::open(target.address)?;
        let warm = StoredWatch::start(config.clone(), channel)?;
        one_by_one(&mut connection, &target, &workload, 0..WARM_UP, pause, warm)?;
        let watch = StoredWatch::start(config, channel)?;
        one_by_one(&mut connection, &target, &workload, WARM_UP..workload.webhooks, pause, watch)
    })
    .await??;

    running.check_alive()?;
    let report = Report {
        scenario: "idle",
        passed: stored.lost == 0,
        settings: json!({ "n": idle.n, "pause_ms": idle.pause_ms, "seed": idle.seed }),
        results: json!({ "ack_ms": load::quantiles(&acks), "stored_ms": load::quantiles(&stored.latency), "lost": stored.lost }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

fn one_by_one(
    connection: &mut HttpConnection,
    target: &Target,
    workload: &Workload,
    range: std::ops::Range<usize>,
    pause: Duration,
    watch: StoredWatch,
) -> Result<(Histogram<u64>, Stored)> {
    let mut acks = load::latencies()?;
    let (mut body, mut request) = (Vec::new(), Vec::new());
    for index in range {
        body.clear();
        request.clear();
        workload.write_body(index, &mut body)?;
        target.write_request(&body, &mut request);
        std::thread::sleep(pause);
        let sent = Instant::now();
        watch.expect(workload.inbound_id(index), sent)?;
        let status = connection.send(&request)?;
        ensure!(status == 200, "webhook {index} was answered with {status}");
        acks.saturating_record(microseconds(sent.elapsed()));
        watch.next()?;
    }
    Ok((acks, watch.finish()?))
}
