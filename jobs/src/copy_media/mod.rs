//! CopyMedia: copies the file that came with a message, before its address at the provider expires.

use crate::{
    Done, Job, JobContext, JobError, Policy, accounts, new_job,
    provider_call::{self, Lost},
    queue,
};
use channels::{
    media::{File, Place},
    registry,
    sending::Account,
};
use domain::{Change, MessageId, TenantId};
use futures::StreamExt;
use platform::guarded::Refused;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use store::{StoreError, inbound::WrittenMessage, ledger::NewJob, media};
use tokio::io::AsyncWriteExt;

/// Copies a message's file, unless there is a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyMedia {
    pub message_id: MessageId,
}

impl Job for CopyMedia {
    const KIND: &'static str = "copy_media";
    const POLICY: Policy = Policy {
        queue: queue::CHORES.name,
        max_attempts: 8,
        backoff: Duration::from_secs(2),
        max_backoff: Duration::from_mins(10),
        timeout: Duration::from_mins(3),
    };

    async fn run(self, ctx: &JobContext) -> Result<Done, JobError> {
        let tenant = ctx.tenant;
        let mut conn = ctx.services.pool.acquire().await.map_err(StoreError::from)?;
        let Some(file) = media::file_of(&mut conn, tenant, self.message_id).await? else { return Ok(Done::WITHOUT_EFFECTS) };
        drop(conn);
        let channel = accounts::channel(ctx, file.channel).await?.filter(|_| file.media.get("stored").is_none());
        let Some(channel) = channel else { return Ok(Done::WITHOUT_EFFECTS) };
        let Some(source) = registry::media_source(channel.kind) else { return Ok(Done::WITHOUT_EFFECTS) };
        let Some(account) = accounts::account(ctx, &channel, source.token)? else { return Ok(Done::WITHOUT_EFFECTS) };
        let Some(place) = (source.locate)(&account, &file.media) else { return Ok(Done::WITHOUT_EFFECTS) };
        let kind = file.media.get("type").and_then(Value::as_str).unwrap_or_default();
        let copied = match locate(ctx, &account, place).await {
            Ok(file) => self.copy(ctx, kind, file).await,
            Err(trouble) => Err(trouble),
        };
        let (name, value) = match copied {
            Ok(stored) => ("stored", stored),
            Err(Trouble::Later(error)) if !ctx.is_last_attempt => return Err(error),
            Err(Trouble::Later(error)) => ("error", Value::from(error.to_string())),
            Err(Trouble::Never(reason)) => ("error", Value::from(reason)),
        };
        let mut tx = ctx.begin().await?;
        media::note(&mut tx, tenant, self.message_id, name, &value).await?;
        ctx.tell(&mut tx, &BTreeMap::from([(tenant, vec![Change::MessageEdited { message: self.message_id }])])).await?;
        ctx.commit(tx).await
    }
}

/// Why there is no copy.
enum Trouble {
    Later(JobError),
    /// A sentence for people.
    Never(String),
}

fn later(class: &'static str, message: impl Into<String>) -> Trouble {
    Trouble::Later(JobError::retry(class, message))
}

/// Asks the provider where the file is.
async fn locate(ctx: &JobContext, account: &Account, place: Place) -> Result<File, Trouble> {
    let (url, bearer, read) = match place {
        Place::At(file) => return Ok(file),
        Place::Ask { url, bearer, read } => (url, bearer, read),
    };
    let answer = provider_call::get(&ctx.services.http, url.expose(), bearer.as_ref()).await;
    let (status, _, body) = answer.map_err(|lost: Lost| later("unreachable", lost.what()))?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    match status {
        200..=299 => read(account, &answer).ok_or_else(|| Trouble::Never("The provider does not say where the file is".to_owned())),
        400 | 404 => Err(Trouble::Never("The provider does not have the file any more".to_owned())),
        _ => Err(later("refused", format!("HTTP {status}"))),
    }
}

impl CopyMedia {
    /// Copies the file; returns what is noted of the copy.
    async fn copy(&self, ctx: &JobContext, kind: &str, file: File) -> Result<Value, Trouble> {
        let services = &ctx.services;
        let response = if file.trusted {
            let mut request = services.http.get(file.url.expose());
            if let Some(token) = &file.bearer {
                request = request.bearer_auth(token.expose());
            }
            request.send().await.map_err(|error| later("unreachable", error.without_url().to_string()))?
        } else {
            services.guarded.get(file.url.expose(), file.bearer.as_ref()).await.map_err(|refused| match refused {
                Refused::Unreachable(what) => later("unreachable", what),
                other => Trouble::Never(other.to_string()),
            })?
        };
        match response.status().as_u16() {
            200..=299 => {}
            401 | 403 | 404 | 410 => return Err(Trouble::Never("The provider does not have the file any more".to_owned())),
            status => return Err(later("refused", format!("HTTP {status}"))),
        }
        let header = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mime_type = header.and_then(|text| text.split(';').next()).unwrap_or("application/octet-stream").trim().to_ascii_lowercase();
        if !fits(kind, &mime_type) {
            return Err(Trouble::Never(format!("The file is said to be {kind}, but it is {mime_type}")));
        }
        let too_large = || Trouble::Never(format!("The file is larger than {} bytes", services.media_max_bytes));
        if response.content_length().is_some_and(|length| length > services.media_max_bytes) {
            return Err(too_large());
        }
        let key = format!("{}/{}", ctx.tenant, self.message_id);
        let mut writer = services.media.writer(&key);
        let (mut size, mut body) = (0, response.bytes_stream());
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| later("broken", error.without_url().to_string()))?;
            size += chunk.len() as u64;
            if size > services.media_max_bytes {
                writer.abort().await.unwrap_or_default();
                return Err(too_large());
            }
            writer.write_all(&chunk).await.map_err(|error| later("media_store", error.to_string()))?;
        }
        writer.shutdown().await.map_err(|error| later("media_store", error.to_string()))?;
        Ok(json!({"key": key, "size": size, "mime_type": mime_type}))
    }
}

/// Is it the type of file that the channel said it is? Documents may be anything.
fn fits(kind: &str, mime_type: &str) -> bool {
    let is = |family: &str| mime_type.starts_with(family);
    // What does not say what it is may be it.
    let vague = matches!(mime_type, "application/octet-stream" | "binary/octet-stream");
    match kind {
        "image" => is("image/") || vague,
        "video" => is("video/") || vague,
        "audio" => is("audio/") || mime_type == "application/ogg" || vague,
        _ => true,
    }
}

/// The jobs for messages that came with a file.
pub fn jobs_for<'a>(messages: &'a [WrittenMessage], trace: Option<&'a str>) -> impl Iterator<Item = NewJob> + 'a {
    messages.iter().filter(|message| message.has_file).map(move |message| job(message.tenant_id, message.id, trace))
}

fn job(tenant: TenantId, message_id: MessageId, trace: Option<&str>) -> NewJob {
    let job = new_job(tenant, &CopyMedia { message_id }, trace);
    NewJob { idempotency_key: Some(message_id.to_string()), ..job }
}
