//! One run: look, begin, call, write what became of it.

use super::{SendOutbound, lanes::Pass, statements::accept_alone};
use crate::{
    Done, Job, JobContext, JobError,
    provider_call::{self, Lost},
};
use channels::{
    pace::Rate,
    registry,
    sending::{Account, Answer, Call, Outgoing, Recipient, Refusal, Sender, Then},
};
use domain::{ChannelInstanceId, ChannelType, MessageId};
use platform::Secret;
use serde_json::{Map, Value};
use std::time::Duration;
use store::{
    PgConnection, PoolConnection, StoreError,
    channels::{self as stored_channels, Report},
    operator::pauses,
    sending::{self, Accepted, Begun, Held, Waiting},
};

/// How long messages wait for a provider that is away, or for a channel that somebody must see to.
const PATIENCE: Duration = Duration::from_hours(24);
/// How often those look whose channel is in error.
const CHANNEL_LOOK: Duration = Duration::from_secs(15);
/// How often those look at most whose channel is paused: ever more seldom, for they are called when it is resumed.
const LONGEST_LOOK: Duration = Duration::from_mins(5);
/// How often what became of a call is written again when the database is away, and how long is waited in between.
const WRITE_TRIES: u32 = 20;
const WRITE_PAUSE: Duration = Duration::from_millis(500);

/// One message on its way.
struct Sending<'a> {
    id: MessageId,
    channel: ChannelInstanceId,
    kind: ChannelType,
    ctx: &'a JobContext,
}

/// What became of a message, to be written with the job's end.
enum End {
    Accepted(Accepted),
    /// It failed, and nobody can do anything about the job.
    Failed {
        errors: Value,
    },
    /// It failed for now: the job is a dead letter, and sends it when it is driven again.
    Buried {
        errors: Value,
        error: JobError,
    },
    Unknown {
        errors: Value,
    },
}

pub(super) async fn run(id: MessageId, ctx: &JobContext) -> Result<Done, JobError> {
    // No connection is held from one step to the next: a run that waits for a second one would keep the first from others.
    let Some(message) = ctx.services.sends.look((ctx.tenant, id)).await? else { return Ok(Done::WITHOUT_EFFECTS) };
    // The database knows no other types than ours.
    let Some(kind) = message.channel_kind else { return Ok(Done::WITHOUT_EFFECTS) };
    let this = Sending { id, channel: message.channel, kind, ctx };
    if message.accepted {
        return Ok(Done::WITHOUT_EFFECTS);
    }
    match message.status.as_str() {
        "sending" => {
            let refusal = Refusal::give_up("The connection broke off while this was being sent: it may or may not have arrived");
            return this.end(End::Unknown { errors: refusal.errors() }).await;
        }
        "pending" => {}
        // Its job was put back.
        "failed" => this.revive().await?,
        _ => return Ok(Done::WITHOUT_EFFECTS),
    }
    if message.overtaken {
        let refusal = Refusal::give_up("A person wrote before the agent's answer went out, so it did not");
        return this.end(End::Failed { errors: refusal.errors() }).await;
    }
    match message.held {
        Some(Held::Paused { since }) => return Err(later((since / 4).clamp(CHANNEL_LOOK, LONGEST_LOOK), pauses::CHANNEL_PAUSED, false)),
        Some(Held::InError) => {
            let reason = "The channel could not send for 24 hours: reconnect it and send again";
            return this.wait(CHANNEL_LOOK, "channel in error: it needs a new token", reason).await;
        }
        None => {}
    }
    let pass = match ctx.services.lanes.enter(message.channel) {
        Ok(pass) => pass,
        Err(delay) => {
            let Some(why) = ctx.services.lanes.why(message.channel) else {
                return Err(later(delay, "other calls of the channel must end first", false));
            };
            return this.wait(delay, &why, "The provider could not be reached for 24 hours").await;
        }
    };
    if let Err(delay) = this.turn(&message).await {
        let why = "channel sends as fast as its provider takes messages";
        return this.wait(delay, why, "The channel sends more than its provider takes").await;
    }
    let Some(begun) = ctx.services.sends.begin((ctx.tenant, id)).await? else { return Err(JobError::Snooze(Duration::from_secs(1))) };
    Box::pin(this.send(begun, pass)).await
}

/// Not all at once.
fn later(delay: Duration, why: &str, counts: bool) -> JobError {
    JobError::Wait { delay: delay.mul_f64(1.0 + 0.2 * rand::random::<f64>()), reason: why.to_owned(), counts }
}

/// `channel throttled by provider (130429)`
fn refused_because(what: &str, refusal: &Refusal) -> String {
    match (refusal.code, &refusal.detail) {
        (Some(code), _) => format!("{what} ({code})"),
        (None, Some(detail)) => format!("{what} ({detail})"),
        (None, None) => what.to_owned(),
    }
}

