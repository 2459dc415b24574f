//! One tenant has half a million webhooks waiting; another sends ten a second. How long do the other's take?

use crate::http::HttpConnection;
use crate::lab::{APP_SECRET, Database, Lab, LabArgs, WEBHOOK_PATH, WEBHOOKS};
use crate::load;
use crate::numbers::{float_of, microseconds};
use crate::report::Report;
use crate::stored::{Channel, Stored, StoredWatch};
use crate::workload::{Target, Workload};
use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

const EVENTS_PER_JOB: usize = 5;
const JOBS_PER_STATEMENT: usize = 200;

#[derive(clap::Args, Clone, Debug)]
pub struct Fair {
    /// Webhooks of the first tenant that wait
    #[arg(long, default_value_t = 500_000)]
    waiting: usize,
    /// Webhooks a second of the second tenant
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    #[arg(long, default_value_t = 30)]
    secs: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub async fn run(args: &LabArgs, fair: &Fair) -> Result<Report> {
    let crowd = Workload::texts(fair.seed, fair.waiting, 0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of webhooks")]
    let count = (fair.rate * f64::from(fair.secs)) as usize;
    let other = Workload::texts(fair.seed + 1, count, 1);
    let numbers: Vec<String> = crowd.phone_number_ids().into_iter().chain(other.phone_number_ids()).collect();
    let lab = Lab::prepare(args, &numbers).await?;
    let channel_of = |n: usize| numbers.get(n).map_or("", String::as_str);
    let (crowded, quiet) = (lab.database.channel(channel_of(0)).await?, lab.database.channel(channel_of(1)).await?);
    ensure!(crowded.tenant_id != quiet.tenant_id, "both channels belong to tenant {}", quiet.tenant_id);
    pile_up(&lab.database, &crowd, crowded, channel_of(0)).await?;

    let mut running = lab.start(WEBHOOKS).await?;
    let target = Target::new(running.address, WEBHOOK_PATH, APP_SECRET);
    let (config, rate) = (lab.database.config()?, fair.rate);
    let (acks, stored) = tokio::task::spawn_blocking(move || {
        let watch = StoredWatch::start(config, quiet)?;
        send_steadily(&target, &other, rate, watch)
    })
    .await??;

    running.check_alive()?;
    let left: i64 =
        lab.database.client.query_one("SELECT count(*) FROM jobs WHERE tenant_id = $1", &[&crowded.tenant_id]).await?.try_get(0)?;
    let report = Report {
        scenario: "fair",
        passed: stored.lost == 0,
        settings: json!({ "waiting": fair.waiting, "rate": fair.rate, "secs": fair.secs, "seed": fair.seed }),
        results: json!({
            "ack_ms": load::quantiles(&acks), "stored_ms": load::quantiles(&stored.latency), "lost": stored.lost,
            // The figures mean something only while the first tenant's work lasts.
            "crowd_jobs_left": left, "crowd_outlasted_the_run": left > 0,
        }),
    };
    report.publish(&lab).await?;
    Ok(report)
}

/// Writes raw events and their jobs as the API would have, a few events a job.
async fn pile_up(database: &Database, crowd: &Workload, channel: Channel, phone_number_id: &str) -> Result<()> {
    let events = database
        .client
        .prepare(
            "INSERT INTO raw_webhook_events (received_on, id, tenant_id, channel_kind, channel_ids, received_at, body)
             SELECT date '1970-01-01' + e.day, e.id, $1, 'whatsapp_cloud', ARRAY[$2::text], now(), e.body
             FROM unnest($3::int4[], $4::uuid[], $5::bytea[]) AS e(day, id, body)",
        )
        .await?;
    let jobs = database
        .client
        .prepare(
            "INSERT INTO jobs (id, kind, queue, tenant_id, weight, max_attempts, args)
             SELECT j.id, 'process_webhook', 'webhooks', $1, $2, 10, j.args::jsonb FROM unnest($3::uuid[], $4::text[]) AS j(id, args)",
        )
        .await?;
    for start in (0..crowd.webhooks).step_by(EVENTS_PER_JOB * JOBS_PER_STATEMENT) {
        let range = start..crowd.webhooks.min(start + EVENTS_PER_JOB * JOBS_PER_STATEMENT);
        let ids: Vec<Uuid> = range.clone().map(|_| Uuid::now_v7()).collect();
        let days = ids.iter().map(utc_day).collect::<Result<Vec<i32>>>()?;
        let bodies = range.map(|index| body(crowd, index)).collect::<Result<Vec<_>>>()?;
        let parts: Vec<&[Uuid]> = ids.chunks(EVENTS_PER_JOB).collect();
        let job_ids: Vec<Uuid> = parts.iter().map(|_| Uuid::now_v7()).collect();
        let arguments: Vec<String> = parts.iter().map(|part| json!({ "event_ids": part }).to_string()).collect();
        database
            .client
            .execute(&events, &[&channel.tenant_id, &phone_number_id, &days, &ids, &bodies])
            .await
            .context("writing raw events")?;
        let weight = i32::try_from(EVENTS_PER_JOB)?;
        database.client.execute(&jobs, &[&channel.tenant_id, &weight, &job_ids, &arguments]).await.context("writing their jobs")?;
    }
    Ok(())
}

/// Days since 1970 of the time in a version 7 id: its partition.
fn utc_day(id: &Uuid) -> Result<i32> {
    let (seconds, _) = id.get_timestamp().context("an id without a time")?.to_unix();
    Ok(i32::try_from(seconds / 86_400)?)
}

fn body(workload: &Workload, index: usize) -> Result<Vec<u8>> {
    let mut body = Vec::with_capacity(1024);
    workload.write_body(index, &mut body)?;
    Ok(body)
}

/// An open loop on one connection: latencies count from when a webhook was due.
fn send_steadily(target: &Target, workload: &Workload, rate: f64, watch: StoredWatch) -> Result<(Histogram<u64>, Stored)> {
    let mut connection = HttpConnection::open(target.address)?;
    let mut acks = load::latencies()?;
    let mut request = Vec::new();
    let started = Instant::now();
    for index in 0..workload.webhooks {
        let due = started + Duration::from_secs_f64(float_of(index) / rate);
        request.clear();
        target.write_request(&body(workload, index)?, &mut request);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        watch.expect(workload.inbound_id(index), due)?;
        let status = connection.send(&request)?;
        ensure!(status == 200, "webhook {index} was answered with {status}");
        acks.saturating_record(microseconds(due.elapsed()));
    }
    Ok((acks, watch.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_belongs_to_the_utc_day_of_its_id() {
        let at = |seconds| Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0));
        assert_eq!(utc_day(&at(86_399)).unwrap(), 0);
        assert_eq!(utc_day(&at(86_400)).unwrap(), 1);
        assert!(utc_day(&Uuid::nil()).is_err());
    }
}
