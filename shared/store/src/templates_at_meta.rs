//! Message templates as their provider knows them.

use crate::StoreError;
use chrono::{DateTime, Utc};
use domain::{ListedTemplate, TemplateId, TemplateStatus, TenantId};
use sqlx::PgConnection;

/// What became of a template that was submitted.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// The account has it, under this id.
    Taken {
        account: &'a str,
        external_id: &'a str,
        status: TemplateStatus,
    },
    Rejected {
        reason: &'a str,
    },
    /// It could not be submitted yet: why.
    Waiting {
        reason: &'a str,
    },
}

/// Writes it. False: there is no such template any more, or the provider has told more of it meanwhile.
pub async fn note(conn: &mut PgConnection, tenant: TenantId, id: TemplateId, verdict: Verdict<'_>) -> Result<bool, StoreError> {
    let (account, external_id, status, reason) = match verdict {
        Verdict::Taken { account, external_id, status } => (Some(account), Some(external_id), status, None),
        Verdict::Rejected { reason } => (None, None, TemplateStatus::Rejected, Some(reason)),
        Verdict::Waiting { reason } => (None, None, TemplateStatus::Pending, Some(reason)),
    };
    // A webhook that was faster knows better.
    let result = sqlx::query!(
        "UPDATE message_templates
         SET external_id = coalesce($3, external_id), account_id = coalesce($4, account_id), updated_at = now(),
             status = CASE WHEN status_at IS NULL THEN $5 ELSE status END,
             rejected_reason = CASE WHEN status_at IS NULL THEN $6 ELSE rejected_reason END
         WHERE tenant_id = $1 AND id = $2",
        tenant.0,
        id.0,
        external_id,
        account,
        status.as_str(),
        reason
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// When a list begins to be read.
pub async fn reading_since(conn: &mut PgConnection) -> Result<DateTime<Utc>, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT date_trunc('second', now()) AS "now!""#).fetch_one(conn).await?)
}

/// Takes over an account's list as it was at `at`. News that are later stay, and so do templates of another account.
pub async fn take_over(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &str,
    list: &[ListedTemplate],
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO message_templates AS t (tenant_id, id, name, language, category, status, external_id, account_id, components, rejected_reason,
                                             status_at, category_at)
         SELECT DISTINCT ON (n.name, n.language) $1, n.id, n.name, n.language, n.category, n.status, n.external_id, $2, n.components, n.reason, $3, $3
         FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::jsonb[], $11::text[])
              n(id, name, language, category, status, external_id, components, reason)
         ORDER BY n.name, n.language
         ON CONFLICT (tenant_id, name, language) DO UPDATE
           SET external_id = excluded.external_id, account_id = excluded.account_id, components = excluded.components, updated_at = now(),
               status = CASE WHEN t.status_at > excluded.status_at THEN t.status ELSE excluded.status END,
               rejected_reason = CASE WHEN t.status_at > excluded.status_at THEN t.rejected_reason
                                      ELSE coalesce(excluded.rejected_reason,
                                                    CASE WHEN t.status = excluded.status AND t.external_id = excluded.external_id THEN t.rejected_reason END) END,
               status_at = greatest(t.status_at, excluded.status_at),
               category = CASE WHEN t.category_at > excluded.category_at THEN t.category ELSE excluded.category END,
               category_at = greatest(t.category_at, excluded.category_at)
           WHERE t.account_id IS NULL OR t.account_id = excluded.account_id",
        tenant.0,
        account,
        at,
        &list.iter().map(|_| TemplateId::generate().0).collect::<Vec<_>>(),
        &list.iter().map(|template| template.name.clone()).collect::<Vec<_>>(),
        &list.iter().map(|template| template.language.clone()).collect::<Vec<_>>(),
        &list.iter().map(|template| template.category.clone()).collect::<Vec<_>>(),
        &list.iter().map(|template| template.status.as_str().to_owned()).collect::<Vec<_>>(),
        &list.iter().map(|template| template.external_id.clone()).collect::<Vec<_>>(),
        &list.iter().map(|template| template.components.clone()).collect::<Vec<_>>(),
        &list.iter().map(|template| template.rejected_reason.clone()).collect::<Vec<_>>() as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Templates of an account that its whole list, read since `at`, does not hold cannot be sent any more. Returns how many.
pub async fn retire(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &str,
    listed: &[String],
    at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let result = sqlx::query!(
        "UPDATE message_templates SET status = 'DISABLED', rejected_reason = 'It is not in the WhatsApp Business account any more', status_at = $4,
                updated_at = now()
         WHERE tenant_id = $1 AND account_id = $2 AND external_id <> ALL($3) AND status <> 'DISABLED' AND updated_at < $4",
        tenant.0,
        account,
        listed,
        at
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected())
}

/// Templates that no account has yet.
pub async fn not_submitted(conn: &mut PgConnection, tenant: TenantId) -> Result<Vec<TemplateId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM message_templates WHERE tenant_id = $1 AND external_id IS NULL AND status = 'PENDING' ORDER BY created_at, id",
        tenant.0
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(TemplateId).collect())
}
