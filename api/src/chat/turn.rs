//! One turn of a chat: something is said, and whoever said it waits for the answer.

use super::ears::Ear;
use crate::{ApiError, App};
use domain::{Change, ConversationId, CustomerId, TenantId};
use jobs::{live::Live, queue, run_auto_reply};
use std::{collections::BTreeMap, time::Duration};
use store::{
    chat::{self, NotSaid, Progress, Said, Saying},
    ledger, realtime,
};
use tokio::time::{Instant, timeout_at};

/// How often it is looked whether there is an answer, although nothing was heard: Redis may be away, a person may have taken over.
const LOOK: Duration = Duration::from_secs(2);

/// After so many looks the answer is asked for again, in case that nobody works on it: a run that nobody listened to ended just when this one came back.
const LOOKS: u32 = 5;

/// Waits for the answer.
pub(crate) struct Turn {
    app: App,
    tenant: TenantId,
    pub(crate) said: Said,
    ear: Ear,
    /// When it is looked next.
    look_at: Instant,
    /// How often it was looked in vain.
    looks: u32,
}

/// What happens while one waits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// The agent begins anew: words before are void.
    Began,
    Words(String),
    Tool(String),
    /// Nothing; for whoever wants to show that they are still there.
    Waiting,
    /// That is it.
    Over(Progress),
}

impl Turn {
    /// Writes what is said, and has the agent answer it. Said again, under the same name, it is only waited for.
    pub(crate) async fn begin(
        app: App,
        tenant: TenantId,
        session: ConversationId,
        user: Option<CustomerId>,
        (external_id, text): (&str, &str),
    ) -> Result<Self, ApiError> {
        // Before anything can be heard. Sessions that were joined are heard under their own name.
        let ear = app.ears.listen(session).await;
        let mut tx = app.tenants.begin_planning(tenant).await?;
        let said = chat::say(&mut tx, tenant, &Saying { session, user, external_id, text }).await.map_err(not_said)?;
        let ear = if said.conversation == session { ear } else { app.ears.listen(said.conversation).await };
        let progress = chat::progress(&mut tx, tenant, &said).await?;
        if !progress.settled {
            ledger::enqueue(&mut tx, &[run_auto_reply::chat_job(tenant, said.conversation, said.message)]).await?;
        }
        if said.is_new {
            let changes =
                vec![Change::MessageCreated { message: said.message }, Change::ConversationUpdated { conversation: said.conversation }];
            realtime::tell(&mut tx, &BTreeMap::from([(tenant, changes)])).await?;
        }
        tx.commit().await?;
        app.waker.ring(queue::AGENTS.name, [tenant]);
        app.waker.changed([tenant]);
        let look_at = if progress.settled { Instant::now() } else { Instant::now() + LOOK };
        Ok(Self { app, tenant, said: Said { is_new: false, ..said }, ear, look_at, looks: 0 })
    }

    /// What happens next.
    pub(crate) async fn next(&mut self) -> Result<Step, ApiError> {
        loop {
            match timeout_at(self.look_at, self.ear.live.recv()).await {
                Ok(Some(Live::Began)) => return Ok(Step::Began),
                Ok(Some(Live::Words { text })) => return Ok(Step::Words(text)),
                Ok(Some(Live::Tool { name })) => return Ok(Step::Tool(name)),
                Ok(Some(Live::Still)) => {}
                heard => {
                    let progress = self.progress().await?;
                    if progress.settled {
                        return Ok(Step::Over(progress));
                    }
                    self.look_at = Instant::now() + LOOK;
                    self.looks += 1;
                    if heard == Ok(Some(Live::Ended)) || self.looks.is_multiple_of(LOOKS) {
                        self.ask_again().await?;
                    }
                    return Ok(Step::Waiting);
                }
            }
        }
    }

    /// Has the agent answer it, unless it is at it.
    async fn ask_again(&self) -> Result<(), ApiError> {
        let mut tx = self.app.tenants.begin_planning(self.tenant).await?;
        ledger::enqueue(&mut tx, &[run_auto_reply::chat_job(self.tenant, self.said.conversation, self.said.message)]).await?;
        tx.commit().await?;
        self.app.waker.ring(queue::AGENTS.name, [self.tenant]);
        Ok(())
    }

    /// How far the answer is.
    pub(crate) async fn progress(&self) -> Result<Progress, ApiError> {
        let mut tx = self.app.tenants.begin_planning(self.tenant).await?;
        Ok(chat::progress(&mut tx, self.tenant, &self.said).await?)
    }
}

fn not_said(error: NotSaid) -> ApiError {
    match error {
        NotSaid::NotTheirs => ApiError::not_found("Session"),
        NotSaid::Store(error) => error.into(),
    }
}
