//! Many signed webhooks at once: how many are accepted a second, how soon all are stored, at what cost, and whether
//! exactly what was sent is there afterwards.

use crate::lab::{APP_SECRET, Lab, LabArgs, WEBHOOK_PATH, WEBHOOKS};
use crate::load::{self, Outcome, Plan};
use crate::numbers::{per_second, rounded};
use crate::report::Report;
use crate::workload::{MadeReady, Requests, Target, Workload};
use crate::{exactness, processes};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(clap::Args, Clone, Debug)]
pub struct Storm {
    /// Webhooks to send
    #[arg(long, default_value_t = 50_000)]
    n: usize,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Webhooks a second (open loop); without it: as fast as answers come
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often a refused webhook is sent, as a provider would
    #[arg(long, default_value_t = 10)]
    attempts: u32,
}

pub async fn run(args: &LabArgs, storm: &Storm) -> Result<Report> {
    let workload = Workload::storm(storm.seed, storm.n);
    let lab = Lab::prepare(args, &workload.phone_number_ids()).await?;
    lab.database.seed_outbound(&workload.outbound()).await?;
    let mut running = lab.start(WEBHOOKS).await?;
    let requests = MadeReady::new(&workload, &Target::new(running.address, WEBHOOK_PATH, APP_SECRET))?;
    let plan = plan(running.address, storm.connections, storm.rate, storm.attempts);
    let watched = lab.watched(&running).await?;

    let before = watched.cpu()?;
    let outcome = send(plan, requests).await?;
    let stored = exactness::wait_until_stored(&lab.database, &workload).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = watched.cpu()?;
    let memory = watched.memory()?;

    running.check_alive()?;
    let exact = exactness::check(&lab.database, &workload).await?;
    let end_to_end = stored.map(|at| at.duration_since(outcome.started));
    let report = Report {
        scenario: "storm",
        passed: exact.holds() && outcome.failed == 0,
        settings: json!({ "n": storm.n, "connections": storm.connections, "rate": storm.rate, "seed": storm.seed }),
        results: json!({
            "accepted_per_s": per_second(outcome.accepted, outcome.elapsed),
            "webhooks_per_s": end_to_end.map(|elapsed| per_second(storm.n, elapsed)),
            "end_to_end_s": end_to_end.map(|elapsed| rounded(elapsed.as_secs_f64(), 3)),
            "ack": describe(&outcome),
            "exactness": exact.describe(),
            "cpu_s_per_1000": processes::per_thousand(&before, &after, storm.n),
            "memory_mb": memory,
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

pub(super) fn plan(address: std::net::SocketAddr, connections: usize, rate: Option<f64>, attempts: u32) -> Plan {
    Plan { address, connections, rate, attempts, patience: Duration::from_secs(30) }
}

/// Runs the load on a thread of its own.
pub(super) async fn send(plan: Plan, requests: impl Requests + Send + 'static) -> Result<Outcome> {
    tokio::task::spawn_blocking(move || load::run(&plan, &requests)).await?
}

pub(super) fn describe(outcome: &Outcome) -> Value {
    json!({
        "latency_ms": load::quantiles(&outcome.latency), "accepted": outcome.accepted, "refused": outcome.refused, "broken": outcome.broken,
        "failed": outcome.failed, "first_problem": outcome.first_problem,
    })
}
