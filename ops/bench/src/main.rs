//! `switchboard-bench`: runs one scenario against the product's release binaries and prints what it measured.

use anyhow::Result;
use bench::lab::{self, LabArgs};
use bench::scenario::{backlog, chats, events, fair, idle, knowledge, load_only, neighbour, operators, reads, rest, sends, soak, storm};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(name = "switchboard-bench", about = "Benchmarks of Switchboard", version)]
struct Command {
    #[command(flatten)]
    lab: LabArgs,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Many webhooks at once: rates, latencies, cost, exactness
    Storm(storm::Storm),
    /// One webhook at a time: latency to the answer and to the stored message
    Idle(idle::Idle),
    /// The job engine alone, with and without a backlog
    Backlog(backlog::Backlog),
    /// A quiet tenant beside one with a large backlog
    Fair(fair::Fair),
    /// A steady rate for a long time: memory and exactness
    Soak(soak::Soak),
    /// What frontends read, with a million messages stored
    Reads(reads::Reads),
    /// Messages to a provider: rate, order, nothing twice
    Sends(sends::Sends),
    /// Visitors of a website who ask a model that streams: what is added to the model's own time
    Chats(chats::Chats),
    /// Many documents: memory while they are ingested, and how long it takes to find passages in them
    Knowledge(knowledge::Knowledge),
    /// A quick tenant beside one with a slow provider: how long its messages take
    Neighbour(neighbour::Neighbour),
    /// Operators who watch and look, beside a load and with much stored: page times, and what watching costs
    Operators(operators::Operators),
    /// Webhooks to Socket.IO clients: latency, and what idle clients cost
    Events(events::Events),
    /// Memory at rest
    Rest(rest::Rest),
    /// Send a storm to a server that runs already; nothing is set up or checked
    Load(load_only::LoadOnly),
    /// Print the medians of a results file
    Medians { file: PathBuf },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let command = Command::parse();
    // Dropping the scenario stops the processes it has started.
    let outcome = tokio::select! {
        outcome = run(&command) => outcome,
        stopped = interrupted() => stopped.and_then(|()| Err(anyhow::anyhow!("interrupted"))),
    };
    let tidied = match command.scenario {
        Scenario::Load(_) | Scenario::Medians { .. } => Ok(()),
        _ => lab::tidy(&command.lab).await,
    };
    let code = match outcome.and_then(|passed| tidied.map(|()| passed)) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            eprintln!("error: {error:#}");
            2
        }
    };
    // Not a return: a load that was interrupted still runs on its thread, and nobody waits for it.
    std::process::exit(code)
}

/// Whether the product kept its promises.
async fn run(command: &Command) -> Result<bool> {
    let lab = &command.lab;
    let report = match &command.scenario {
        Scenario::Storm(storm) => storm::run(lab, storm).await,
        Scenario::Idle(idle) => idle::run(lab, idle).await,
        Scenario::Backlog(backlog) => backlog::run(lab, backlog).await,
        Scenario::Fair(fair) => fair::run(lab, fair).await,
        Scenario::Soak(soak) => soak::run(lab, soak).await,
        Scenario::Reads(reads) => reads::run(lab, reads).await,
        Scenario::Sends(sends) => sends::run(lab, sends).await,
        Scenario::Chats(chats) => chats::run(lab, chats).await,
        Scenario::Knowledge(knowledge) => knowledge::run(lab, knowledge).await,
        Scenario::Neighbour(neighbour) => neighbour::run(lab, neighbour).await,
        Scenario::Operators(operators) => operators::run(lab, operators).await,
        Scenario::Events(events) => events::run(lab, events).await,
        Scenario::Rest(rest) => rest::run(lab, rest).await,
        Scenario::Load(load) => return load_only::run(load).await.map(|()| true),
        Scenario::Medians { file } => return bench::medians::print(file).map(|()| true),
    }?;
    Ok(report.passed)
}

async fn interrupted() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
