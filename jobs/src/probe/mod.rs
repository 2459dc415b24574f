//! Probe: a job that does what its arguments say, for trying and measuring the engine itself. Registered only with
//! `SWITCHBOARD_BENCH_JOBS`, never in production.

use crate::{Done, Job, JobContext, JobError, Policy, queue};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a probe does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    #[default]
    Succeed,
    /// Fails in a way that is worth a retry, until this attempt.
    RetryUntil(i16),
    RetryAfterMs(u64),
    Fail,
    /// Snoozes until the file exists.
    SnoozeUntilFile(String),
    Panic,
    /// Ends the process, as a crash in foreign code would.
    Abort,
    /// Writes its id to the file, then runs until it is stopped from outside.
    Hang(String),
    /// Appends its label to the file, as one line.
    Append(String, String),
}

/// A job without effects in Postgres.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    #[serde(default)]
    pub act: Act,
}

impl Job for Probe {
    const KIND: &'static str = "probe";
    const POLICY: Policy = Policy {
        queue: queue::PROBES.name,
        max_attempts: 5,
        backoff: Duration::from_millis(20),
        max_backoff: Duration::from_millis(200),
        timeout: Duration::from_secs(30),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        match self.act {
            Act::RetryUntil(attempt) if ctx.attempt < attempt => return Err(JobError::retry("probe", "asked to retry")),
            Act::RetryAfterMs(ms) if ctx.attempt == 1 => {
                return Err(JobError::RetryAfter { delay: Duration::from_millis(ms), class: "probe", message: "asked to wait".into() });
            }
            Act::Succeed | Act::RetryUntil(_) | Act::RetryAfterMs(_) => {}
            Act::Fail => return Err(JobError::fail("probe", "asked to fail")),
            Act::SnoozeUntilFile(path) => {
                if !tokio::fs::try_exists(&path).await.unwrap_or(false) {
                    return Err(JobError::Snooze(Duration::from_millis(50)));
                }
            }
            #[expect(clippy::panic, reason = "asked to")]
            Act::Panic => panic!("asked to panic"),
            Act::Abort => std::process::abort(),
            Act::Hang(path) => {
                append(&path, "started").await?;
                std::future::pending::<()>().await;
            }
            Act::Append(path, label) => append(&path, &label).await?,
        }
        Ok(Done::WITHOUT_EFFECTS)
    }
}

async fn append(path: &str, line: &str) -> Result<(), JobError> {
    use tokio::io::AsyncWriteExt;
    let failed = |error: std::io::Error| JobError::fail("probe", format!("cannot write to {path}: {error}"));
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(path).await.map_err(failed)?;
    file.write_all(format!("{line}\n").as_bytes()).await.map_err(failed)?;
    file.flush().await.map_err(failed)
}
