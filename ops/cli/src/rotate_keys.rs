//! `switchboard rotate-keys`: seals what tenants entrusted to us with today's key, so that older ones can be forgotten.

use crate::{
    console,
    error::CliError,
    settings::{Settings, sealing},
};
use serde_json::{Map, Value, json};
use store::{
    StoreError,
    channels::{self, SealedChannel, secret_place},
};
use uuid::Uuid;

/// Channels that are read at once.
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
    let (mut rotated, mut current, mut after) = (0_u64, 0_u64, Uuid::nil());
    loop {
        let mut conn = pool.acquire().await.map_err(StoreError::from)?;
        let chunk = channels::list_sealed(&mut conn, after, CHUNK).await?;
        let Some(last) = chunk.last() else { break };
        after = last.id.0;
        for channel in &chunk {
            let old = channel.secrets.values().filter_map(Value::as_str).filter(|sealed| sealing.is_old(sealed)).count();
            let all = u64::try_from(channel.secrets.len()).unwrap_or(0);
            if old == 0 {
                current += all;
                continue;
            }
            let secrets = reseal(&sealing, channel)?;
            if !channels::reseal(&mut conn, channel, secrets).await? {
                return Err(CliError::Usage(format!("channel {} was changed meanwhile: run it again", channel.id)));
            }
            rotated += u64::try_from(old).unwrap_or(0);
            current += all - u64::try_from(old).unwrap_or(0);
        }
        console::note(&format!("{rotated} secrets sealed anew, {current} were already"));
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

fn reseal(sealing: &platform::Sealing, channel: &SealedChannel) -> Result<Map<String, Value>, CliError> {
    let mut secrets = channel.secrets.clone();
    for (name, value) in &mut secrets {
        let Some(sealed) = value.as_str().filter(|sealed| sealing.is_old(sealed)) else { continue };
        let place = secret_place(channel.id, name);
        let anew = sealing.open(&place, sealed).and_then(|secret| sealing.seal(&place, secret.expose()));
        let anew =
            anew.map_err(|error| CliError::Usage(format!("{name} of channel {} of tenant {}: {error}", channel.id, channel.tenant)))?;
        *value = Value::String(anew);
    }
    Ok(secrets)
}
