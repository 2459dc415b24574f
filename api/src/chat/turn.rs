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

/// Waits for the answer.
pub(crate) struct Turn {
    app: App,
    tenant: TenantId,
    pub(crate) said: Said,
    ear: Ear,
    /// When it is looked next.
    look_at: Instant,
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
        Ok(Self { app, tenant, said, ear, look_at })
    }

    /// What happens next.
    pub(crate) async fn next(&mut self) -> Result<Step, ApiError> {
        match timeout_at(self.look_at, self.ear.live.recv()).await {
            Ok(Some(Live::Began)) => Ok(Step::Began),
            Ok(Some(Live::Words { text })) => Ok(Step::Words(text)),
            Ok(Some(Live::Tool { name })) => Ok(Step::Tool(name)),
            Ok(Some(Live::Ended) | None) | Err(_) => {
                let progress = self.progress().await?;
                self.look_at = Instant::now() + LOOK;
                Ok(if progress.settled { Step::Over(progress) } else { Step::Waiting })
            }
        }
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
