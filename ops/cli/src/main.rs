//! `switchboard`, the operator's tool: runs the whole on one machine, and looks after the jobs of any installation.

mod confirm;
mod console;
mod create_admin;
mod error;
mod jobs;
mod migrate;
mod operations;
mod random_secret;
mod replay;
mod rotate_keys;
mod seed;
mod settings;
mod simulate;
mod up;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs Switchboard on one machine, and looks after its jobs. Settings come from the environment, else from
/// $SWITCHBOARD_HOME/env, which `up` writes.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything here: Postgres, Redis, API, worker, demo tenant (Ctrl-C stops it)
    Up(up::UpArgs),
    /// Bring the database's schema up to date
    Migrate,
    /// Make a lifelike demo tenant, and tenants for WhatsApp numbers
    Seed(seed::SeedArgs),
    /// Make a tenant with its owner, or one more admin of a tenant
    CreateAdmin(create_admin::CreateAdminArgs),
    /// Seal the secrets of tenants with today's encryption key
    RotateKeys(rotate_keys::RotateKeysArgs),
    /// Look at jobs; retry, discard or cancel them; pause queues
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Play Meta and Telegram on this machine, for trying without accounts there
    Simulate(simulate::SimulateArgs),
    /// What the pages at /ops show and do, from a shell
    #[command(subcommand)]
    Ops(operations::OpsCommand),
    /// Process raw events once more
    Replay(replay::ReplayArgs),
}

// One thread: children are started from it, and those that ask the system to end with their parent mean this thread.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = settings::Settings::load();
    let outcome = match &cli.command {
        Command::Up(args) => up::run(args, &settings).await,
        Command::Migrate => migrate::run(&settings).await,
        Command::Seed(args) => seed::run(args, &settings).await,
        Command::CreateAdmin(args) => create_admin::run(args, &settings).await,
        Command::RotateKeys(args) => rotate_keys::run(args, &settings).await,
        Command::Jobs(command) => jobs::run(command, &settings).await,
        Command::Simulate(args) => simulate::run(args, &settings).await,
        Command::Ops(command) => operations::run(command, &settings).await,
        Command::Replay(args) => replay::run(args, &settings).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::note(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
