//! What is wrong, in words, with what to do about it.

use super::{format, pulse::SILENT, pulse::Snapshot};
use jobs::queue;
use serde::Serialize;

/// How old the head of a queue may be, in seconds.
const BEHIND: f64 = 30.0;
/// So many dead letters of one kind in five minutes are a burst.
pub(super) const BURST: i64 = 20;
/// A webhook's 200 should come within so many seconds.
const SLOW_ACK: f64 = 1.0;
/// A tenant with so many jobs that wait is a flood.
const FLOOD: i64 = 1_000;

/// Something an operator should see to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Complaint {
    /// True: messages wait or are lost to their reader until somebody does something.
    pub urgent: bool,
    pub text: String,
    /// Where it can be seen, and seen to.
    pub link: String,
    /// Its entry in the runbook.
    pub runbook: &'static str,
}

/// Everything that is wrong, the urgent first.
pub(super) fn complaints(now: &Snapshot) -> Vec<Complaint> {
    let mut all = Vec::new();
    queues(now, &mut all);
    processes(now, &mut all);
    ingest(now, &mut all);
    for group in now.slow.groups.iter().filter(|group| group.lately >= BURST) {
        all.push(Complaint {
            urgent: true,
            text: format!(
                "{} dead letters of {} in five minutes: look at one, pause the kind if more will follow",
                format::count(group.lately),
                group.fingerprint
            ),
            link: format!("/ops/dead/group?f={}", format::encoded(&group.fingerprint)),
            runbook: "dead-letters",
        });
    }
    let dead: i64 = now.slow.groups.iter().map(|group| group.count).sum();
    if dead > 0 {
        all.push(Complaint {
            urgent: false,
            text: format!(
                "{} for a decision, of {}",
                format::many(dead, "dead letter waits", "dead letters wait"),
                format::many(now.slow.groups.len(), "kind of failure", "kinds of failure")
            ),
            link: "/ops/dead".to_owned(),
            runbook: "dead-letters",
        });
    }
    // A queue that is paused is told with what waits in it.
    let paused: Vec<String> = now
        .pauses
        .iter()
        .filter(|pause| !pause.what.starts_with("queue:"))
        .map(|pause| format!("{} by {}", pause.what, pause.paused_by))
        .collect();
    if !paused.is_empty() {
        all.push(Complaint {
            urgent: false,
            text: format!("paused: {}; resume it when it is time", paused.join(", ")),
            link: "/ops/control".to_owned(),
            runbook: "a-queue-grows",
        });
    }
    for channel in &now.slow.channels {
        let waiting = format::many(channel.waiting, "message waits", "messages wait");
        let name = format!("{} channel {} of {}", channel.kind, channel.name.as_deref().unwrap_or("without a name"), channel.tenant);
        let text = if channel.status == "ERROR" {
            let error = channel.error.as_deref().unwrap_or("it cannot send");
            Some(format!("{name} is in error ({waiting}): {error}"))
        } else {
            let error = channel.last_error.as_deref().filter(|_| !channel.paused);
            error.map(|error| format!("{name}: {waiting}, {error}"))
        };
        all.extend(text.map(|text| Complaint {
            urgent: channel.status == "ERROR" && channel.waiting > 0,
            text,
            link: format!("/ops/jobs?queue=outbound&tenant={}", channel.tenant_id),
            runbook: "messages-do-not-go-out",
        }));
    }
    for waits in now.slow.tenants.iter().filter(|waits| waits.tenant_id > 0 && waits.ready >= FLOOD && !waits.paused) {
        all.push(Complaint {
            urgent: false,
            text: format!(
                "{} (tenant {}) has {} or more jobs waiting in {}: others take turns with it; pause the tenant if it is not meant to",
                waits.name.as_deref().unwrap_or("somebody"),
                waits.tenant_id,
                format::count(FLOOD),
                waits.queue
            ),
            link: format!("/ops/jobs?tenant={}&state=queued", waits.tenant_id),
            runbook: "a-queue-grows",
        });
    }
    all.sort_by_key(|complaint| !complaint.urgent);
    all
}

