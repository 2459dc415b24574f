//! What an agent has to know of a conversation, and the moment at which its answer counts.

use crate::StoreError;
use chrono::TimeDelta;
use domain::{ConversationId, CustomerId, MessageId, TenantId};
use sqlx::PgConnection;

/// A conversation that an agent may answer in.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The conversation that it is by now, if it was joined with another.
    pub conversation: ConversationId,
    pub customer: CustomerId,
    /// Counts people's messages: an answer counts only if nobody wrote meanwhile.
    pub human_epoch: i32,
    /// A person has it or is waited for, or it is closed.
    pub taken: bool,
    /// How long until the cooldown is over.
    pub cooldown: Option<TimeDelta>,
    /// The newest message that waits for an answer, if one does.
    pub newest: Option<MessageId>,
    /// Tools have answered what the customer was not told yet.
    pub has_results: bool,
    /// What was said, the oldest first.
    pub history: Vec<Said>,
}

/// A message, as an agent reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub by_customer: bool,
    pub message_type: String,
    pub text: Option<String>,
}

/// Looks at a conversation. `None`: there is none.
pub async fn look(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversation: ConversationId,
    cooldown: TimeDelta,
    most: i64,
) -> Result<Option<Waiting>, StoreError> {
    let found = sqlx::query!(
        r#"SELECT c.id, c.customer_id, c.human_epoch, c.replied_through,
                  c.status = 'closed' OR coalesce(c.human_override_until > ledger_now(), false)
                  OR EXISTS (SELECT FROM escalations e WHERE e.tenant_id = c.tenant_id AND e.conversation_id = c.id AND e.resolved_at IS NULL
                               AND (e.raised_by <> 'failure' OR e.assigned_to IS NOT NULL)) AS "taken!",
                  EXISTS (SELECT FROM tool_callbacks b WHERE b.tenant_id = c.tenant_id AND b.conversation_id = c.id
                            AND b.answered_at IS NOT NULL AND b.told_at IS NULL) AS "has_results!",
                  extract(epoch FROM c.auto_replied_at + make_interval(secs => $3) - ledger_now())::float8 AS cooldown
           FROM chat_conversations c
           WHERE c.tenant_id = $1 AND c.id = (SELECT coalesce(merged_into, id) FROM chat_conversations WHERE tenant_id = $1 AND id = $2)"#,
        tenant.0,
        conversation.0,
        cooldown.as_seconds_f64()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let rows = sqlx::query!(
        "SELECT id, direction, message_type, content FROM chat_messages
         WHERE tenant_id = $1 AND conversation_id = $2 AND direction <> 'system' AND status <> 'failed' AND revoked_at IS NULL
         ORDER BY tenant_id, conversation_id, sent_at DESC, id DESC LIMIT $3",
        tenant.0,
        found.id,
        most
    )
    .fetch_all(conn)
    .await?;
    // Ids are in the order of arrival, whatever the provider's times.
    let newest = rows.iter().filter(|row| row.direction == "inbound").map(|row| row.id).max();
    let said = |direction: &str, message_type: String, text| Said { by_customer: direction == "inbound", message_type, text };
    Ok(Some(Waiting {
        conversation: ConversationId(found.id),
        customer: CustomerId(found.customer_id),
        human_epoch: found.human_epoch,
        taken: found.taken,
        cooldown: found.cooldown.filter(|seconds| *seconds > 0.0).and_then(|seconds| {
            #[expect(clippy::cast_possible_truncation, reason = "a cooldown is short")]
            TimeDelta::try_milliseconds((seconds * 1_000.0).ceil() as i64)
        }),
        newest: newest.filter(|id| found.replied_through.is_none_or(|through| through < *id)).map(MessageId),
        has_results: found.has_results,
        history: rows.into_iter().rev().map(|row| said(&row.direction, row.message_type, row.content)).collect(),
    }))
}

/// Takes the conversation for an answer to everything up to `through` (`None`: nothing more than before), and ends what was escalated because no answer came. False: a person has written or
/// was called since `human_epoch`, or has it, or it is closed: the answer must not go out.
pub async fn answer(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversation: ConversationId,
    human_epoch: i32,
    through: Option<MessageId>,
) -> Result<bool, StoreError> {
    let taken = sqlx::query_scalar!(
        r#"WITH taken AS (
             UPDATE chat_conversations c SET replied_through = greatest(replied_through, $4), auto_replied_at = ledger_now()
             WHERE tenant_id = $1 AND id = $2 AND human_epoch = $3 AND status <> 'closed' AND coalesce(human_override_until <= ledger_now(), true)
               AND NOT EXISTS (SELECT FROM escalations e WHERE e.tenant_id = c.tenant_id AND e.conversation_id = c.id AND e.resolved_at IS NULL
                                 AND (e.raised_by <> 'failure' OR e.assigned_to IS NOT NULL))
             RETURNING id),
           eased AS (UPDATE escalations e SET resolved_at = ledger_now() FROM taken t
                     WHERE e.tenant_id = $1 AND e.conversation_id = t.id AND e.resolved_at IS NULL AND e.raised_by = 'failure' AND e.assigned_to IS NULL)
           SELECT count(*) AS "n!" FROM taken"#,
        tenant.0,
        conversation.0,
        human_epoch,
        through.map(|id| id.0)
    )
    .fetch_one(conn)
    .await?;
    Ok(taken == 1)
}

/// Nothing will be answered of what came up to `through`.
pub async fn pass_over(
    conn: &mut PgConnection,
    tenant: TenantId,
    conversation: ConversationId,
    through: MessageId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE chat_conversations SET replied_through = greatest(replied_through, $3) WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        conversation.0,
        through.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
