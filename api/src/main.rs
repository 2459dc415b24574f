//! `switchboard-api`: takes webhooks and serves the contracts. Settings come from the environment: see `platform::config`.

use anyhow::Context;
use platform::{Config, SystemClock};
use std::{sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Everything is over this long after the first signal.
const STOP_WITHIN: Duration = Duration::from_secs(9);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::load()?;
    let telemetry = platform::telemetry::init("switchboard-api", &config)?;
    let metrics = platform::metrics::install();
    let mut running = api::start(&config, metrics, Arc::new(SystemClock)).await?;
    tracing::info!(address = %running.address, "api is ready");

    tokio::select! {
        ended = running.ended() => return ended.context("the server ended by itself"),
        signal = signalled() => signal.context("cannot listen for signals")?,
    }
    tracing::info!("stopping: finishing what is held");
    tokio::spawn(async {
        tokio::time::sleep(STOP_WITHIN).await;
        tracing::warn!("stopping took too long; what was not answered will be sent again");
        std::process::exit(0);
    });
    running.stop().await;
    tracing::info!("stopped");
    drop(telemetry);
    Ok(())
}

async fn signalled() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
