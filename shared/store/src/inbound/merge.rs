//! Two customers turn out to be one person.

use crate::StoreError;
use domain::CustomerId;
use sqlx::PgConnection;

/// Makes `drop` the same person as `keep`: its identities, conversations and phone number go to `keep`, and it points there
/// (`merged_into`) so that older links resolve. Where both have a live conversation on a channel, they are joined.
///
/// Both rows are locked in the order of their ids; the conversations that go are locked too, so that a batch which still
/// knows the old one finds it closed and starts over.
pub(super) async fn customers(conn: &mut PgConnection, tenant: i32, keep: CustomerId, drop: CustomerId) -> Result<(), StoreError> {
    let locked = sqlx::query!(
        "SELECT id, phone_number, instagram_psid, facebook_psid, name, merged_into FROM customers WHERE tenant_id = $1 AND id = ANY($2) ORDER BY id FOR UPDATE",
        tenant,
        &[keep.0, drop.0]
    )
    .fetch_all(&mut *conn)
    .await?;
    // Done already is fine: what still points at the old one follows. Merged with somebody else: read again who is who.
    let gone = locked.iter().any(|row| row.merged_into.is_some_and(|into| row.id == keep.0 || into != keep.0));
    if locked.len() < 2 || gone {
        return Err(StoreError::Stale("a customer"));
    }
    sqlx::query!(
        "UPDATE customers SET merged_into = $3, phone_number = NULL, instagram_psid = NULL, facebook_psid = NULL, updated_at = now()
         WHERE tenant_id = $1 AND id = $2",
        tenant,
        drop.0,
        keep.0
    )
    .execute(&mut *conn)
    .await?;
    // Rows that were merged into the dropped one before follow it, so that resolving stays one step.
    sqlx::query!("UPDATE customers SET merged_into = $3 WHERE tenant_id = $1 AND merged_into = $2 AND id <> $3", tenant, drop.0, keep.0)
        .execute(&mut *conn)
        .await?;
    if let Some(old) = locked.into_iter().find(|row| row.id == drop.0) {
        sqlx::query!(
            "UPDATE customers SET phone_number = coalesce(phone_number, $3), instagram_psid = coalesce(instagram_psid, $4),
                    facebook_psid = coalesce(facebook_psid, $5), name = coalesce(name, $6), updated_at = now()
             WHERE tenant_id = $1 AND id = $2",
            tenant,
            keep.0,
            old.phone_number,
            old.instagram_psid,
            old.facebook_psid,
            old.name
        )
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query!("UPDATE customer_identities SET customer_id = $3 WHERE tenant_id = $1 AND customer_id = $2", tenant, drop.0, keep.0)
        .execute(&mut *conn)
        .await?;
    join_conversations(conn, tenant, keep, drop).await
}

async fn join_conversations(conn: &mut PgConnection, tenant: i32, keep: CustomerId, drop: CustomerId) -> Result<(), StoreError> {
    let pairs = sqlx::query!(
        r#"
        SELECT d.id AS "from!", k.id AS "into!"
        FROM chat_conversations d JOIN chat_conversations k
          ON k.tenant_id = d.tenant_id AND k.channel_instance_id = d.channel_instance_id AND k.customer_id = $2 AND k.status <> 'closed'
        WHERE d.tenant_id = $1 AND d.customer_id = $3 AND d.status <> 'closed'
        ORDER BY d.id FOR UPDATE
        "#,
        tenant,
        keep.0,
        drop.0
    )
    .fetch_all(&mut *conn)
    .await?;
    for pair in pairs {
        // Where both wait for a person, one of them does from now on.
        sqlx::query!(
            "UPDATE escalations d SET resolved_at = now() WHERE d.tenant_id = $1 AND d.conversation_id = $2 AND d.resolved_at IS NULL
               AND EXISTS (SELECT FROM escalations k WHERE k.tenant_id = $1 AND k.conversation_id = $3 AND k.resolved_at IS NULL)",
            tenant,
            pair.from,
            pair.into
        )
        .execute(&mut *conn)
        .await?;
        sqlx::query!(
            "UPDATE escalations SET conversation_id = $3 WHERE tenant_id = $1 AND conversation_id = $2",
            tenant,
            pair.from,
            pair.into
        )
        .execute(&mut *conn)
        .await?;
        sqlx::query!(
            "WITH runs AS (UPDATE agent_runs SET conversation_id = $3 WHERE tenant_id = $1 AND conversation_id = $2),
                  asked AS (UPDATE agent_collaborations SET conversation_id = $3 WHERE tenant_id = $1 AND conversation_id = $2)
             UPDATE tool_callbacks SET conversation_id = $3 WHERE tenant_id = $1 AND conversation_id = $2 AND told_at IS NULL",
            tenant,
            pair.from,
            pair.into
        )
        .execute(&mut *conn)
        .await?;
        sqlx::query!(
            "UPDATE chat_messages SET conversation_id = $3 WHERE tenant_id = $1 AND conversation_id = $2",
            tenant,
            pair.from,
            pair.into
        )
        .execute(&mut *conn)
        .await?;
        sqlx::query!(
            r#"
            WITH gone AS (UPDATE chat_conversations SET status = 'closed', closed_at = now(), merged_into = $3, human_override_until = NULL
                          WHERE tenant_id = $1 AND id = $2 RETURNING unread_count, last_message_at, last_inbound_at, human_epoch),
            -- Conversations joined into this one before follow it, so that resolving stays one step.
            moved AS (UPDATE chat_conversations SET merged_into = $3 WHERE tenant_id = $1 AND merged_into = $2),
            old AS (SELECT status, assigned_to, meta, human_override_until FROM chat_conversations WHERE tenant_id = $1 AND id = $2)
            UPDATE chat_conversations k
            SET status = CASE WHEN o.status = 'open' THEN 'open' ELSE k.status END,
                assigned_to = coalesce(k.assigned_to, o.assigned_to),
                meta = o.meta || k.meta,
                unread_count = k.unread_count + g.unread_count,
                last_message_at = greatest(k.last_message_at, g.last_message_at),
                last_inbound_at = greatest(k.last_inbound_at, g.last_inbound_at),
                human_override_until = greatest(k.human_override_until, o.human_override_until),
                human_epoch = k.human_epoch + g.human_epoch
            FROM gone g, old o WHERE k.tenant_id = $1 AND k.id = $3
            "#,
            tenant,
            pair.from,
            pair.into
        )
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query!("UPDATE chat_conversations SET customer_id = $3 WHERE tenant_id = $1 AND customer_id = $2", tenant, drop.0, keep.0)
        .execute(conn)
        .await?;
    Ok(())
}
