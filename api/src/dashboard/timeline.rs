//! What became of a message, step by step: each with when, how long it took, and what was slow or is missing.

use super::format;
use crate::App;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{JobId, RawEventId};
use serde::Serialize;
use serde_json::Value;
use store::{
    PgConnection, StoreError,
    operator::{
        journey::{self, JourneyMessage, JourneyRun, Told},
        pauses, reading, search,
        search::JobDetail,
        webhooks,
    },
};

/// A step that took longer is slow, in seconds.
const SLOW: f64 = 2.0;
/// How long after a message what agents and people did about it is looked for.
const CAUSED_WITHIN: TimeDelta = TimeDelta::minutes(15);
/// Jobs are made in the transaction that causes them: this far from a moment they are looked for.
const NEAR: TimeDelta = TimeDelta::seconds(2);
const JOBS: i64 = 12;
/// Webhooks that are shown of those that hold a text.
const NAMED: i64 = 3;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Step {
    /// Null: it is missing, or its time is not known.
    pub at: Option<DateTime<Utc>>,
    pub what: String,
    pub detail: String,
    /// Seconds, from the step before it or from its own beginning.
    pub took_s: Option<f64>,
    /// What is slow, wrong or missing.
    pub problem: Option<String>,
    /// A page that shows more.
    pub link: Option<String>,
}

impl Step {
    fn new(at: Option<DateTime<Utc>>, what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { at, what: what.into(), detail: detail.into(), took_s: None, problem: None, link: None }
    }

    fn linked(mut self, link: String) -> Self {
        self.link = Some(link);
        self
    }

    fn wrong(mut self, problem: impl Into<String>) -> Self {
        self.problem = Some(problem.into());
        self
    }
}

/// What an id is called that a job names as its webhook's.
pub(super) const WEBHOOK: &str = "a webhook";

