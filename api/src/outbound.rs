//! Submitting a message: the one way in which every contract sends. The message and its job are written in the caller's
//! transaction; whoever sends it, a worker does.

use crate::{ApiError, App, auth::Caller};
use chrono::TimeDelta;
use domain::{Change, ConversationId, MessageId, TenantId};
use jobs::{expire_override, queue, send_outbound};
use salvo::http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::{
    PgConnection,
    inbound::OverrideSet,
    ledger,
    outbound::{self, NewOutbound},
    realtime,
};

/// After a customer's last message WhatsApp takes only templates once this has passed
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages#customer-service-windows>).
const WINDOW: TimeDelta = TimeDelta::hours(24);

/// The types of media that can be sent.
pub(crate) const MEDIA_TYPES: [&str; 4] = ["image", "video", "audio", "document"];

/// What to say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Draft {
    Text(String),
    Media {
        kind: &'static str,
        url: String,
        caption: Option<String>,
        file_name: Option<String>,
    },
    Template {
        name: String,
        language: String,
        components: Value,
    },
    /// Buttons or a list, in WhatsApp's shape; `text`: what is read above them.
    Interactive {
        text: Option<String>,
        interactive: Value,
    },
}

/// What to say, and perhaps to which message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Saying {
    pub draft: Draft,
    /// The message of the same conversation that it answers.
    pub answers: Option<MessageId>,
}

impl From<Draft> for Saying {
    fn from(draft: Draft) -> Self {
        Self { draft, answers: None }
    }
}

/// Who says it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Author<'a> {
    /// Keeps the bot away.
    Person(&'a Caller),
    Service,
    /// An agent elsewhere that was handed a turn: a person who writes before it is sent keeps it from going out.
    Agent {
        human_epoch: i32,
    },
}

/// A message that waits to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Submitted {
    pub id: MessageId,
    rings_overrides: bool,
}

impl App {
    /// Writes the message and its job. 404 if the conversation is not the tenant's; 400 if WhatsApp's window has closed, or it answers what cannot be
    /// answered.
    pub(crate) async fn submit(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        conversation: ConversationId,
        saying: impl Into<Saying>,
        author: Author<'_>,
    ) -> Result<Submitted, ApiError> {
        let Saying { draft, answers } = saying.into();
        let templated = matches!(draft, Draft::Template { .. });
        let by = match author {
            Author::Person(caller) => Some(caller.user),
            Author::Service | Author::Agent { .. } => None,
        };
        let mut new = compose(conversation, draft, by);
        if let Author::Agent { human_epoch } = author
            && let Some(meta) = new.meta.as_object_mut()
        {
            meta.insert("human_epoch".to_owned(), Value::from(human_epoch));
        }
        if let Some(message) = answers {
            let found = outbound::answerable(conn, tenant, conversation, message).await?;
            let wrong = "must be the id of a message of this conversation that has reached the channel";
            new.reply_to = Some(found.ok_or_else(|| ApiError::invalid_field("replyTo", wrong))?);
        }
        let ttl = TimeDelta::from_std(self.human_override_ttl).unwrap_or(WINDOW);
        let written = outbound::write(conn, tenant, &new, ttl).await?.ok_or_else(|| ApiError::not_found("Conversation"))?;
        if !templated && outbound::window_is_closed(conn, tenant, written.conversation, WINDOW).await? {
            return Err(window_closed());
        }
        let mut jobs = Vec::new();
        if !written.is_delivered {
            jobs.push(send_outbound::job_for(tenant, written.conversation, written.id, None));
        }
        if let Some(until) = written.override_until {
            jobs.push(expire_override::job_for(&OverrideSet { tenant_id: tenant, conversation_id: written.conversation, until }, None));
        }
        ledger::enqueue(conn, &jobs).await?;
        let changes =
            vec![Change::MessageCreated { message: written.id }, Change::ConversationUpdated { conversation: written.conversation }];
        realtime::tell(conn, &BTreeMap::from([(tenant, changes)])).await?;
        Ok(Submitted { id: written.id, rings_overrides: written.override_until.is_some() })
    }

    /// Tells the workers, after the commit.
    pub(crate) fn announce(&self, tenant: TenantId, submitted: Submitted) {
        self.waker.changed([tenant]);
        self.waker.ring(queue::OUTBOUND.name, [tenant]);
        if submitted.rings_overrides {
            self.waker.ring(queue::OVERRIDES.name, [tenant]);
        }
    }
}

fn compose(conversation: ConversationId, draft: Draft, by: Option<domain::UserId>) -> NewOutbound {
    let plain =
        |message_type, content| NewOutbound { conversation, message_type, content, media: None, reply_to: None, meta: json!({}), by };
    match draft {
        Draft::Text(text) => plain("text", Some(text)),
        Draft::Media { kind, url, caption, file_name } => {
            let media = match file_name {
                Some(name) => json!({"type": kind, "url": url, "filename": name}),
                None => json!({"type": kind, "url": url}),
            };
            NewOutbound { media: Some(media), ..plain(kind, caption) }
        }
        Draft::Template { name, language, components } => NewOutbound {
            meta: json!({"template": {"name": name, "language": language, "components": components}}),
            ..plain("template", None)
        },
        Draft::Interactive { text, interactive } => NewOutbound { meta: json!({"interactive": interactive}), ..plain("interactive", text) },
    }
}

fn window_closed() -> ApiError {
    let message = "The customer last wrote more than 24 hours ago, so WhatsApp takes only a template message: send one of type template";
    ApiError::new(StatusCode::BAD_REQUEST, "window_closed", message)
}
