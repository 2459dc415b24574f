//! The provider's verdicts on message templates. Seldom, so one by one; in whatever order they come, the latest stays.

use super::{Located, Written, effective_time, of_kind};
use crate::StoreError;
use domain::EventBody;
use sqlx::PgConnection;

/// Applies them to the templates that the tenant has.
pub(super) async fn apply(conn: &mut PgConnection, items: &[Located], written: &mut Written) -> Result<(), StoreError> {
    let mut updates = of_kind(items, |body| if let EventBody::Template(update) = body { Some(update) } else { None });
    updates.sort_by_key(|(item, update)| (item.channel.tenant_id, &update.external_id));
    for (item, update) in updates {
        let at = effective_time(update.at, item.received_at);
        if let Some(status) = update.status {
            let changed = sqlx::query!(
                r#"UPDATE message_templates SET status = $5, rejected_reason = $6, status_at = $7, external_id = $2, updated_at = now()
                   WHERE tenant_id = $1 AND (external_id = $2 OR external_id IS NULL AND name = $3 AND language = $4)
                     AND (status_at IS NULL OR (status_at, status COLLATE "C") < ($7, $5 COLLATE "C"))"#,
                item.channel.tenant_id.0,
                update.external_id,
                update.name,
                update.language,
                status.as_str(),
                update.reason,
                at
            )
            .execute(&mut *conn)
            .await?;
            written.applied += usize::try_from(changed.rows_affected()).unwrap_or(0);
        }
        if let Some(category) = &update.category {
            let changed = sqlx::query!(
                r#"UPDATE message_templates SET category = $5, category_at = $6, external_id = $2, updated_at = now()
                   WHERE tenant_id = $1 AND (external_id = $2 OR external_id IS NULL AND name = $3 AND language = $4)
                     AND (category_at IS NULL OR (category_at, category COLLATE "C") < ($6, $5 COLLATE "C"))"#,
                item.channel.tenant_id.0,
                update.external_id,
                update.name,
                update.language,
                category,
                at
            )
            .execute(&mut *conn)
            .await?;
            written.applied += usize::try_from(changed.rows_affected()).unwrap_or(0);
        }
    }
    Ok(())
}
