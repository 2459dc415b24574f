//! Replies of agents that run elsewhere.

use super::chats::MessageView;
use crate::{
    auth::Service,
    outbound::{Author, Draft, MEDIA_TYPES},
    prelude::*,
    request,
};
use domain::ConversationId;
use store::{
    auto_reply, conversation_lists,
    escalations::{self, RaisedBy},
    messages,
};
use uuid::Uuid;

/// More of a reason is refused.
const MOST_REASON_CHARS: usize = 1_000;

/// A reply: text, media, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"conversation_id": "018f4f3e-0000-7000-8000-000000000000", "content": "Your order is on its way"})))]
pub(super) struct ReplyBody {
    conversation_id: Uuid,
    #[salvo(schema(max_length = 4096))]
    content: Option<String>,
    media: Option<ReplyMedia>,
    /// As it came with a turn that was handed over: 409 if a person has written since, or has the conversation.
    human_epoch: Option<i32>,
    /// Calls a person too, with this reason.
    #[salvo(schema(min_length = 1, max_length = 1000))]
    escalate: Option<String>,
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
    let reason = body.escalate.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MOST_REASON_CHARS) {
        return Err(ApiError::invalid_field("escalate", "must have at most 1000 characters"));
    }
    let id = ConversationId(body.conversation_id);
    let tenant = conversation_lists::tenant_of(&mut *app.operator_conn().await?, id).await?;
    let tenant = tenant.ok_or_else(|| ApiError::not_found("Conversation"))?;
    let mut work = match app.begin_once_as(tenant, "service", &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let author = match body.human_epoch {
        None => Author::Service,
        Some(human_epoch) if auto_reply::answer(&mut work, tenant, id, human_epoch, None).await? => Author::Agent { human_epoch },
        Some(_) => return Err(ApiError::conflict("overtaken", "A person has written since, or has the conversation: nothing was sent")),
    };
    let submitted = app.submit(&mut work, tenant, id, draft, author).await?;
    if let Some(reason) = &reason {
        escalations::raise(&mut work, tenant, id, RaisedBy::Agent, reason).await?;
    }
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
