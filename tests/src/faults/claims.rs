//! Property: whatever claims what at the same time, no job is held twice, and none is forgotten.

use super::{Chance, rounds};
use crate::harness::Database;
use domain::{JobId, TenantId, WorkerId};
use jobs::probe::Probe;
use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
    time::Duration,
};
use store::{
    PgPool,
    ledger::{self, Delay, WorkerRow},
};

/// Registers a worker that can claim, and returns its id.
pub(super) async fn worker(pool: &PgPool) -> WorkerId {
    let id = WorkerId::generate();
    let row = WorkerRow { id, name: "test".to_owned(), queues: vec![("probes".to_owned(), 1)] };
    ledger::register_worker(pool, &row).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_held_by_two_workers_and_each_is_done_once() {
    let mut chance = Chance::new();
    let db = Database::create().await;
    // With the planner's settings that workers have: they make statements lock rows in one order.
    let pool = store::connect(&db.url, store::Role::Worker, "test", 4).unwrap();
    for _ in 0..rounds(5) {
        let new: Vec<_> = (0..300).map(|_| jobs::new_job(TenantId(1), &Probe::default(), None)).collect();
        let ids = ledger::enqueue(&mut db.pool().acquire().await.unwrap(), &new).await.unwrap();
        let (held, done) = (Mutex::new(HashMap::new()), Mutex::new(HashSet::new()));
        let mut work = || claim_and_settle(&pool, &ids, &held, &done, chance.fork());
        tokio::join!(work(), work(), work(), work());
        assert_eq!(db.count("SELECT count(*) FROM jobs").await, 0);
        let finished = db.texts("SELECT id::text FROM jobs_done").await;
        let this_round = finished.iter().filter(|id| ids.iter().any(|known| known.to_string() == **id)).count();
        assert_eq!(this_round, ids.len());
    }
}

/// Claims random jobs and completes or gives back random ones of them, until all are done.
async fn claim_and_settle(
    pool: &PgPool,
    ids: &[JobId],
    held: &Mutex<HashMap<JobId, WorkerId>>,
    done: &Mutex<HashSet<JobId>>,
    mut chance: Chance,
) {
    let worker = worker(pool).await;
    while done.lock().unwrap().len() < ids.len() {
        let wanted: Vec<JobId> = (0..40).map(|_| *chance.pick(ids)).collect();
        let (mut finished, mut delayed) = (Vec::new(), Vec::new());
        for job in ledger::claim(pool, worker, &wanted).await.unwrap() {
            let before = held.lock().unwrap().insert(job.id, worker);
            assert_eq!(before, None, "{} is held by two", job.id);
            if chance.percent(60) {
                finished.push(job.id);
            } else {
                let after = chance.percent(50).then_some(Duration::ZERO);
                delayed.push(Delay { run: job.run(), after, free: true, suspect: false, error: None });
            }
        }
        let mut conn = pool.acquire().await.unwrap();
        held.lock().unwrap().retain(|id, _| !finished.contains(id) && !delayed.iter().any(|delay| delay.run.id == *id));
        assert_eq!(ledger::complete(&mut conn, worker, &finished, false).await.unwrap().len(), finished.len());
        assert_eq!(ledger::delay(&mut conn, worker, &delayed).await.unwrap().len(), delayed.len());
        done.lock().unwrap().extend(finished);
    }
}

#[tokio::test]
async fn putting_a_run_back_once_more_does_not_touch_the_next_run_of_the_same_worker() {
    let db = Database::create().await;
    let pool = store::connect(&db.url, store::Role::Worker, "test", 2).unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let ids = ledger::enqueue(&mut conn, &[jobs::new_job(TenantId(1), &Probe::default(), None)]).await.unwrap();
    let worker = worker(&pool).await;
    let first = ledger::claim(&pool, worker, &ids).await.unwrap().remove(0);
    let put_back = [Delay { run: first.run(), after: None, free: true, suspect: false, error: None }];
    assert_eq!(ledger::delay(&mut conn, worker, &put_back).await.unwrap(), ids);
    let second = ledger::claim(&pool, worker, &ids).await.unwrap().remove(0);
    assert_ne!(first.run(), second.run());
    // The answer to the first time was lost, so it is written again.
    assert!(ledger::delay(&mut conn, worker, &put_back).await.unwrap().is_empty());
    assert_eq!(ledger::running(&pool, worker).await.unwrap(), [second.run()]);
}
