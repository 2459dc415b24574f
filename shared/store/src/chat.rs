//! Chat on a website. A session is a conversation on the tenant's widget channel, whose id the client may choose; its user is a customer. What is said
//! becomes a message like any other, and RunAutoReply answers it.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ConversationId, CustomerId, MessageId, TenantId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Something that a user of a website says.
#[derive(Clone, Debug)]
pub struct Saying<'a> {
    pub session: ConversationId,
    /// A customer's id; `None`: whoever has the session, or somebody new.
    pub user: Option<CustomerId>,
    /// The client's name for it: the same again is not said twice.
    pub external_id: &'a str,
    pub text: &'a str,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub conversation: ConversationId,
    pub user: CustomerId,
    pub message: MessageId,
    pub sent_at: DateTime<Utc>,
    /// It was said just now, in this transaction. False: it was said before.
    pub is_new: bool,
}

/// Why it cannot be said.
#[derive(Debug, thiserror::Error)]
pub enum NotSaid {
    /// The session is another tenant's, or a conversation on another channel, or another user's.
    #[error("the session is somebody else's")]
    NotTheirs,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for NotSaid {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Sessions of one user that may begin at once.
const MOST_RACES: usize = 10;

/// A conversation that the website's chat is about.
struct Session {
    id: Uuid,
    user: Uuid,
    channel: Uuid,
    is_chat: bool,
    closed: bool,
}

/// Writes it. A session that was closed is open again; a user's other session is closed then, since a customer has one at a time on a channel.
pub async fn say(conn: &mut PgConnection, tenant: TenantId, saying: &Saying<'_>) -> Result<Said, NotSaid> {
    let session = match find(conn, tenant, saying.session).await? {
        Some(session) => session,
        None => begin(conn, tenant, saying).await?,
    };
    let user = match saying.user {
        Some(user) => resolved(conn, tenant, user).await?.unwrap_or(user.0),
        None => session.user,
    };
    if !session.is_chat || user != session.user {
        return Err(NotSaid::NotTheirs);
    }
    if session.closed {
        close_others(conn, tenant, &session).await?;
    }
    let id = Uuid::now_v7();
    let written = sqlx::query_scalar!(
        "WITH said AS (
           INSERT INTO chat_messages (tenant_id, id, conversation_id, channel_instance_id, external_id, direction, message_type, status, channel_source,
                                      content, sent_at)
           VALUES ($1, $2, $3, $4, $5, 'inbound', 'text', 'received', 'widget', $6, now())
           ON CONFLICT (tenant_id, channel_instance_id, external_id) DO NOTHING RETURNING conversation_id, sent_at),
         moved AS (
           UPDATE chat_conversations c
           SET status = 'open', closed_at = NULL, unread_count = c.unread_count + 1, last_message_at = greatest(c.last_message_at, s.sent_at),
               last_inbound_at = greatest(c.last_inbound_at, s.sent_at)
           FROM said s WHERE c.tenant_id = $1 AND c.id = s.conversation_id)
         SELECT sent_at FROM said",
        tenant.0,
        id,
        session.id,
        session.channel,
        saying.external_id,
        saying.text
    )
    .fetch_optional(&mut *conn)
    .await?;
    let said = |message, sent_at, is_new| Said {
        conversation: ConversationId(session.id),
        user: CustomerId(session.user),
        message: MessageId(message),
        sent_at,
        is_new,
    };
    if let Some(sent_at) = written {
        return Ok(said(id, sent_at, true));
    }
    let before = sqlx::query!(
        "SELECT id, sent_at FROM chat_messages
         WHERE tenant_id = $1 AND channel_instance_id = $2 AND external_id = $3 AND conversation_id = $4 AND direction = 'inbound'",
        tenant.0,
        session.channel,
        saying.external_id,
        session.id
    )
    .fetch_optional(conn)
    .await?;
    before.map(|row| said(row.id, row.sent_at, false)).ok_or(NotSaid::NotTheirs)
}

async fn find(conn: &mut PgConnection, tenant: TenantId, id: ConversationId) -> Result<Option<Session>, StoreError> {
    Ok(sqlx::query_as!(
        Session,
        r#"SELECT id, customer_id AS "user", channel_instance_id AS channel, channel_source = 'widget' AS "is_chat!", status = 'closed' AS "closed!"
           FROM chat_conversations WHERE tenant_id = $1 AND id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)"#,
        tenant.0,
        id.0
    )
    .fetch_optional(conn)
    .await?)
}

/// Who a customer is by now. `None`: there is no such customer.
async fn resolved(conn: &mut PgConnection, tenant: TenantId, user: CustomerId) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT coalesce(merged_into, id) AS "id!" FROM customers WHERE tenant_id = $1 AND id = $2"#,
        tenant.0,
        user.0
    )
    .fetch_optional(conn)
    .await?)
}

/// Makes a session, and whoever has it if they are new.
async fn begin(conn: &mut PgConnection, tenant: TenantId, saying: &Saying<'_>) -> Result<Session, NotSaid> {
    let wanted = saying.user.unwrap_or(CustomerId(saying.session.0));
    let mut person = introduce(conn, tenant, wanted).await?;
    if person.is_none() {
        make_channel(conn, tenant).await?;
        person = introduce(conn, tenant, wanted).await?;
    }
    let person = person.ok_or(StoreError::Stale("the widget channel"))?;
    let session = Session { id: saying.session.0, user: person.id, channel: person.channel, is_chat: true, closed: false };
    if person.was_known {
        close_others(conn, tenant, &session).await?;
    }
    for _ in 0..MOST_RACES {
        if insert(conn, tenant, &session).await? {
            return Ok(session);
        }
        // Somebody was faster, with the same session, or with another of the same user.
        if let Some(found) = find(conn, tenant, saying.session).await? {
            return Ok(found);
        }
        close_others(conn, tenant, &session).await?;
    }
    // Another tenant's, which cannot be seen.
    Err(NotSaid::NotTheirs)
}

