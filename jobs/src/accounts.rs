//! What a job needs to ask a provider on behalf of a channel.

use crate::{JobContext, JobError};
use ::channels::sending::Account;
use domain::ChannelInstanceId;
use platform::Secret;
use serde_json::Value;
use store::{
    StoreError,
    channels::{self as stored_channels, Channel, secret_place},
};

/// The channel, without keeping a connection. `None`: it is gone.
pub(crate) async fn channel(ctx: &JobContext, id: ChannelInstanceId) -> Result<Option<Channel>, JobError> {
    let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
    Ok(stored_channels::get(&mut conn, ctx.tenant, id).await?)
}

/// A secret of the channel. `None`: it has none of this name.
pub(crate) fn open(ctx: &JobContext, channel: &Channel, name: &str) -> Result<Option<Secret>, JobError> {
    let Some(sealed) = channel.secrets.get(name).and_then(Value::as_str) else { return Ok(None) };
    let opened = ctx.services.sealing.open(&secret_place(channel.id, name), sealed);
    opened.map(Some).map_err(|error| JobError::retry("sealed", error.to_string()))
}

/// The channel's account at its provider. `None`: the channel is not set up.
pub(crate) fn account(ctx: &JobContext, channel: &Channel, token: &str) -> Result<Option<Account>, JobError> {
    let (Some(external_id), Some(token)) = (channel.external_id.clone(), open(ctx, channel, token)?) else { return Ok(None) };
    Ok(Some(Account { external_id, token, urls: ctx.services.providers.clone() }))
}
