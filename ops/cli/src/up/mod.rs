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
        outcome = start::start(settings, &home, &entries, &mut stack, &console) => outcome.map(Some),
        () = signals.stop() => Ok(None),
    };
    if let Ok(Some(report)) = &outcome {
        report.ready(&console);
        if !args.check {
            report.print(&console);
            signals.stop().await;
        }
    }
    stack.stop().await;
    match (outcome?, args.check) {
        (None, true) => Err(CliError::Usage("stopped by a signal before the check was through".to_owned())),
        (Some(_), true) => {
            console.plain("check passed");
            Ok(())
        }
        (_, false) => Ok(()),
    }
}
