//! Rows that a batch of webhooks touches, before and after: what would appear, and what would be changed.

use crate::{StoreError, inbound::Located};
use domain::EventBody;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use std::collections::BTreeMap;

/// A row that would appear, or the values of one that would be changed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// `chat_messages`, `chat_conversations` or `customers`.
    pub table: String,
    pub tenant_id: i32,
    /// Its id; of a message the provider's.
    pub key: String,
    /// Of a changed row only the columns that differ.
    pub before: Option<Value>,
    pub after: Value,
}

/// Rows by table, tenant and key.
pub type Rows = BTreeMap<(String, i32, String), Value>;

/// A transaction that will be undone. It waits half a second for a row that others hold, and no statement takes more than two.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    Ok(pool.begin_with("BEGIN; SET LOCAL lock_timeout = 500; SET LOCAL statement_timeout = 2000").await?)
}

/// Undoes it.
pub async fn undo(tx: Transaction<'static, Postgres>) -> Result<(), StoreError> {
    Ok(tx.rollback().await?)
}

/// The messages that `items` name or are, their conversations, and the people in them.
pub async fn rows(conn: &mut PgConnection, items: &[Located]) -> Result<Rows, StoreError> {
    let mut wanted: Vec<(i32, uuid::Uuid, String)> = Vec::new();
    for item in items {
        let name = match &item.event.body {
            EventBody::Message(message) => Some(&message.external_id),
            EventBody::Status(status) => Some(&status.external_id),
            EventBody::Edit(edit) => Some(&edit.target_external_id),
            EventBody::Revoke(revoke) => Some(&revoke.target_external_id),
            EventBody::Reaction(reaction) => Some(&reaction.target_external_id),
            _ => None,
        };
        wanted.extend(name.map(|name| (item.channel.tenant_id.0, item.channel.id.0, name.clone())));
    }
    let found = sqlx::query!(
        r#"
        WITH m AS (
          SELECT m.* FROM unnest($1::int4[], $2::uuid[], $3::text[]) w(tenant_id, channel_instance_id, external_id)
          CROSS JOIN LATERAL (SELECT * FROM chat_messages x WHERE x.tenant_id = w.tenant_id AND x.channel_instance_id = w.channel_instance_id
                              AND x.external_id = w.external_id OFFSET 0) m),
        c AS (
          SELECT c.* FROM (SELECT DISTINCT tenant_id, conversation_id FROM m) k
          CROSS JOIN LATERAL (SELECT * FROM chat_conversations x WHERE x.tenant_id = k.tenant_id AND x.id = k.conversation_id OFFSET 0) c)
        SELECT 'chat_messages' AS "table!", tenant_id AS "tenant_id!", external_id AS "key!", to_jsonb(m) AS "row!" FROM m
        UNION SELECT 'chat_conversations', tenant_id, id::text, to_jsonb(c) FROM c
        UNION SELECT 'customers', p.tenant_id, p.id::text, to_jsonb(p) FROM (SELECT DISTINCT tenant_id, customer_id FROM c) k
          CROSS JOIN LATERAL (SELECT * FROM customers x WHERE x.tenant_id = k.tenant_id AND x.id = k.customer_id OFFSET 0) p
        "#,
        &wanted.iter().map(|row| row.0).collect::<Vec<_>>(),
        &wanted.iter().map(|row| row.1).collect::<Vec<_>>(),
        &wanted.iter().map(|row| row.2.clone()).collect::<Vec<_>>()
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(|row| ((row.table, row.tenant_id, row.key), row.row)).collect())
}

/// The same rows as they are, outside of the transaction.
pub async fn as_they_are(pool: &PgPool, rows: &Rows) -> Result<Rows, StoreError> {
    let of = |table: &str| {
        let keys = rows.keys().filter(move |(of, _, _)| of == table);
        keys.map(|(_, tenant, key)| (*tenant, key.clone())).unzip::<i32, String, Vec<_>, Vec<_>>()
    };
    let ids = |keys: Vec<String>| keys.iter().filter_map(|key| key.parse().ok()).collect::<Vec<uuid::Uuid>>();
    let messages: Vec<uuid::Uuid> = rows
        .iter()
        .filter(|((table, _, _), _)| table == "chat_messages")
        .filter_map(|(_, row)| row["id"].as_str().and_then(|id| id.parse().ok()))
        .collect();
    let (message_tenants, _) = of("chat_messages");
    let ((conversation_tenants, conversations), (customer_tenants, customers)) = (of("chat_conversations"), of("customers"));
    let found = sqlx::query!(
        r#"
        SELECT 'chat_messages' AS "table!", m.tenant_id AS "tenant_id!", m.external_id AS "key!", to_jsonb(m) AS "row!"
        FROM unnest($1::int4[], $2::uuid[]) w(tenant_id, id) JOIN chat_messages m ON m.tenant_id = w.tenant_id AND m.id = w.id
        WHERE m.external_id IS NOT NULL
        UNION ALL
        SELECT 'chat_conversations', c.tenant_id, c.id::text, to_jsonb(c)
        FROM unnest($3::int4[], $4::uuid[]) w(tenant_id, id) JOIN chat_conversations c ON c.tenant_id = w.tenant_id AND c.id = w.id
        UNION ALL
        SELECT 'customers', k.tenant_id, k.id::text, to_jsonb(k)
        FROM unnest($5::int4[], $6::uuid[]) w(tenant_id, id) JOIN customers k ON k.tenant_id = w.tenant_id AND k.id = w.id
        "#,
        &message_tenants,
        &messages,
        &conversation_tenants,
        &ids(conversations),
        &customer_tenants,
        &ids(customers)
    )
    .fetch_all(pool)
    .await?;
    Ok(found.into_iter().map(|row| ((row.table, row.tenant_id, row.key), row.row)).collect())
}

/// What appeared, and what changed.
pub fn difference(before: &Rows, after: &Rows) -> (Vec<Row>, Vec<Row>) {
    let (mut appear, mut change) = (Vec::new(), Vec::new());
    for ((table, tenant_id, key), row) in after {
        let shown =
            |before: Option<Value>, after: Value| Row { table: table.clone(), tenant_id: *tenant_id, key: key.clone(), before, after };
        match before.get(&(table.clone(), *tenant_id, key.clone())) {
            None => appear.push(shown(None, row.clone())),
            Some(old) if old != row => {
                let (Some(old), Some(new)) = (old.as_object(), row.as_object()) else { continue };
                let differ = |name: &&String| old.get(*name) != new.get(*name);
                let of = |map: &serde_json::Map<String, Value>| {
                    Value::Object(
                        new.keys().filter(differ).map(|name| (name.clone(), map.get(name).cloned().unwrap_or_default())).collect(),
                    )
                };
                change.push(shown(Some(of(old)), of(new)));
            }
            Some(_) => {}
        }
    }
    (appear, change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_is_what_appears_and_the_columns_that_change() {
        let key = |key: &str| ("chat_messages".to_owned(), 1, key.to_owned());
        let before = Rows::from([(key("a"), json!({"status": "sent", "content": "x"})), (key("b"), json!({"status": "sent"}))]);
        let after = Rows::from([
            (key("a"), json!({"status": "read", "content": "x"})),
            (key("b"), json!({"status": "sent"})),
            (key("c"), json!({"status": "received"})),
        ]);
        let (appear, change) = difference(&before, &after);
        assert_eq!(appear.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["c"]);
        assert_eq!((change.len(), &change[0].before, &change[0].after), (1, &Some(json!({"status": "sent"})), &json!({"status": "read"})));
    }
}
