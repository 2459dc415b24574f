//! Once a minute: how every queue stands and what it did, kept for the operators' charts.

use chrono::{DateTime, TimeDelta};
use jobs::queue;
use platform::figures::{Lane, Lanes};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use store::{
    PgPool, StoreError,
    operator::{
        groups, overview, pauses,
        processes::{self, Process},
        reading,
        samples::{self, NewSample},
    },
    within,
};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A process that was not heard of for longer did nothing in the last minute that we know of.
const SILENT: f64 = 15.0;
/// Minutes are rolled up so often.
const ROLL_UP_EVERY: u64 = 10;
/// Jobs that are named in a sample: those that ran longest.
const STUCK: i64 = 3;

/// Samples for ever, at the end of each minute.
pub(super) async fn take(pool: PgPool) {
    for round in 0_u64.. {
        let left = within(ANSWER_WITHIN, samples::left_of_minute(&pool)).await.unwrap_or(MINUTE);
        tokio::time::sleep(left).await;
        let began = Instant::now();
        match within(ANSWER_WITHIN, sample(&pool)).await {
            Ok(()) => metrics::histogram!("switchboard_sampling_seconds").record(began.elapsed()),
            Err(error) => tracing::warn!(%error, "this minute has no sample"),
        }
        if round % ROLL_UP_EVERY == 0
            && let Err(error) = within(ANSWER_WITHIN, samples::roll_up(&pool)).await
        {
            tracing::warn!(%error, "old samples were not rolled up; trying again in ten minutes");
        }
    }
}

async fn sample(pool: &PgPool) -> Result<(), StoreError> {
    let mut tx = reading(pool).await?;
    let names: Vec<&str> = queue::ALL.iter().map(|queue| queue.name).collect();
    let now = overview::now(&mut tx).await?;
    let minute = DateTime::from_timestamp(now.timestamp() / 60 * 60, 0).unwrap_or(now);
    let entered = samples::entered(&mut tx, (minute - TimeDelta::minutes(1), minute)).await?;
    let queues = overview::queues(&mut tx, &names).await?;
    let processes = processes::list(&mut tx).await?;
    let held = pauses::list(&mut tx).await?;
    let running = overview::running(&mut tx, STUCK).await?;
    let groups = match groups::list(&mut tx).await {
        // So many died that they cannot be counted in time: the rest of the minute is kept all the same.
        Err(error) if error.timed_out() => {
            tracing::warn!(%error, "this minute's sample has the dead letters of the one before");
            None
        }
        groups => Some(groups?),
    };
    drop(tx);

    let mut lanes = Lanes::new();
    for (name, lane) in processes.iter().filter(|process| process.silent_s < SILENT).flat_map(|process| &process.figures) {
        lanes.entry(name.clone()).or_default().add(lane);
    }
    let stuck: Vec<(Option<&str>, Value)> = running
        .iter()
        .map(|job| {
            (
                jobs::kinds::queue_of(&job.kind),
                json!({"id": job.id, "kind": job.kind, "tenant_id": job.tenant_id, "seconds": job.running_s.round()}),
            )
        })
        .collect();
    let mut rows: Vec<NewSample> = Vec::new();
    for now in queues {
        let dead = groups.as_ref().map(|groups| groups::by_queue(groups, &now.queue));
        let paused = held.iter().any(|pause| pause.what.strip_prefix("queue:") == Some(&now.queue));
        let stuck: Vec<&Value> = stuck.iter().filter(|(queue, _)| *queue == Some(now.queue.as_str())).map(|(_, job)| job).collect();
        let lane = lanes.remove(&now.queue).unwrap_or_default();
        rows.push(NewSample {
            dead,
            paused,
            stuck: json!(stuck),
            entered: entered.get(&now.queue).copied().unwrap_or(0),
            workers: workers(&processes, &now.queue),
            ..of_lane(&lane, now)
        });
    }
    let ingest = lanes.remove("ingest").unwrap_or_default();
    let apis = processes.iter().filter(|process| process.role == "api" && process.silent_s < SILENT).count();
    let now = overview::QueueNow { queue: "ingest".to_owned(), ..overview::QueueNow::default() };
    let entered = i64::try_from(ingest.done + ingest.failed).unwrap_or(i64::MAX);
    rows.push(NewSample { dead: Some(0), entered, workers: i32::try_from(apis).unwrap_or(0), stuck: json!([]), ..of_lane(&ingest, now) });

    let mut errors: BTreeMap<String, i64> = BTreeMap::new();
    for (name, lane) in processes.iter().filter(|process| process.silent_s < SILENT).flat_map(|process| &process.figures) {
        for (class, times) in &lane.errors {
            *errors.entry(format!("{name}:{class}")).or_default() += i64::try_from(*times).unwrap_or(0);
        }
    }
    samples::keep(pool, &rows, &errors.into_iter().collect::<Vec<_>>()).await
}

fn of_lane(lane: &Lane, now: overview::QueueNow) -> NewSample {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    NewSample {
        done: count(lane.done),
        failed: count(lane.failed),
        wait: [0.5, 0.95, 0.99].map(|q| lane.wait.quantile(q)),
        run: [0.5, 0.95, 0.99].map(|q| lane.run.quantile(q)),
        now,
        ..NewSample::default()
    }
}

fn workers(processes: &[Process], queue: &str) -> i32 {
    let serving = processes
        .iter()
        .filter(|process| process.silent_s < SILENT && !process.draining && process.queues.iter().any(|name| name == queue));
    i32::try_from(serving.count()).unwrap_or(i32::MAX)
}
