//! Copies of customers' files: signed links to them in what is shown, and the files themselves.

use crate::{ApiError, App};
use domain::MessageId;
use futures::StreamExt;
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
};
use serde_json::Value;
use store::{media, messages::Message};

impl App {
    /// Where there is a copy, `media.url` leads to it.
    pub(crate) fn link_media<'a>(&self, messages: impl IntoIterator<Item = &'a mut Message>) {
        let Some(links) = &self.media_links else { return };
        let now = self.clock.now();
        for message in messages {
            let Some(Value::Object(media)) = &mut message.media else { continue };
            let Some(stored) = media.remove("stored") else { continue };
            media.insert("url".to_owned(), Value::String(links.sign(&message.id.to_string(), now)));
            if let Some(mime_type) = stored.get("mime_type").filter(|_| !media.contains_key("mime_type")) {
                media.insert("mime_type".to_owned(), mime_type.clone());
            }
        }
    }
}

/// `GET /media/{message_id}?expires=&signature=`: the file, to whoever has a good link.
pub(crate) struct ServeMedia(pub(crate) App);

#[async_trait]
impl Handler for ServeMedia {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        if let Err(error) = self.serve(req, res).await {
            error.write(req, depot, res).await;
        }
    }
}

impl ServeMedia {
    async fn serve(&self, req: &Request, res: &mut Response) -> Result<(), ApiError> {
        let app = &self.0;
        let id: String = req.param("message_id").unwrap_or_default();
        let (expires, signature) = (req.query::<i64>("expires").unwrap_or_default(), req.query::<String>("signature").unwrap_or_default());
        let is_good = app.media_links.as_ref().is_some_and(|links| links.is_good(&id, expires, &signature, app.clock.now()));
        let id: MessageId = match id.parse() {
            Ok(id) if is_good => id,
            _ => return Err(ApiError::forbidden("This link is not good, or not any more: read the message again for a new one")),
        };
        let not_found = || ApiError::not_found("File");
        let stored = media::stored(&mut *app.operator_conn().await?, id).await?.ok_or_else(not_found)?;
        let key = stored.get("key").and_then(Value::as_str).ok_or_else(not_found)?;
        let file = app.media.get(key).await.map_err(|error| {
            tracing::error!(%error, "a copy of a file cannot be read");
            ApiError::unavailable("The file cannot be read just now: try again")
        })?;
        let file = file.ok_or_else(not_found)?;
        let mime_type = stored.get("mime_type").and_then(Value::as_str).unwrap_or_default();
        let headers = res.headers_mut();
        // What a customer sent must never run as a page of ours.
        let (shown, disposition) = if is_harmless(mime_type) { (mime_type, "inline") } else { ("application/octet-stream", "attachment") };
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(shown).unwrap_or(HeaderValue::from_static("application/octet-stream")));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(file.meta.size));
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
        // Frontends of other origins show it.
        headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
        res.status_code(StatusCode::OK);
        res.stream(file.into_stream().map(|chunk| chunk.map_err(std::io::Error::other)));
        Ok(())
    }
}

/// May a browser show it where it stands?
fn is_harmless(mime_type: &str) -> bool {
    let is_picture = mime_type.starts_with("image/") && !mime_type.contains("svg");
    is_picture || mime_type.starts_with("audio/") || mime_type.starts_with("video/") || mime_type == "application/pdf"
}
