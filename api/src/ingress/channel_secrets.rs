//! Secrets by which channels' webhooks are known: a bot's, a tenant's own Meta app. Remembered for a while.

use crate::ApiError;
use channels::{meta_signature::SignatureKey, telegram_bot};
use domain::{ChannelInstanceId, ChannelNaming, TenantId};
use platform::{Sealing, Secret};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use store::{
    PgPool,
    channel_instances::{self, ChannelSecret, secrets_of},
    channels::secret_place,
};
use tokio::sync::Semaphore;

/// How long a secret is believed. One that does not fit is looked up again at once.
const BELIEVED_FOR: Duration = Duration::from_secs(30);
const CAPACITY: usize = 50_000;
/// A body that names more channels than this is not looked into for whose it may be.
const MOST_CHANNELS: usize = 8;
/// Anybody may ask: so many look-ups run at once.
const LOOK_UPS: usize = 4;

const APP_SECRET: &str = "appSecret";

pub(crate) struct ChannelSecrets {
    pool: PgPool,
    sealing: Arc<Sealing>,
    bots: Mutex<HashMap<ChannelInstanceId, (Secret, Instant)>>,
    looking: Semaphore,
}

impl ChannelSecrets {
    pub(crate) fn new(pool: PgPool, sealing: Arc<Sealing>) -> Self {
        Self { pool, sealing, bots: Mutex::default(), looking: Semaphore::new(LOOK_UPS) }
    }

    fn bots(&self) -> MutexGuard<'_, HashMap<ChannelInstanceId, (Secret, Instant)>> {
        self.bots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is `given` what Telegram sends to this channel's address?
    pub(super) async fn is_webhook_secret(&self, id: ChannelInstanceId, given: &[u8]) -> Result<bool, ApiError> {
        let Ok(given) = std::str::from_utf8(given) else { return Ok(false) };
        let known = self.bots().get(&id).filter(|(_, at)| at.elapsed() < BELIEVED_FOR).map(|(secret, _)| secret.matches(given));
        if known == Some(true) {
            return Ok(true);
        }
        if given.is_empty() {
            return Ok(false);
        }
        let found = self.look_up(ChannelNaming::InstanceId, &[id.to_string()], telegram_bot::WEBHOOK_SECRET).await?;
        let Some((_, secret)) = found.into_iter().next() else { return Ok(false) };
        let fits = secret.matches(given);
        let mut bots = self.bots();
        if bots.len() >= CAPACITY {
            bots.clear();
        }
        bots.insert(id, (secret, Instant::now()));
        Ok(fits)
    }

    /// The tenant whose own Meta app signed this body: it has one of the channels that the body names.
    pub(super) async fn owner_who_signed(
        &self,
        naming: ChannelNaming,
        ids: &[String],
        signature: Option<&[u8]>,
        body: &[u8],
    ) -> Result<Option<TenantId>, ApiError> {
        if ids.is_empty() || ids.len() > MOST_CHANNELS {
            return Ok(None);
        }
        let secrets = self.look_up(naming, ids, APP_SECRET).await?;
        let signed = secrets.into_iter().find(|(_, secret)| SignatureKey::new(secret.expose().as_bytes()).verify(signature, body).is_ok());
        Ok(signed.map(|(tenant, _)| tenant))
    }

    /// Is it the verify token of some tenant, or of a channel? A handshake is rare, and refused while the database is away.
    pub(super) async fn is_verify_token(&self, token: &str) -> bool {
        let Ok(_permit) = self.looking.acquire().await else { return false };
        !token.is_empty() && channel_instances::is_verify_token(&self.pool, token).await.unwrap_or(false)
    }

    async fn look_up(&self, naming: ChannelNaming, ids: &[String], name: &str) -> Result<Vec<(TenantId, Secret)>, ApiError> {
        let _permit = self.looking.acquire().await.map_err(|error| ApiError::internal(&error))?;
        let found = secrets_of(&self.pool, naming, ids, name).await?;
        let opened = found.into_iter().filter_map(|ChannelSecret { channel, sealed }| {
            let place = secret_place(channel.id, name);
            self.sealing
                .open(&place, &sealed)
                .inspect_err(|error| tracing::error!(channel = %channel.id, %error, name, "a channel's secret cannot be opened"))
                .ok()
                .map(|secret| (channel.tenant_id, secret))
        });
        Ok(opened.collect())
    }
}
