//! `switchboard replay`: processes raw events once more. What they already wrote stays as it is: events are idempotent.

use crate::{confirm, console, error::CliError, settings::Settings};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use domain::{RawEventId, TenantId};
use jobs::process_webhook::{Lanes, StoredEvent, jobs_for};
use serde_json::json;
use std::collections::BTreeSet;
use store::{
    PgPool,
    operator_replay::{self, ReplayEvent, ReplayFilter},
};
use uuid::Uuid;

/// Events in one transaction.
const CHUNK: i64 = 1_000;
/// Events that a dry run lists for people; as JSON it lists all.
const SHOWN: usize = 50;

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "from", "to", "channel", "unroutable"])))]
pub(crate) struct ReplayArgs {
    /// These raw events
    #[arg(long = "id", value_name = "ID", num_args = 1..)]
    ids: Vec<Uuid>,
    /// Events that arrived at or after this time (2026-01-31, or 2026-01-31T12:00:00Z)
    #[arg(long, value_parser = parse_time)]
    from: Option<DateTime<Utc>>,
    /// Events that arrived before this time
    #[arg(long, value_parser = parse_time)]
    to: Option<DateTime<Utc>>,
    /// Events that name this channel (WhatsApp: the phone number id)
    #[arg(long, value_name = "EXTERNAL_ID")]
    channel: Option<String>,
    /// Events that belonged to no tenant (or to several) when they arrived
    #[arg(long)]
    unroutable: bool,
    /// Show what would be replayed; change nothing
    #[arg(long)]
    dry_run: bool,
    #[arg(long)]
    json: bool,
    /// Do not ask, however many there are
    #[arg(long)]
    yes: bool,
}

/// What a pass over the matching events found.
#[derive(Debug, Default)]
struct Totals {
    events: u64,
    jobs: usize,
    /// Those that events had when they arrived.
    tenants: BTreeSet<TenantId>,
}

pub(crate) async fn run(args: &ReplayArgs, settings: &Settings) -> Result<(), CliError> {
    let pool = settings.pool()?;
    // What arrives from now on is not part of it, so both passes see the same events.
    let now = store::operator_status::now(&pool).await?;
    let filter = ReplayFilter {
        ids: args.ids.iter().copied().map(RawEventId).collect(),
        from: args.from,
        to: Some(args.to.map_or(now, |to| to.min(now))),
        channel: args.channel.clone(),
        unroutable: args.unroutable,
        ..ReplayFilter::default()
    };
    let mut listed = Vec::new();
    let keep = if args.dry_run && args.json { usize::MAX } else { SHOWN };
    let found = pass(&pool, &filter, async |events, _| {
        let room = keep.saturating_sub(listed.len());
        listed.extend(events.iter().take(room).cloned());
        Ok(())
    })
    .await?;
    if args.dry_run {
        print_dry_run(&found, &listed, args.json);
        return Ok(());
    }
    confirm::many(found.events, "raw events will be processed again", args.yes)?;
    let actor = settings.actor();
    let mut enqueued = 0;
    let replayed = pass(&pool, &filter, async |events, jobs| {
        let count = u64::try_from(events.len()).unwrap_or(0);
        operator_replay::enqueue(&pool, &actor, &filter, count, &jobs).await?;
        enqueued += count;
        if enqueued < found.events {
            console::note(&format!("replayed {enqueued} of {}", found.events));
        }
        Ok(())
    })
    .await?;
    if args.json {
        console::line(&json!({"dry_run": false, "events": replayed.events, "jobs": replayed.jobs}).to_string());
    } else {
        console::line(&format!("replayed: {} raw events in {} jobs", replayed.events, replayed.jobs));
    }
    Ok(())
}

/// Goes through the matching events chunk by chunk, with the jobs of each chunk.
async fn pass<F>(pool: &PgPool, filter: &ReplayFilter, mut each: F) -> Result<Totals, CliError>
where
    F: AsyncFnMut(&[ReplayEvent], Vec<store::ledger::NewJob>) -> Result<(), CliError>,
{
    let (mut totals, mut after) = (Totals::default(), None);
    loop {
        let events = operator_replay::find(pool, filter, after, CHUNK).await?;
        let Some(last) = events.last() else { return Ok(totals) };
        after = Some(last.id);
        totals.tenants.extend(events.iter().filter_map(|event| event.tenant_id));
        let stored: Vec<_> = events
            .iter()
            .map(|event| StoredEvent { id: event.id, tenant_id: event.tenant_id, size: usize::try_from(event.size_bytes).unwrap_or(0) })
            .collect();
        let jobs = jobs_for(&stored, Lanes::PerTenant, None);
        totals.events += u64::try_from(events.len()).unwrap_or(0);
        totals.jobs += jobs.len();
        each(&events, jobs).await?;
    }
}

fn print_dry_run(found: &Totals, listed: &[ReplayEvent], json: bool) {
    if json {
        console::line(&json!({"dry_run": true, "events": found.events, "jobs": found.jobs, "list": listed}).to_string());
        return;
    }
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|event| {
            let tenant = event.tenant_id.map_or_else(|| "-".to_owned(), |tenant| tenant.to_string());
            vec![
                event.id.to_string(),
                event.received_at.to_rfc3339(),
                tenant,
                event.channel_kind.clone(),
                event.channel_ids.join(" "),
                event.size_bytes.to_string(),
            ]
        })
        .collect();
    console::table(&["EVENT", "RECEIVED", "TENANT", "KIND", "CHANNELS", "BYTES"], &rows);
    if found.events > u64::try_from(listed.len()).unwrap_or(u64::MAX) {
        console::line("...");
    }
    console::line(&format!(
        "would replay: {} raw events (tenants: {}) in {} jobs; nothing was changed",
        found.events,
        found.tenants.len(),
        found.jobs
    ));
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    time.or_else(day).ok_or_else(|| "a time is written 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_time;

    #[test]
    fn times_are_days_or_rfc_3339() {
        assert_eq!(parse_time("2026-01-31").unwrap().to_rfc3339(), "2026-01-31T00:00:00+00:00");
        assert_eq!(parse_time("2026-01-31T14:00:00+02:00").unwrap().to_rfc3339(), "2026-01-31T12:00:00+00:00");
        assert!(parse_time("yesterday").is_err());
    }
}
