//! A steady rate for a long time: does memory stay where it is, and is everything there at the end?

use super::storm::{describe, plan, send};
use crate::exactness;
use crate::lab::{APP_SECRET, Lab, LabArgs, Running, WEBHOOK_PATH, WEBHOOKS};
use crate::numbers::{float_of, rounded};
use crate::processes;
use crate::report::Report;
use crate::workload::{MadeOnDemand, Target, Workload};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[derive(clap::Args, Clone, Debug)]
pub struct Soak {
    #[arg(long, default_value_t = 300)]
    secs: u64,
    /// Webhooks a second
    #[arg(long, default_value_t = 3_000)]
    rate: u32,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two looks at the memory
    #[arg(long, default_value_t = 10)]
    sample_secs: u64,
}

/// Resident memory at one time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    secs: f64,
    api_mb: f64,
    worker_mb: f64,
}

pub async fn run(args: &LabArgs, soak: &Soak) -> Result<Report> {
    let workload = Workload::storm(soak.seed, usize::try_from(soak.secs * u64::from(soak.rate))?);
    let lab = Lab::prepare(args, &workload.phone_number_ids()).await?;
    lab.database.seed_outbound(&workload.outbound()).await?;
    let mut running = lab.start(WEBHOOKS).await?;
    let requests = MadeOnDemand { workload: workload.clone(), target: Target::new(running.address, WEBHOOK_PATH, APP_SECRET) };
    let load = send(plan(running.address, soak.connections, Some(f64::from(soak.rate)), 50), requests);
    let watched = lab.watched(&running).await?;

    let before = watched.cpu()?;
    let mut samples = Vec::new();
    let outcome = tokio::select! {
        outcome = load => outcome?,
        failed = keep_sampling(&mut running, Duration::from_secs(soak.sample_secs.max(1)), &mut samples) => return Err(failed),
    };
    let stored = exactness::wait_until_stored(&lab.database, &workload).await?;
    let after = watched.cpu()?;
    let memory = watched.memory()?;
    running.check_alive()?;
    let exact = exactness::check(&lab.database, &workload).await?;
    let report = Report {
        scenario: "soak",
        passed: exact.holds() && outcome.failed == 0,
        settings: json!({ "secs": soak.secs, "rate": soak.rate, "connections": soak.connections, "seed": soak.seed }),
        results: json!({
            "api_rss": growth(&samples, |sample| sample.api_mb),
            "worker_rss": growth(&samples, |sample| sample.worker_mb),
            "stored_after_last_ack_s": stored.map(|at| rounded(at.duration_since(outcome.started + outcome.elapsed).as_secs_f64(), 2)),
            "ack": describe(&outcome),
            "exactness": exact.describe(),
            "cpu_s_per_1000": processes::per_thousand(&before, &after, workload.webhooks),
            "memory_mb": memory,
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

/// Returns only when a process is gone.
async fn keep_sampling(running: &mut Running, every: Duration, samples: &mut Vec<Sample>) -> anyhow::Error {
    let started = Instant::now();
    loop {
        match sample(running, started) {
            Ok(sample) => samples.push(sample),
            Err(error) => return error,
        }
        tokio::time::sleep(every).await;
    }
}

fn sample(running: &mut Running, started: Instant) -> Result<Sample> {
    running.check_alive()?;
    let api = running.api.as_ref().context("this scenario runs the api")?;
    Ok(Sample {
        secs: started.elapsed().as_secs_f64(),
        api_mb: processes::rss_of(api.pid())?,
        worker_mb: processes::rss_of(running.worker.pid())?,
    })
}

/// The mean of the last minute against that of an early one: the fifth, or in runs below ten minutes the second.
fn growth(samples: &[Sample], of: fn(&Sample) -> f64) -> Value {
    let end = samples.last().map_or(0.0, |sample| sample.secs);
    let early = if end >= 600.0 { 240.0..300.0 } else { 60.0..120.0 };
    let mean = |range: std::ops::Range<f64>| {
        let inside: Vec<f64> = samples.iter().filter(|sample| range.contains(&sample.secs)).map(of).collect();
        (!inside.is_empty()).then(|| inside.iter().sum::<f64>() / float_of(inside.len()))
    };
    let last = mean(end - 60.0..end + 1.0);
    let first = mean(early.clone()).filter(|_| end >= early.end + 60.0);
    let points: Vec<(f64, f64)> = samples.iter().filter(|sample| sample.secs >= 60.0).map(|sample| (sample.secs, of(sample))).collect();
    json!({
        "last_minute_mb": last.map(|mb| rounded(mb, 1)),
        "early_minute_mb": first.map(|mb| rounded(mb, 1)),
        "ratio": last.zip(first).map(|(last, first)| rounded(last / first, 3)),
        "mb_per_hour": slope(&points).map(|per_second| rounded(per_second * 3600.0, 1)),
    })
}

/// Least squares; `None` for fewer than two points.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = float_of(points.len());
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / count, sum.1 + point.1 / count));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    (points.len() > 1 && spread > 0.0).then(|| points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rising(end: u32, per_sample: f64) -> Vec<Sample> {
        let mb = |n: u32| 100.0 + f64::from(n) * per_sample;
        (0..=end / 10).map(|n| Sample { secs: f64::from(n * 10), api_mb: mb(n), worker_mb: 50.0 }).collect()
    }

    #[test]
    fn memory_that_stays_has_ratio_one_and_no_slope() {
        let steady = growth(&rising(300, 1.0), |sample| sample.worker_mb);
        assert_eq!((steady["ratio"].as_f64(), steady["mb_per_hour"].as_f64()), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn memory_that_grows_shows_in_ratio_and_slope() {
        let growing = growth(&rising(300, 1.0), |sample| sample.api_mb);
        assert_eq!(growing["mb_per_hour"].as_f64(), Some(360.0));
        assert!(growing["ratio"].as_f64().unwrap() > 1.1);
    }

    #[test]
    fn a_run_too_short_for_an_early_minute_has_no_ratio() {
        assert!(growth(&rising(100, 1.0), |sample| sample.api_mb)["ratio"].is_null());
    }
}
