//! `switchboard rotate-keys`: seals what tenants entrusted to us with today's key, so that older ones can be forgotten.

use crate::{
    console,
    error::CliError,
    settings::{Settings, sealing},
};
use domain::TenantId;
use serde_json::{Map, Value, json};
use store::{
    StoreError,
    sealed::{self, Holder, Sealed},
};
use uuid::Uuid;

/// Holders of secrets that are read at once.
const CHUNK: i64 = 500;

#[derive(Debug, clap::Args)]
pub(crate) struct RotateKeysArgs {
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &RotateKeysArgs, settings: &Settings) -> Result<(), CliError> {
    let sealing = sealing(settings);
    if settings.get("SWITCHBOARD_ENCRYPTION_KEY").is_none() {
        return Err(CliError::Usage(
            "SWITCHBOARD_ENCRYPTION_KEY is not set: set it to the new key, and SWITCHBOARD_OLD_ENCRYPTION_KEYS to the old ones".to_owned(),
        ));
    }
    let pool = settings.pool()?;
    let (mut rotated, mut current) = (0_usize, 0_usize);
    for holder in Holder::ALL {
        let mut after = (TenantId(0), Uuid::nil());
        loop {
            let mut conn = pool.acquire().await.map_err(StoreError::from)?;
            let chunk = sealed::list(&mut conn, holder, after, CHUNK).await?;
            let Some(last) = chunk.last() else { break };
            after = (last.tenant, last.id);
            for one in &chunk {
                let old = one.secrets.values().filter_map(Value::as_str).filter(|sealed| sealing.is_old(sealed)).count();
                rotated += old;
                current += one.secrets.len() - old;
                if old > 0 && !sealed::replace(&mut conn, one, reseal(&sealing, one)?).await? {
                    return Err(CliError::Usage(format!("{} was changed meanwhile: run it again", named(one))));
                }
            }
            console::note(&format!("{rotated} secrets sealed anew, {current} were already"));
        }
    }
    if args.json {
        console::line(&json!({"rotated": rotated, "current": current}).to_string());
    } else {
        console::line(&format!(
            "{rotated} secrets were sealed anew with today's key, {current} were already; older keys can be removed from SWITCHBOARD_OLD_ENCRYPTION_KEYS"
        ));
    }
    Ok(())
}

fn reseal(sealing: &platform::Sealing, holder: &Sealed) -> Result<Map<String, Value>, CliError> {
    let mut secrets = holder.secrets.clone();
    for (name, value) in &mut secrets {
        let Some(sealed) = value.as_str().filter(|sealed| sealing.is_old(sealed)) else { continue };
        let place = holder.place(name);
        let anew = sealing.open(&place, sealed).and_then(|secret| sealing.seal(&place, secret.expose()));
        *value = Value::String(anew.map_err(|error| CliError::Usage(format!("{name} of {}: {error}", named(holder))))?);
    }
    Ok(secrets)
}

fn named(holder: &Sealed) -> String {
    match holder.holder {
        Holder::Channel => format!("channel {} of tenant {}", holder.id, holder.tenant),
        Holder::Tool => format!("tool {} of tenant {}", holder.id, holder.tenant),
        Holder::Model => format!("the model of tenant {}", holder.tenant),
    }
}
