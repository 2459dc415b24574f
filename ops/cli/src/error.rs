//! What can go wrong in the operator's tool. Every message names the thing and what to do next.

use std::{io, path::PathBuf};
use store::StoreError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error(transparent)]
    Store(StoreError),
    #[error("no database is configured: set DATABASE_URL, or run ops/up, which starts one")]
    NoDatabase,
    #[error("{name} cannot be reached ({why}): {next}")]
    Unreachable { name: &'static str, why: String, next: String },
    #[error("another `switchboard up` (process {pid}) runs with {}: stop it, or set SWITCHBOARD_HOME to another directory", home.display())]
    AlreadyRunning { pid: String, home: PathBuf },
    #[error("port {port} is taken: stop what listens there, or set PORT to another (unset, a free one is taken)")]
    PortTaken { port: u16 },
    #[error("no free port was found from {from} on")]
    NoFreePort { from: u16 },
    #[error("{name} was not found: {next}")]
    Missing { name: String, next: &'static str },
    #[error("{name} does not start ({why}). Its last lines:\n{tail}\nThe rest is in {log}")]
    DoesNotStart { name: String, why: String, tail: String, log: String },
    #[error("the demo webhook {what}. The last lines of {name}:\n{tail}")]
    Demo { what: String, name: String, tail: String },
    #[error("{file} cannot be read: {why}; correct or remove it")]
    BadFile { file: String, why: String },
    #[error("{0}")]
    Usage(String),
    #[error("nothing was changed: {0}")]
    NotConfirmed(String),
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Unreachable {
                name: "the database",
                why: why.to_string(),
                next: "start it (`ops/up` starts its own), or correct DATABASE_URL".to_owned(),
            },
            other => Self::Store(other),
        }
    }
}

/// Names what was being done when an I/O error came.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, CliError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, CliError> {
        self.map_err(|source| CliError::Io { what: what(), source })
    }
}
