//! `switchboard up`: everything on one machine, in the foreground. Private Postgres and Redis (or given ones), schema,
//! demo tenant, the processes of the Procfile; supervised until a signal comes.

mod demo;
mod home;
mod leftovers;
mod ports;
mod postgres;
mod process;
mod procfile;
mod redis;
mod report;
mod run_file;
mod secrets;
mod services;
mod signals;
mod stack;
mod start;

use crate::{console::Console, error::CliError, settings::Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// Start everything, run the demo webhook, show what came out, stop everything
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(args: &UpArgs, settings: &Settings) -> Result<(), CliError> {
    let home = home::Home::open(settings)?;
    let entries = procfile::read(&settings.root)?;
    let width = entries.iter().map(|entry| entry.name.len()).chain(["postgres".len()]).max().unwrap_or_default();
    let console = Console::new(settings.given("NO_COLOR").is_some(), width);
    let mut signals = signals::Signals::listen()?;

    let mut stack = stack::Stack::new(run_file::RunFile::new(home.run_file()), console.clone());
    let outcome = tokio::select! {
        outcome = start::start(settings, &home, &entries, &mut stack, &console) => outcome.map(|()| true),
        () = signals.stop() => Ok(false),
    };
    if matches!(outcome, Ok(true)) && !args.check {
        signals.stop().await;
    }
    stack.stop().await;
    match outcome {
        Ok(false) if args.check => Err(CliError::Usage("stopped by a signal before the check was through".to_owned())),
        Ok(true) if args.check => {
            console.plain("check passed");
            Ok(())
        }
        other => other.map(drop),
    }
}