/// Ids that a job's arguments name, with what they are.
pub(super) fn links(args: Option<&Value>) -> Vec<(&'static str, String)> {
    let Some(args) = args else { return Vec::new() };
    let one = |name: &str| args[name].as_str().map(str::to_owned);
    let named = [("its message", "message_id"), ("its conversation", "conversation_id")];
    let mut links: Vec<_> = named.iter().filter_map(|(shown, name)| Some((*shown, one(name)?))).collect();
    let events = args["event_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
    links.extend(events.iter().take(3).filter_map(|id| Some((WEBHOOK, id.as_str()?.to_owned()))));
    links
}

/// Everything that is known of a message, in the order in which it happened.
pub(super) async fn of(app: &App, message: &JourneyMessage) -> Result<Vec<Step>, StoreError> {
    let mut tx = reading(&app.operator).await?;
    let conn: &mut PgConnection = &mut tx;
    // What people sent from the business's phone was never ours to send.
    let is_ours = !message.human_override || message.meta.as_ref().is_some_and(|meta| !meta["sent_by"].is_null());
    let mut steps = if message.direction == "outbound" && is_ours { sent(conn, message).await? } else { received(conn, message).await? };
    steps.extend(journey::told(conn, message.tenant_id, message.id, message.created_at - NEAR).await?.iter().map(of_told));
    // What is missing stands where it was noticed: after what there is.
    steps.sort_by_key(|step| step.at.unwrap_or(DateTime::<Utc>::MAX_UTC));
    Ok(steps)
}

/// The version before does not say which status was told.
fn of_told(told: &Told) -> Step {
    let what = match (told.kind.as_str(), told.status.as_deref()) {
        ("message_created", _) => "Told to those who watch".to_owned(),
        ("message_status", Some("unknown")) => "Told: unknown, it may have been sent".to_owned(),
        ("message_status", Some(status)) => format!("Told: {status}"),
        ("message_status", None) => "Its status moved, and was told".to_owned(),
        _ => "It changed, and was told".to_owned(),
    };
    Step::new(Some(told.at), what, format!("realtime event {}", told.kind))
}

async fn received(conn: &mut PgConnection, message: &JourneyMessage) -> Result<Vec<Step>, StoreError> {
    let mut steps = Vec::new();
    match webhooks::of_message(conn, message.id).await? {
        Some(id) => {
            steps.extend(of_webhook(conn, id, Some(message.sent_at)).await?.map(|(_, steps)| steps).unwrap_or_default());
        }
        None => steps.push(Step::new(None, "Webhook received", "its body is not kept any more, or it came another way")),
    }
    let by = if message.human_override { "A person wrote it outside: the bot stays away" } else { "Message stored" };
    steps.push(Step::new(Some(message.created_at), by, format!("{} as {}, status {}", message.message_type, message.id, message.status)));
    if let Some(conversation) = message.conversation_id {
        let span = (message.created_at - TimeDelta::seconds(5), message.created_at + CAUSED_WITHIN);
        for row in journey::jobs_about(conn, &[message.id], (message.created_at - NEAR, message.created_at + NEAR), JOBS).await? {
            let what = if row.kind == "run_auto_reply" { "Agent asked" } else { "Followed by" };
            if row.kind != "process_webhook" {
                steps.extend(of_job(conn, JobId(row.id), what).await?);
            }
        }
        steps.extend(journey::runs(conn, (message.tenant_id, conversation), span).await?.iter().map(of_run));
        let (escalations, until) = journey::people(conn, (message.tenant_id, conversation), message.created_at).await?;
        for escalation in escalations.iter().filter(|escalation| escalation.created_at < span.1) {
            steps.push(Step::new(
                Some(escalation.created_at),
                "A person was called",
                format!("by {}: {}", escalation.raised_by, escalation.reason),
            ));
            if let Some(at) = escalation.assigned_at {
                steps.push(Step::new(Some(at), "A person took it", String::new()));
            }
            if let Some(at) = escalation.resolved_at {
                steps.push(Step::new(Some(at), "Given back", String::new()));
            }
        }
        if let Some(until) = until {
            steps.push(Step::new(
                None,
                "A person has the conversation",
                format!("until {} UTC, unless it is given back", format::moment(until)),
            ));
        }
    }
    Ok(steps)
}

async fn sent(conn: &mut PgConnection, message: &JourneyMessage) -> Result<Vec<Step>, StoreError> {
    let by = message
        .meta
        .as_ref()
        .map_or("an agent or a service", |meta| if meta["sent_by"].is_null() { "an agent or a service" } else { "a person" });
    let mut steps = vec![Step::new(Some(message.created_at), "Written", format!("by {by}, {}", message.message_type))];
    let span = (message.created_at - NEAR, message.created_at + NEAR);
    let mut live = false;
    let mut found = false;
    for row in journey::jobs_about(conn, &[message.id], span, JOBS).await?.into_iter().filter(|row| row.kind == "send_outbound") {
        (found, live) = (true, live || ["queued", "running"].contains(&row.state.as_str()));
        steps.extend(of_job(conn, JobId(row.id), "Sent").await?);
    }
    if !found && ["pending", "sending"].contains(&message.status.as_str()) {
        steps.push(Step::new(None, "Sent", "no job is there to send it").wrong("missing: it waits, and nothing will send it"));
    }
    let why = format::cut(&format::refusals(message.errors.as_ref()), 400);
    let step = match message.status.as_str() {
        "pending" => Step::new(None, "Provider took it", "not yet").wrong(if live { "it waits to be sent" } else { "it is not sent" }),
        "sending" => Step::new(None, "Provider took it", "being asked now, or the answer was lost"),
        "failed" => Step::new(None, "Provider took it", "no").wrong(format!("failed: {why}")),
        "unknown" => Step::new(None, "Provider took it", "nobody knows").wrong(format!("unknown: {why}")),
        status => {
            let id = message.external_id.as_deref().unwrap_or_default();
            Step::new(None, format!("Provider says: {status}"), format!("as {id}"))
        }
    };
    steps.push(step);
    Ok(steps)
}

/// What a queued job waits for: a pause, a time, a job before it. `None`: for its turn, or it is not queued.
pub(super) async fn waits_for(conn: &mut PgConnection, job: &JobDetail) -> Result<Option<String>, StoreError> {
    if job.state != "queued" {
        return Ok(None);
    }
    let held = [format!("queue:{}", job.queue), format!("kind:{}", job.kind), format!("tenant:{}", job.tenant_id)];
    if let Some(pause) = pauses::list(conn).await?.into_iter().find(|pause| held.contains(&pause.what)) {
        let what = pause.what.replacen(':', " ", 1);
        let reason = pause.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        return Ok(Some(format!("the {what} is paused since {} UTC by {}{reason}", format::moment(pause.paused_at), pause.paused_by)));
    }
    if let Some(before) = search::predecessor(conn, JobId(job.id)).await? {
        return Ok(Some(format!("job {before} must end first: they go in order")));
    }
    Ok(job.run_at.filter(|due| *due > job.now).map(|due| format!("it is put off until {} UTC", format::moment(due))))
}

/// A job: that it was made, what it waited for, each failure, and how it ended.
async fn of_job(conn: &mut PgConnection, id: JobId, what: &str) -> Result<Vec<Step>, StoreError> {
    let Some(job) = search::job(conn, id).await? else { return Ok(Vec::new()) };
    let reason = waits_for(conn, &job).await?;
    Ok(steps_of(&job, what, reason))
}

/// The digits of what people write as a phone number. `None`: it is none.
pub(super) fn phone_digits(q: &str) -> Option<String> {
    let digits: String = q.chars().filter(char::is_ascii_digit).collect();
    let is_number = digits.len() >= 6 && q.chars().all(|letter| letter.is_ascii_digit() || " +-()".contains(letter));
    is_number.then_some(digits)
}

/// Where something is that is no message, or none yet: a webhook or a job by its id, or the latest webhooks whose bodies hold a number or a
/// provider's id.
pub(super) async fn without_message(app: &App, q: &str) -> Result<Vec<Step>, StoreError> {
    let mut tx = reading(&app.operator).await?;
    let conn: &mut PgConnection = &mut tx;
    let mut steps = Vec::new();
    let mut ids = Vec::new();
    if let Some(id) = crate::request::parse_uuid(q) {
        ids.push(RawEventId(id));
        if let Some(job) = search::job(conn, JobId(id)).await? {
            let reason = waits_for(conn, &job).await?;
            steps.extend(steps_of(&job, "Run", reason));
            let events = links(job.args.as_ref()).into_iter().filter(|(name, _)| *name == WEBHOOK);
            ids = events.filter_map(|(_, id)| crate::request::parse_uuid(&id)).map(RawEventId).collect();
        }
    } else {
        let text = phone_digits(q).unwrap_or_else(|| q.to_owned());
        if text.len() >= 6 {
            let search = webhooks::Search { text: Some(text), ..webhooks::Search::default() };
            ids = webhooks::find(conn, &search, NAMED).await?.0.into_iter().map(|webhook| RawEventId(webhook.id)).collect();
        }
    }
    for id in ids {
        let Some((webhook, mut found)) = of_webhook(conn, id, None).await? else { continue };
        let problem = match (webhook.tenant_id, webhook.channel_ids.as_slice()) {
            (None, []) => "it names no channel, or cannot be read".to_owned(),
            (None, channels) => format!("nobody has (all of) its channels: {}", channels.join(", ")),
            (Some(_), _) => "nothing of it is a message, or not yet".to_owned(),
        };
        found.push(Step::new(None, "Message stored", "no").wrong(problem).linked(format!("/ops/webhooks/{id}")));
        steps.extend(found);
    }
    steps.sort_by_key(|step| step.at.unwrap_or(DateTime::<Utc>::MAX_UTC));
    steps.dedup();
    Ok(steps)
}

/// That a webhook came, and the jobs that process it. `sent_at`: when its provider says that it was sent.
async fn of_webhook(
    conn: &mut PgConnection,
    id: RawEventId,
    sent_at: Option<DateTime<Utc>>,
) -> Result<Option<(webhooks::Webhook, Vec<Step>)>, StoreError> {
    let Some(webhooks::WebhookBody { webhook, .. }) = webhooks::one(conn, id).await? else { return Ok(None) };
    let at = webhook.received_at;
    let mut step =
        Step::new(Some(at), "Webhook received", format!("{} of {}", format::many(webhook.size_bytes, "byte", "bytes"), webhook.source));
    if let Some(lag) = sent_at.map(|sent| (at - sent).as_seconds_f64()).filter(|lag| *lag > 30.0) {
        step = step.wrong(format!("came {} after the provider says it was sent", format::seconds(lag)));
    }
    let mut steps = vec![step.linked(format!("/ops/webhooks/{id}"))];
    let jobs = journey::jobs_about(conn, &[id.0], (at - NEAR, at + NEAR), JOBS).await?;
    if jobs.is_empty() {
        steps.push(Step::new(None, "Processed", "the job is not kept any more"));
    }
    for row in jobs {
        steps.extend(of_job(conn, JobId(row.id), "Processed in a batch").await?);
    }
    Ok(Some((webhook, steps)))
}

fn steps_of(job: &JobDetail, what: &str, waits_for: Option<String>) -> Vec<Step> {
    let link = format!("/ops/jobs/{}", job.id);
    let errors = job.errors.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
    let at = |error: &Value| error["at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
    let mut steps = vec![Step::new(Some(job.created_at), "Job queued", format!("{} in {}", job.kind, job.queue)).linked(link.clone())];
    for (place, error) in errors.iter().enumerate() {
        let (class, message) = (error["class"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default());
        if class == "waiting" {
            let until = errors
                .get(place + 1)
                .and_then(at)
                .or(job.started_at.filter(|started| Some(*started) > at(error)))
                .or(job.ended_at)
                .unwrap_or(job.now);
            let waited = at(error).map(|from| (until - from).as_seconds_f64().max(0.0));
            let mut step = Step::new(at(error), "Waited", message).linked(link.clone());
            step.problem = Some(format!("waited {}: {message}", waited.map_or_else(|| "a while".to_owned(), format::seconds)));
            step.took_s = waited;
            steps.push(step);
        } else {
            steps.push(
                Step::new(at(error), "Failed", format!("attempt {}: {message}", error["attempt"]))
                    .wrong(format!("{class}: {message}"))
                    .linked(link.clone()),
            );
        }
    }
    let waited = job.started_at.map(|started| (started - job.created_at).as_seconds_f64());
    if let Some(started) = job.started_at {
        let mut step = Step::new(Some(started), what, format!("attempt {}, {}", job.attempt, job.state)).linked(link.clone());
        step.took_s = job.ended_at.map(|ended| (ended - started).as_seconds_f64());
        if let Some(waited) = waited.filter(|waited| *waited > SLOW && errors.is_empty()) {
            step.problem = Some(format!("waited {} in the queue {} before its first run", format::seconds(waited), job.queue));
        }
        if let Some(took) = step.took_s.filter(|took| *took > SLOW && step.problem.is_none()) {
            step.problem = Some(format!("ran for {}", format::seconds(took)));
        }
        steps.push(step);
    } else if job.state == "queued" {
        let waits = (job.now - job.created_at).as_seconds_f64();
        let mut step = Step::new(None, what, "not yet").linked(link.clone());
        step.took_s = Some(waits);
        step.problem = match waits_for {
            Some(reason) => Some(format!("has waited {}: {reason}", format::seconds(waits))),
            None => (waits > SLOW).then(|| format!("has waited {} in the queue {}", format::seconds(waits), job.queue)),
        };
        steps.push(step);
    }
    if job.state == "cancelled" {
        let step = Step::new(job.ended_at, "Cancelled", "by an operator: who and why is in the acts");
        steps.push(step.wrong("it was cancelled, so this is not done").linked("/ops/acts".to_owned()));
    }
    if job.state == "dead" {
        steps.push(
            Step::new(job.ended_at, "Dead letter", job.fingerprint.clone().unwrap_or_default())
                .wrong("it failed for good: see what killed it, mend that, retry it")
                .linked(link),
        );
    }
    steps
}

fn of_run(run: &JourneyRun) -> Step {
    let tools: Vec<&str> =
        run.steps.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(|step| step["tool"].as_str()).collect();
    let tools = if tools.is_empty() { "no tools".to_owned() } else { format!("tools: {}", tools.join(", ")) };
    let detail = format!(
        "{} ({}): {}, {} in, {} out, {tools}",
        run.agent.as_deref().unwrap_or("an agent"),
        run.model.as_deref().unwrap_or("no model"),
        run.outcome,
        format::many(run.prompt_tokens, "token", "tokens"),
        format::count(run.completion_tokens.into())
    );
    let mut step = Step::new(Some(run.created_at), "Agent's run", detail);
    step.problem = run.error.as_ref().map(|error| format!("failed: {error}"));
    step.link = run.message_id.map(|id| format!("/ops/journey?q={id}"));
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(errors: Value) -> JobDetail {
        let at = |second: i64| DateTime::from_timestamp(second, 0).unwrap();
        JobDetail {
            id: uuid::Uuid::nil(),
            state: "done".to_owned(),
            kind: "send_outbound".to_owned(),
            queue: "outbound".to_owned(),
            tenant_id: 1,
            priority: None,
            attempt: 1,
            crashes: 0,
            max_attempts: None,
            ordering_key: None,
            idempotency_key: None,
            fingerprint: None,
            trace: None,
            args: None,
            errors: Some(errors),
            created_at: at(0),
            started_at: Some(at(41)),
            run_at: None,
            ended_at: Some(at(42)),
            runs_on: None,
            now: at(100),
        }
    }

    #[test]
    fn a_wait_is_named_with_what_it_waited_for() {
        let waited =
            json!([{"class": "waiting", "message": "channel throttled by provider (130429)", "attempt": 1, "at": "1970-01-01T00:00:00Z"}]);
        let steps = steps_of(&job(waited), "Sent", None);
        let problems: Vec<&str> = steps.iter().filter_map(|step| step.problem.as_deref()).collect();
        assert_eq!(problems, ["waited 41 s: channel throttled by provider (130429)"]);
        let steps = steps_of(&job(json!([])), "Sent", None);
        assert_eq!(steps.last().unwrap().problem.as_deref(), Some("waited 41 s in the queue outbound before its first run"));
    }
}
