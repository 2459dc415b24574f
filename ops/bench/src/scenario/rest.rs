//! What api and worker keep in memory when nobody writes.

use crate::lab::{Lab, LabArgs, WEBHOOKS};
use crate::numbers::rounded;
use crate::report::Report;
use anyhow::Result;
use serde_json::json;
use std::time::Duration;

#[derive(clap::Args, Clone, Debug)]
pub struct Rest {
    /// Seconds to wait before looking
    #[arg(long, default_value_t = 10)]
    secs: u64,
}

pub async fn run(args: &LabArgs, rest: &Rest) -> Result<Report> {
    let lab = Lab::prepare(args, &crate::workload::Workload::storm(1, 0).phone_number_ids()).await?;
    let mut running = lab.start(WEBHOOKS).await?;
    let watched = lab.watched(&running).await?;
    let before = watched.cpu()?;
    tokio::time::sleep(Duration::from_secs(rest.secs)).await;
    let after = watched.cpu()?;
    running.check_alive()?;
    let cpu = before.iter().zip(&after).map(|((name, earlier), (_, later))| {
        let percent = (later - earlier) * 100.0 / Duration::from_secs(rest.secs.max(1)).as_secs_f64();
        ((*name).to_owned(), json!(rounded(percent, 2)))
    });
    let report = Report {
        scenario: "rest",
        passed: true,
        settings: json!({ "secs": rest.secs }),
        results: json!({
            "memory_mb": watched.memory()?, "cpu_percent": cpu.collect::<serde_json::Map<_, _>>(),
            "redis_used_memory_mb": lab.redis.used_memory_mb().await?,
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}