async fn connection(ctx: &JobContext) -> Result<PoolConnection, StoreError> {
    Ok(ctx.services.pool.acquire().await?)
}

impl Sending<'_> {
    async fn revive(&self) -> Result<(), JobError> {
        let mut tx = self.ctx.begin().await?;
        self.ctx.hold(&mut tx).await?;
        sending::revive(&mut tx, self.ctx.tenant, self.id).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    /// The message is `sending`.
    async fn send(&self, begun: Begun, pass: Pass) -> Result<Done, JobError> {
        let secrets = begun.secrets.clone();
        let (sender, call) = match self.compose(begun) {
            Ok(composed) => composed,
            Err(refusal) => return self.refused(&secrets, refusal, &pass).await,
        };
        match provider_call::make(&self.ctx.services.http, &call).await {
            Ok((status, retry_after, body)) => match (sender.read)(status, retry_after, &body) {
                Answer::Accepted { external_id } => {
                    pass.answered();
                    drop(pass);
                    self.accepted(external_id).await
                }
                Answer::Refused(refusal) => self.refused(&secrets, refusal, &pass).await,
                Answer::Unclear(what) => self.unclear(what, &pass).await,
            },
            Err(Lost::Before(what)) => {
                let reason = "The provider could not be reached".to_owned();
                self.refused(&secrets, Refusal { then: Then::Unavailable, detail: Some(what), ..Refusal::give_up(reason) }, &pass).await
            }
            Err(Lost::After(what)) => self.unclear(what, &pass).await,
        }
    }

    /// The provider takes one more message of this channel, and of this person.
    async fn turn(&self, message: &Waiting) -> Result<(), Duration> {
        let Some(sender) = registry::sender(self.kind) else { return Ok(()) };
        let of_channel = match message.per_second {
            Some(messages) => Rate::per_second(messages),
            None => (sender.pace.channel)(&message.message_type),
        };
        let person = message.recipient.as_deref().and_then(sender.pace.person);
        self.ctx.services.throttle.turn(self.channel, of_channel, person.map(|rate| (message.conversation, rate))).await
    }

    fn compose(&self, begun: Begun) -> Result<(&'static Sender, Call), Refusal> {
        let services = &self.ctx.services;
        let sender = registry::sender(self.kind);
        let sender = sender.ok_or_else(|| Refusal::give_up("Messages cannot be sent on channels of this type"))?;
        let no_token = || Refusal::give_up("The channel has no access token: give it one and send again");
        let sealed = begun.secrets.get(sender.token).and_then(Value::as_str).ok_or_else(no_token)?;
        let place = stored_channels::secret_place(self.channel, sender.token);
        let token: Secret = services.sealing.open(&place, sealed).map_err(|error| {
            // The operator's trouble, not the tenant's: it waits until the key is right again.
            tracing::error!(channel = %self.channel, %error, "a channel's token cannot be opened, so its messages wait");
            Refusal { then: Then::Unavailable, ..Refusal::give_up("The channel's token cannot be read here") }
        })?;
        let external_id = begun.channel_external_id.clone().ok_or_else(no_token)?;
        let account = Account { external_id, token, urls: services.providers.clone() };
        let message = Outgoing {
            id: self.id,
            to: Recipient { phone: begun.customer_phone.map(|phone| phone.trim_start_matches('+').to_owned()), ids: begun.identities },
            since_inbound: begun.since_inbound,
            by_person: begun.by_person,
            message_type: begun.message_type,
            content: begun.content,
            media: begun.media,
            reply_to: begun.reply_to,
            meta: begun.meta,
        };
        Ok((sender, (sender.compose)(&account, &message)?))
    }

    /// The provider has it.
    async fn accepted(&self, external_id: String) -> Result<Done, JobError> {
        let accepted = Accepted { tenant: self.ctx.tenant, id: self.id, channel: self.channel, kind: self.kind, external_id };
        if self.ctx.services.sends.accept(self.ctx, accepted.clone()).await {
            self.ctx.told([self.ctx.tenant]);
            return Ok(self.ctx.committed());
        }
        self.end(End::Accepted(accepted)).await
    }

    async fn unclear(&self, what: String, pass: &Pass) -> Result<Done, JobError> {
        pass.failed();
        let reason = "The provider's answer was lost: this may or may not have arrived";
        let refusal = Refusal { detail: Some(what), ..Refusal::give_up(reason) };
        self.end(End::Unknown { errors: refusal.errors() }).await
    }

    /// The provider does not have the message.
    async fn refused(&self, secrets: &Map<String, Value>, refusal: Refusal, pass: &Pass) -> Result<Done, JobError> {
        let errors = refusal.errors();
        tracing::debug!(message = %self.id, channel = %self.channel, ?refusal, "not sent");
        match refusal.then {
            Then::GiveUp => {
                pass.answered();
                self.end(End::Failed { errors }).await
            }
            Then::Reconnect => {
                pass.answered();
                let mut conn = connection(self.ctx).await?;
                let report = Report { status: "ERROR", error: Some(&refusal.reason) };
                if stored_channels::report(&mut conn, self.ctx.tenant, self.channel, secrets, report).await? {
                    self.ctx.told([self.ctx.tenant]);
                    tracing::warn!(channel = %self.channel, reason = refusal.reason, "a channel cannot send until somebody sees to it");
                }
                self.end(End::Failed { errors }).await
            }
            Then::Retry if self.ctx.is_last_attempt => {
                let error = JobError::fail("refused", refusal.reason);
                self.end(End::Buried { errors, error }).await
            }
            Then::Retry => {
                pass.answered();
                self.put_back().await?;
                Err(JobError::retry("refused", refusal.reason))
            }
            Then::Unavailable => {
                pass.failed();
                self.put_back().await?;
                self.wait(Duration::from_secs(2), &refused_because("provider unavailable", &refusal), &refusal.reason).await
            }
            Then::Move => {
                pass.answered();
                if let Some(id) = &refusal.moved_to {
                    sending::moved(&mut *connection(self.ctx).await?, self.ctx.tenant, self.id, id).await?;
                }
                if self.ctx.is_last_attempt {
                    return self.end(End::Buried { errors, error: JobError::fail("moved", refusal.reason) }).await;
                }
                self.put_back().await?;
                Err(JobError::retry("moved", refusal.reason))
            }
            Then::Wait { delay, all } => {
                pass.answered();
                let why = refused_because(if all { "channel throttled by provider" } else { "provider takes this later" }, &refusal);
                if all {
                    pass.told_to_wait(delay, &why);
                }
                self.put_back().await?;
                self.wait(delay, &why, &refusal.reason).await
            }
        }
    }

    /// Comes back later at no cost, keeping `why`; unless the message has waited for too long, which is its `reason` to fail. What operators
    /// paused, and the time in which nothing ran, are no part of that.
    async fn wait(&self, delay: Duration, why: &str, reason: &str) -> Result<Done, JobError> {
        if self.ctx.waited < PATIENCE {
            return Err(later(delay, why, true));
        }
        let errors = Refusal::give_up(reason).errors();
        self.end(End::Buried { errors, error: JobError::fail("waited_too_long", reason) }).await
    }

    async fn put_back(&self) -> Result<(), JobError> {
        let mut conn = connection(self.ctx).await?;
        Ok(sending::put_back(&mut conn, self.ctx.tenant, self.id).await?)
    }

    /// Writes what became of the message, and the job's end with it. It is known once only, so it is written again and again
    /// while the database is away.
    async fn end(&self, end: End) -> Result<Done, JobError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Box::pin(self.try_end(&end)).await {
                Err(JobError::Surroundings(error)) if tries < WRITE_TRIES => {
                    tracing::warn!(%error, message = %self.id, "what became of a message is not written yet; trying again");
                    tokio::time::sleep(WRITE_PAUSE).await;
                }
                // Somebody else has the job, and took the message for lost. What the provider said is true all the same.
                Err(JobError::Fenced) => {
                    if let End::Accepted(accepted) = &end {
                        accept_alone(self.ctx, accepted).await?;
                    }
                    return Err(JobError::Fenced);
                }
                other => return other,
            }
        }
    }

    async fn try_end(&self, end: &End) -> Result<Done, JobError> {
        let mut tx = self.ctx.begin().await?;
        let conn: &mut PgConnection = &mut tx;
        let (tenant, mut burials) = (self.ctx.tenant, Vec::new());
        match end {
            End::Accepted(accepted) => {
                // A receipt of this moment may hold the id: it is there when this is tried again.
                sending::accepted(conn, &[accepted]).await.map_err(|error| {
                    if error.violated() == Some("chat_messages_external") { StoreError::Stale("a receipt") } else { error }
                })?;
            }
            End::Failed { errors } => sending::gave_up(conn, tenant, self.id, "failed", errors).await?,
            End::Unknown { errors } => sending::gave_up(conn, tenant, self.id, "unknown", errors).await?,
            End::Buried { errors, error } => {
                sending::gave_up(conn, tenant, self.id, "failed", errors).await?;
                burials.extend(self.ctx.only_job().map(|job| error.burial(job, SendOutbound::KIND, self.ctx.attempt)));
            }
        }
        self.ctx.told([tenant]);
        let done = self.ctx.commit_burying(tx, &burials).await?;
        // Only what is really written is told, and once.
        if let End::Buried { error, .. } = end {
            tracing::error!(class = error.class(), %error, message = %self.id, "dead letter: see `switchboard jobs list --state dead`");
            metrics::counter!("switchboard_jobs_dead_total", "kind" => SendOutbound::KIND).increment(1);
        }
        Ok(done)
    }
}
