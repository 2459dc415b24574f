//! Everything that a run has started, in the order in which it is stopped.

use super::{
    process::{Spec, Supervised},
    run_file::RunFile,
};
use crate::console::Console;
use std::time::Duration;
use tokio::time::Instant;

/// All limits together stay under ten seconds.
const PROCESS_LIMIT: Duration = Duration::from_secs(5);
const PROCESS_HEADSTART: Duration = Duration::from_millis(700);
const REDIS_LIMIT: Duration = Duration::from_millis(800);
const POSTGRES_LIMIT: Duration = Duration::from_millis(1_500);
/// What forcing takes, see `process::end`.
const FORCE: Duration = Duration::from_millis(1_300);

#[derive(Debug)]
pub(super) struct Stack {
    run_file: RunFile,
    console: Console,
    pub(super) postgres: Option<Supervised>,
    pub(super) redis: Option<Supervised>,
    pub(super) processes: Vec<Supervised>,
}

impl Stack {
    pub(super) fn new(run_file: RunFile, console: Console) -> Self {
        Self { run_file, console, postgres: None, redis: None, processes: Vec::new() }
    }

    pub(super) fn start(&self, spec: Spec) -> Supervised {
        Supervised::start(spec, self.run_file.clone(), self.console.clone())
    }

    /// Stops the processes in the order of the Procfile, each with a head start before the next is asked (so that the
    /// API has stopped accepting before the worker goes), then Redis, then Postgres.
    pub(super) async fn stop(mut self) {
        let names: Vec<&str> = self.processes.iter().chain(&self.redis).chain(&self.postgres).map(|one| one.spec.name.as_str()).collect();
        if names.is_empty() {
            return;
        }
        let began = Instant::now();
        self.console.plain(&format!("stopping {}", names.join(", ")));
        for process in &mut self.processes {
            process.ask_to_stop(PROCESS_LIMIT);
            process.stopped(PROCESS_HEADSTART).await;
        }
        for process in &mut self.processes {
            process.stopped(PROCESS_LIMIT + FORCE).await;
        }
        for (service, limit) in [(&mut self.redis, REDIS_LIMIT), (&mut self.postgres, POSTGRES_LIMIT)] {
            if let Some(service) = service {
                service.ask_to_stop(limit);
                service.stopped(limit + FORCE).await;
            }
        }
        self.console.plain(&format!("stopped in {:.1} s", began.elapsed().as_secs_f32()));
    }
}
