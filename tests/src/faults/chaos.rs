//! All faults together, in random order, until the time is up.

use super::{Chance, seconds, under_load_on_a_private_postgres};
use crate::harness::{App, PrivatePostgres};
use std::time::Instant;

#[derive(Clone, Copy, Debug)]
enum Fault {
    KillWorker,
    KillApi,
    EmptyRedis,
    RestartRedis,
    PauseRedis,
    CrashPostgres,
    StallWorker,
}

const FAULTS: [Fault; 7] = [
    Fault::KillWorker,
    Fault::KillApi,
    Fault::EmptyRedis,
    Fault::RestartRedis,
    Fault::PauseRedis,
    Fault::CrashPostgres,
    Fault::StallWorker,
];

impl Fault {
    async fn strike(self, app: &mut App, postgres: &PrivatePostgres, chance: &mut Chance) {
        match self {
            Self::KillWorker => app.kill_worker(chance.below(2)),
            Self::KillApi => app.kill_api(),
            Self::EmptyRedis => _ = app.redis.command::<String>(&["FLUSHALL"]).await,
            Self::RestartRedis => app.redis.restart().await,
            Self::PauseRedis => {
                app.redis.signal("STOP");
                chance.moment(0..2_000).await;
                app.redis.signal("CONT");
            }
            Self::CrashPostgres => {
                postgres.stop("immediate");
                chance.moment(0..1_000).await;
                postgres.restart();
            }
            Self::StallWorker => {
                let worker = chance.below(2);
                app.workers[worker].signal("STOP");
                chance.moment(0..3_000).await;
                app.workers[worker].signal("CONT");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_faults_in_random_order_lose_and_double_nothing() {
    let mut chance = Chance::new();
    let (postgres, mut app, load) = under_load_on_a_private_postgres(&mut chance).await;
    let started = Instant::now();
    while started.elapsed() < seconds(20, 180) {
        chance.moment(0..1_000).await;
        let fault = *chance.pick(&FAULTS);
        eprintln!("{:?} {fault:?}", started.elapsed());
        fault.strike(&mut app, &postgres, &mut chance).await;
    }
    load.until_answered(200).await;
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}
