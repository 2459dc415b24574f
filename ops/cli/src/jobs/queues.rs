//! `switchboard jobs pause`, `resume` and `pauses`.

use crate::{console, error::CliError};
use domain::TenantId;
use jobs::resume_webhooks;
use store::{PgPool, operator::pauses, operator_jobs::Actor};

pub(super) async fn pause(pool: &PgPool, actor: &Actor, what: &str) -> Result<(), CliError> {
    let what = known(what)?;
    if !pauses::exists(pool, &what).await? {
        return Err(CliError::Usage(format!("there is no {}", what.replacen(':', " ", 1))));
    }
    let changed = pauses::hold(pool, actor, &what).await?;
    console::line(&if changed {
        format!("paused: {what} (what runs ends; nothing new starts)")
    } else {
        format!("{what} was paused already")
    });
    Ok(())
}

pub(super) async fn resume(pool: &PgPool, actor: &Actor, what: &str) -> Result<(), CliError> {
    let what = known(what)?;
    let tenant = what.strip_prefix("tenant:").and_then(|id| id.parse().ok()).map(TenantId);
    let follow_up: Vec<_> = tenant.map(resume_webhooks::job_for).into_iter().collect();
    let changed = pauses::release(pool, actor, &what, &follow_up).await?;
    console::line(&if changed { format!("resumed: {what}") } else { format!("{what} was not paused") });
    Ok(())
}

pub(super) async fn list(pool: &PgPool, json: bool) -> Result<(), CliError> {
    let mut conn = pool.acquire().await.map_err(store::StoreError::from)?;
    let pauses = pauses::list(&mut conn).await?;
    if json {
        console::line(&serde_json::json!({ "pauses": pauses }).to_string());
        return Ok(());
    }
    let rows: Vec<Vec<String>> = pauses
        .into_iter()
        .map(|pause| vec![pause.what, pause.paused_at.to_rfc3339(), pause.paused_by, pause.reason.unwrap_or_else(|| "-".to_owned())])
        .collect();
    console::table(&["WHAT", "SINCE", "BY", "WHY"], &rows);
    Ok(())
}

/// A slip of the pen would pause nothing, silently. A name alone is a queue's.
fn known(what: &str) -> Result<String, CliError> {
    let what = if what.contains(':') { what.to_owned() } else { format!("queue:{what}") };
    jobs::pausable(&what).map_err(CliError::Usage)?;
    Ok(what)
}
