//! What every scenario is told: the servers to use, the binaries to start, where results go.

use std::path::PathBuf;

#[derive(clap::Args, Clone, Debug)]
pub struct LabArgs {
    /// Postgres server: an address of a role that may create databases and see all rows
    #[arg(long, global = true, default_value = "postgres://bench@127.0.0.1:5460/postgres")]
    pub pg: String,
    /// Redis database to use; it must be empty
    #[arg(long, global = true, default_value = "redis://127.0.0.1:6460/1")]
    pub redis: String,
    /// Empty the Redis database first
    #[arg(long, global = true)]
    pub flush_redis: bool,
    /// Where the product's release binaries are
    #[arg(long, global = true, default_value = "target/release")]
    pub bin_dir: PathBuf,
    /// How jobs reach the workers
    #[arg(long, global = true, default_value = "redis", value_parser = ["redis", "local"])]
    pub dispatch: String,
    /// The worker's --concurrency (default: the product's own)
    #[arg(long, global = true)]
    pub worker_concurrency: Option<u32>,
    /// Keep the database
    #[arg(long, global = true)]
    pub keep: bool,
    /// Where the logs of api and worker go
    #[arg(long, global = true, default_value = "target/bench-logs")]
    pub logs: PathBuf,
    /// Append the result to this file, a JSON object a line
    #[arg(long, global = true)]
    pub out: Option<PathBuf>,
    /// A name for this series of runs, kept in the results
    #[arg(long, global = true, default_value = "")]
    pub label: String,
}

impl LabArgs {
    /// One database a process, so that runs do not meet.
    pub fn database_name() -> String {
        format!("switchboard_bench_{}", std::process::id())
    }
}