fn queues(now: &Snapshot, all: &mut Vec<Complaint>) {
    for queue in &now.queues {
        let (name, waiting) = (&queue.queue, format::many(queue.ready, "job waits", "jobs wait"));
        let paused = now.is_paused(&format!("queue:{name}"));
        // Overrides were enqueued a day ahead: their age says nothing.
        let behind = queue.oldest_s.filter(|oldest| *oldest > BEHIND && !paused && name != queue::OVERRIDES.name);
        let mut complain = |urgent, text, runbook| {
            all.push(Complaint { urgent, text, link: format!("/ops/jobs?queue={name}&state=queued"), runbook });
        };
        if paused && queue.ready > 0 {
            complain(false, format!("{name} is paused and {waiting}: resume it when it is time"), "a-queue-grows");
        } else if queue.ready > 0 && now.workers_of(name).all(|process| process.draining) {
            let text = if now.workers_of(name).next().is_some() {
                format!("every worker that serves {name} is drained and {waiting}: let one take jobs again")
            } else {
                format!("no worker serves {name} and {waiting}: start one with --queues {name}")
            };
            complain(true, text, "a-worker-or-an-api-process-dies");
        } else if let Some(oldest) = behind {
            let drained = now.drained_in(queue).map_or_else(
                || "it does not shrink: add workers".to_owned(),
                |seconds| format!("empty in about {} at this rate", format::seconds(seconds)),
            );
            complain(
                true,
                format!("{name} is behind: {waiting}, the oldest since {}; {drained}", format::seconds(oldest)),
                "a-queue-grows",
            );
        }
    }
}

fn processes(now: &Snapshot, all: &mut Vec<Complaint>) {
    let silent: Vec<&str> =
        now.processes.iter().filter(|process| process.silent_s >= SILENT).map(|process| process.name.as_str()).collect();
    if let Some(first) = silent.first() {
        let more = if silent.len() > 1 { format!(" and {} more", silent.len() - 1) } else { String::new() };
        all.push(Complaint {
            urgent: !now.processes.iter().any(|process| process.role == "worker" && process.silent_s < SILENT),
            text: format!("{first}{more} went silent without taking leave: see its log, and that something starts it again"),
            link: "/ops#processes".to_owned(),
            runbook: "a-worker-or-an-api-process-dies",
        });
    }
    let mut versions: Vec<&str> =
        now.processes.iter().filter(|process| process.silent_s < SILENT).map(|process| process.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.len() > 1 {
        all.push(Complaint {
            urgent: false,
            text: format!("processes of different versions run ({}): fine while a new one rolls out", versions.join(", ")),
            link: "/ops#processes".to_owned(),
            runbook: "a-new-version",
        });
    }
}

fn ingest(now: &Snapshot, all: &mut Vec<Complaint>) {
    let lane = now.lane("ingest");
    if lane.failed > 0 {
        let reasons: Vec<String> = lane.errors.iter().map(|(reason, times)| format!("{reason} {times}")).collect();
        let is_ours = |reason: &String| ["database", "full", "writer"].contains(&reason.as_str());
        let again = if lane.errors.keys().all(is_ours) { "providers send them again" } else { "providers may not send them again" };
        all.push(Complaint {
            urgent: lane.errors.keys().any(is_ours),
            text: format!(
                "{} refused in the last minute ({}): {again}",
                format::many(lane.failed, "webhook was", "webhooks were"),
                reasons.join(", ")
            ),
            link: "/ops/history?queue=ingest".to_owned(),
            runbook: "webhooks-are-refused",
        });
    }
    if let Some(p99) = lane.wait.quantile(0.99).filter(|p99| *p99 > SLOW_ACK) {
        all.push(Complaint {
            urgent: false,
            text: format!("one webhook in a hundred waits {} for its 200", format::seconds(p99)),
            link: "/ops/history?queue=ingest".to_owned(),
            runbook: "postgres-is-down",
        });
    }
}