/// False: there is one of this id, or its user has another.
async fn insert(conn: &mut PgConnection, tenant: TenantId, session: &Session) -> Result<bool, StoreError> {
    let result = sqlx::query!(
        "INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, channel_source) VALUES ($1, $2, $3, $4, 'widget')
         ON CONFLICT DO NOTHING",
        tenant.0,
        session.id,
        session.channel,
        session.user
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// A customer on the tenant's widget channel.
struct Person {
    id: Uuid,
    channel: Uuid,
    was_known: bool,
}

/// Who a customer is by now, and known on the widget channel; somebody new is made. `None`: there is no such channel.
async fn introduce(conn: &mut PgConnection, tenant: TenantId, wanted: CustomerId) -> Result<Option<Person>, StoreError> {
    Ok(sqlx::query_as!(
        Person,
        r#"WITH channel AS (SELECT id FROM channel_instances WHERE tenant_id = $1 AND type = 'WIDGET' ORDER BY created_at, id LIMIT 1),
             known AS (SELECT coalesce(merged_into, id) AS id FROM customers WHERE tenant_id = $1 AND id = $2),
             made AS (INSERT INTO customers (tenant_id, id) SELECT $1, $2 WHERE EXISTS (SELECT FROM channel) AND NOT EXISTS (SELECT FROM known)
                      ON CONFLICT DO NOTHING),
             person AS (SELECT coalesce((SELECT id FROM known), $2) AS id),
             named AS (INSERT INTO customer_identities (tenant_id, channel_instance_id, external_id, customer_id)
                       SELECT $1, c.id, p.id::text, p.id FROM channel c, person p ON CONFLICT DO NOTHING)
           SELECT p.id AS "id!", c.id AS channel, EXISTS (SELECT FROM known) AS "was_known!" FROM channel c, person p"#,
        tenant.0,
        wanted.0
    )
    .fetch_optional(conn)
    .await?)
}

async fn close_others(conn: &mut PgConnection, tenant: TenantId, session: &Session) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH closed AS (UPDATE chat_conversations SET status = 'closed', closed_at = now(), updated_at = now()
                         WHERE tenant_id = $1 AND channel_instance_id = $2 AND customer_id = $3 AND status <> 'closed' AND id <> $4 RETURNING id)
         UPDATE escalations SET resolved_at = ledger_now()
         WHERE tenant_id = $1 AND conversation_id IN (SELECT id FROM closed) AND resolved_at IS NULL",
        tenant.0,
        session.channel,
        session.user,
        session.id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The tenant's widget channel is made when the first visitor writes.
async fn make_channel(conn: &mut PgConnection, tenant: TenantId) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO channel_instances (tenant_id, type, external_id, name, status) VALUES ($1, 'WIDGET', 'website:' || $1::int4, 'Website', 'CONNECTED')
         ON CONFLICT (type, external_id) DO NOTHING",
        tenant.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How far the answer to something is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The answer: an agent's, or a person's who was faster.
    pub answer: Option<Answer>,
    /// Nothing more will come by itself.
    pub settled: bool,
    /// `active escalated assigned resolved`.
    pub status: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub id: Uuid,
    pub text: String,
    pub by_person: bool,
    /// The passages that an agent was shown.
    pub citations: Option<Value>,
    pub sent_at: DateTime<Utc>,
}

/// Looks how far the answer to `said` is.
pub async fn progress(conn: &mut PgConnection, tenant: TenantId, said: &Said) -> Result<Progress, StoreError> {
    // First whether it is settled: an answer that comes in between is found then.
    let state = sqlx::query!(
        r#"SELECT coalesce(c.replied_through >= $3, false) OR c.status = 'closed' OR coalesce(c.human_override_until > ledger_now(), false)
                  OR coalesce(e.raised_by <> 'failure' OR e.assigned_to IS NOT NULL OR e.created_at >= $4, false)
                  OR NOT EXISTS (SELECT FROM agents a WHERE a.tenant_id = c.tenant_id AND a.active AND may_answer(a)) AS "settled!",
                  session_status(c) AS "status!"
           FROM chat_conversations c
           LEFT JOIN escalations e ON e.tenant_id = c.tenant_id AND e.conversation_id = c.id AND e.resolved_at IS NULL
           WHERE c.tenant_id = $1 AND c.id = $2"#,
        tenant.0,
        said.conversation.0,
        said.message.0,
        said.sent_at
    )
    .fetch_one(&mut *conn)
    .await?;
    if said.is_new {
        return Ok(Progress { answer: None, settled: state.settled, status: state.status });
    }
    let answer = sqlx::query_as!(
        Answer,
        r#"SELECT id, coalesce(content, '') AS "text!", human_override AS by_person, meta -> 'citations' AS citations, sent_at FROM chat_messages
           WHERE tenant_id = $1 AND conversation_id = $2 AND sent_at >= $3 AND id > $4 AND direction = 'outbound' AND status <> 'failed'
           ORDER BY tenant_id, conversation_id, sent_at, id LIMIT 1"#,
        tenant.0,
        said.conversation.0,
        said.sent_at,
        said.message.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(Progress { settled: answer.is_some() || state.settled, answer, status: state.status })
}
