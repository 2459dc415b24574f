//! Replies of agents that run elsewhere.

use super::chats::MessageView;
use crate::{
    auth::Service,
    outbound::{Author, Draft, MEDIA_TYPES},
    prelude::*,
    request,
};
use domain::ConversationId;
use store::{conversation_lists, messages};
use uuid::Uuid;

/// A reply: text, media, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"conversation_id": "018f4f3e-0000-7000-8000-000000000000", "content": "Your order is on its way"})))]
pub(super) struct ReplyBody {
    conversation_id: Uuid,
    #[salvo(schema(max_length = 4096))]
    content: Option<String>,
    media: Option<ReplyMedia>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ReplyMedia {
    /// http or https.
    #[salvo(schema(format = "uri", max_length = 2048))]
    url: String,
    /// `image`, `video`, `audio` or `document`.
    r#type: String,
}

/// Post an agent's reply
///
/// It is sent by a worker. Unlike a person's message it does not keep the bot away.
#[endpoint]
pub(super) async fn post_reply(
    app: App,
    _service: Service,
    body: Body<ReplyBody>,
    key: RequestKey,
) -> Result<Created<MessageView>, ApiError> {
    let Body(body) = body;
    let draft = draft(body.content, body.media)?;
    let id = ConversationId(body.conversation_id);
    let tenant = conversation_lists::tenant_of(&mut *app.operator_conn().await?, id).await?;
    let tenant = tenant.ok_or_else(|| ApiError::not_found("Conversation"))?;
    let mut work = match app.begin_once_as(tenant, "service", &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let submitted = app.submit(&mut work, tenant, id, draft, Author::Service).await?;
    let row = messages::get(&mut work, tenant, submitted.id).await?.ok_or_else(|| ApiError::not_found("Message"))?;
    let reply = work.answer(&MessageView::from(&row)).await?;
    app.announce(tenant, submitted);
    Ok(reply)
}

fn draft(content: Option<String>, media: Option<ReplyMedia>) -> Result<Draft, ApiError> {
    let mut fields = Fields::default();
    fields.at_most(content.as_deref(), "content", 4_096);
    let content = content.filter(|text| !text.trim().is_empty());
    let draft = match media {
        Some(media) => {
            let url = fields.need(request::http_url(&media.url), "media.url", "must be an http or https address");
            let kind = MEDIA_TYPES.into_iter().find(|kind| *kind == media.r#type);
            let kind = fields.need(kind, "media.type", "must be image, video, audio or document");
            url.zip(kind).map(|(url, kind)| Draft::Media { kind, url, caption: content, file_name: None })
        }
        None => fields.need(content, "content", "is required unless there is media").map(Draft::Text),
    };
    fields.finish()?;
    draft.ok_or_else(|| ApiError::invalid_field("content", "is required"))
}
