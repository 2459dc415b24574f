//! Killing things under load. What is promised: once a webhook was answered 200, nothing is lost and nothing happens twice.
//!
//! `SWITCHBOARD_FAULTS=full` makes outages longer and rounds more, for a night; by default all of it takes minutes.

mod backlog;
mod chance;
mod chaos;
mod claims;
mod database;
mod dispatcher;
mod load;
mod moments;
mod ordering;
mod processes;
mod receipts;
mod verify;

use crate::harness::{App, Database, PrivatePostgres};
use chance::Chance;
use load::Load;
use std::time::Duration;

fn full() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests")]
    std::env::var("SWITCHBOARD_FAULTS").is_ok_and(|value| value == "full")
}

fn rounds(short: usize) -> usize {
    if full() { short * 2 + 4 } else { short }
}

/// The length of an outage.
fn seconds(short: u64, full_length: u64) -> Duration {
    Duration::from_secs(if full() { full_length } else { short })
}

/// An api and two workers, and a load that is being answered.
async fn under_load(chance: &mut Chance) -> (App, Load) {
    load_on(Database::create().await, &[], chance).await
}

/// The same, on a Postgres that the test may stop.
async fn under_load_on_a_private_postgres(chance: &mut Chance) -> (PrivatePostgres, App, Load) {
    let postgres = PrivatePostgres::start();
    let (app, load) = load_on(Database::create_on(&postgres.url).await, &[], chance).await;
    (postgres, app, load)
}

async fn load_on(db: Database, environment: &[(&str, &str)], chance: &mut Chance) -> (App, Load) {
    let mut app = App::without_processes(db, environment).await;
    // Few for each process, since tests share a server.
    app.set("DATABASE_CONNECTIONS", "6");
    app.start_api().await;
    app.start_worker(&[]).await;
    app.start_worker(&[]).await;
    let load = Load::start(&app, chance);
    load.until_answered(200).await;
    (app, load)
}
