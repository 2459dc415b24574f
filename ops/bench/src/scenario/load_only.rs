//! The load alone, against a server that somebody else runs: measures the generator itself, or a server under test.

use super::storm::{describe, plan, send};
use crate::lab::APP_SECRET;
use crate::numbers::{float_of, per_second, rounded};
use crate::processes;
use crate::workload::{MadeOnDemand, MadeReady, Target, Workload};
use anyhow::{Context, Result};
use serde_json::json;
use std::net::ToSocketAddrs;

#[derive(clap::Args, Clone, Debug)]
pub struct LoadOnly {
    /// http://HOST:PORT/PATH
    #[arg(long)]
    url: String,
    #[arg(long, default_value_t = 50_000)]
    n: usize,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value = APP_SECRET)]
    secret: String,
    /// Make and sign each webhook when it is sent, as `soak` does
    #[arg(long)]
    on_demand: bool,
}

pub async fn run(load: &LoadOnly) -> Result<()> {
    let rest = load.url.strip_prefix("http://").context("--url must begin with http://")?;
    let (host, path) = rest.split_once('/').map_or((rest, "/".to_owned()), |(host, path)| (host, format!("/{path}")));
    let address = host.to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
    let (workload, target) = (Workload::storm(load.seed, load.n), Target::new(address, &path, &load.secret));
    let plan = plan(address, load.connections, load.rate, 1);
    let (before, outcome) = if load.on_demand {
        (processes::cpu_of(std::process::id())?, send(plan, MadeOnDemand { workload, target }).await?)
    } else {
        let requests = MadeReady::new(&workload, &target)?;
        (processes::cpu_of(std::process::id())?, send(plan, requests).await?)
    };
    let cpu_secs = processes::cpu_of(std::process::id())? - before;
    let results = json!({
        "accepted_per_s": per_second(outcome.accepted, outcome.elapsed),
        "ack": describe(&outcome),
        "generator_cpu_us_per_webhook": rounded(cpu_secs * 1e6 / float_of(load.n.max(1)), 2),
    });
    println!("{results}");
    Ok(())
}
