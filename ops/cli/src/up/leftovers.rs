//! Stops what an earlier run left behind because it was killed.

use super::{
    home::{Home, State},
    process::{signal, signal_group},
    run_file::{RunFile, RunningProcess},
};
use crate::console::Console;
use rustix::process::Signal;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

/// As long as a process may take to stop by itself.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks all of them to stop, waits, and kills what remains. Only processes that are surely ours are touched.
pub(super) async fn stop(home: &Home, state: &State, console: &Console) {
    let mut left: BTreeMap<String, RunningProcess> = RunFile::leftovers(&home.run_file());
    if let Some(postmaster) = postmaster(state) {
        left.entry("postgres".to_owned()).or_insert(postmaster);
    }
    left.retain(|_, process| process.is_alive());
    // Those who use the services first.
    let mut ordered: Vec<_> = left.into_iter().collect();
    ordered.sort_by_key(|(name, _)| matches!(name.as_str(), "postgres" | "redis"));
    for (name, process) in &ordered {
        console.step(name, &format!("stopping process {}, which an earlier run left behind", process.pid));
        signal(process.pid, if name == "postgres" { Signal::INT } else { Signal::TERM });
    }
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline && ordered.iter().any(|(_, process)| process.is_alive()) {
        sleep(Duration::from_millis(50)).await;
    }
    for (name, process) in ordered.iter().filter(|(_, process)| process.is_alive()) {
        console.step(name, &format!("killing process {}, which did not stop", process.pid));
        signal_group(process.pid, Signal::KILL);
        signal(process.pid, Signal::KILL);
    }
}

/// The server of our data directory, by the file that it keeps there.
fn postmaster(state: &State) -> Option<RunningProcess> {
    let data = state.postgres.as_ref()?.dir.join("data");
    let pid = std::fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()?;
    RunningProcess::observe(pid, vec!["postgres".to_owned(), data.display().to_string()])
}
