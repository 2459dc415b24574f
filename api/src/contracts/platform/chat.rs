//! Chat, as the agent platform shows it: an answer as JSON, or as server-sent events while it is thought of.

use crate::{
    chat::{Step, Turn, Visitor, WidgetOnly},
    prelude::*,
    reply::EventStream,
    request,
};
use bytes::Bytes;
use domain::{ConversationId, CustomerId, TenantId};
use futures::{Stream, StreamExt, future::ready, stream};
use salvo::{
    Depot, Request, Response, async_trait,
    http::{StatusCode, header::ACCEPT},
    oapi::{Components, EndpointOutRegister, Operation},
};
use serde_json::{Value, json};
use std::{convert::Infallible, time::Duration};
use store::chat::{Answer, Progress, Said};
use tokio::time::Instant;
use uuid::Uuid;

/// How long JSON is waited for; the client asks again with the same `message_id`.
const JSON_WITHIN: Duration = Duration::from_secs(25);
/// The same for events.
const EVENTS_WITHIN: Duration = Duration::from_mins(3);

/// Something to say.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"session_id": "0190f3a0-0000-7000-8000-000000000001", "message": "When do you open?"})))]
pub(super) struct ChatBody {
    /// Chosen by the client, or made here. A widget's is its token's.
    #[salvo(schema(format = "uuid"))]
    session_id: Option<String>,
    #[salvo(schema(min_length = 1, max_length = 4_096))]
    message: String,
    /// A chat user's id. Whoever is not known is new; a widget's visitor has none.
    #[salvo(schema(format = "uuid"))]
    user_id: Option<String>,
    /// The client's name for this message: sent again with the same, it is not said twice, and the answer is the same.
    #[salvo(schema(min_length = 1, max_length = 200))]
    message_id: Option<String>,
}

/// What is answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChatView {
    session_id: Uuid,
    user_id: Uuid,
    /// What was said, as it is stored.
    message_id: Uuid,
    /// `active escalated assigned resolved`; `pending`: there is no answer yet, send the same `message_id` again to go on waiting.
    status: String,
    /// The answer's text. Null if none comes by itself: a person will answer, or there is no active agent.
    response: Option<String>,
    message: Option<AnswerView>,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnswerView {
    id: Uuid,
    /// Always `assistant`.
    role: &'static str,
    content: String,
    /// A person wrote it, not an agent.
    by_person: bool,
    /// The passages of documents that the agent was shown: `document_id`, `document_name`, `page`, `chunk`.
    #[salvo(schema(value_type = Vec<Object>))]
    citations: Value,
    created_at: Time,
}

impl From<Answer> for AnswerView {
    fn from(answer: Answer) -> Self {
        Self {
            id: answer.id,
            role: "assistant",
            content: answer.text,
            by_person: answer.by_person,
            citations: answer.citations.unwrap_or_else(|| json!([])),
            created_at: Time(answer.sent_at),
        }
    }
}

impl ChatView {
    fn new(said: &Said, progress: Progress) -> Self {
        let status = if progress.settled { progress.status } else { "pending".to_owned() };
        let message = progress.answer.map(AnswerView::from);
        Self {
            session_id: said.conversation.0,
            user_id: said.user.0,
            message_id: said.message.0,
            status,
            response: message.as_ref().map(|message| message.content.clone()),
            message,
        }
    }
}

/// JSON, or events if the client wants them.
pub(super) enum ChatReply {
    Json(Ok200<ChatView>),
    Events(EventStream),
}

#[async_trait]
impl Writer for ChatReply {
    async fn write(self, req: &mut Request, depot: &mut Depot, res: &mut Response) {
        match self {
            Self::Json(reply) => reply.write(req, depot, res).await,
            Self::Events(events) => events.write(req, depot, res).await,
        }
    }
}

impl EndpointOutRegister for ChatReply {
    fn register(components: &mut Components, operation: &mut Operation) {
        Ok200::<ChatView>::register(components, operation);
    }
}

/// Say something to the agent
///
/// By people of the tenant, for any of its chat users, or with a widget's token. With `Accept: text/event-stream` the answer comes as events: `session`, then
/// `start` (forget the words before), `token` `{text}` and `tool` `{name}` while the agent thinks, `message` (as the JSON) at the end, `error` if it cannot go
/// on; comments in between keep the connection. Nothing is lost if it breaks: send the same `message_id` again.
#[endpoint]
pub(super) async fn post_chat(app: App, visitor: Visitor, body: Body<ChatBody>, req: &mut Request) -> Result<ChatReply, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let text = fields.text(&body.message, "message", 4_096);
    let name = body.message_id.as_ref().map(|name| fields.text(name, "message_id", 200));
    let mut id = |given: Option<&String>, field| given.and_then(|text| fields.need(request::parse_uuid(text), field, "must be a UUID"));
    let (session, user) = (id(body.session_id.as_ref(), "session_id"), id(body.user_id.as_ref(), "user_id"));
    fields.finish()?;
    let (session, user) = match visitor.session {
        Some(own) if session.is_some_and(|session| session != own.0) => {
            return Err(ApiError::forbidden(format!("This token is for the session {own} only")));
        }
        Some(own) => (own, None),
        None => (session.map_or_else(ConversationId::generate, ConversationId), user.map(CustomerId)),
    };
    let name = name.unwrap_or_else(|| Uuid::new_v4().to_string());
    answer(app, visitor.tenant, (session, user), (&name, &text), wants_events(req)).await
}

/// Say something as a website's visitor
///
/// With the token that the widget's configuration carries. The rest is as in `POST /api/{tenant_id}/chat`.
#[endpoint]
pub(super) async fn post_public_chat(
    app: App,
    visitor: WidgetOnly,
    body: Body<ChatBody>,
    req: &mut Request,
) -> Result<ChatReply, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let text = fields.text(&body.message, "message", 4_096);
    let name = body.message_id.as_ref().map(|name| fields.text(name, "message_id", 200));
    fields.finish()?;
    let own = visitor.session;
    if body.session_id.is_some_and(|given| request::parse_uuid(&given) != Some(own.0)) {
        return Err(ApiError::forbidden(format!("This token is for the session {own} only")));
    }
    let name = name.unwrap_or_else(|| Uuid::new_v4().to_string());
    answer(app, visitor.tenant, (own, None), (&name, &text), wants_events(req)).await
}

fn wants_events(req: &Request) -> bool {
    req.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/event-stream"))
}

async fn answer(
    app: App,
    tenant: TenantId,
    (session, user): (ConversationId, Option<CustomerId>),
    said: (&str, &str),
    events: bool,
) -> Result<ChatReply, ApiError> {
    let mut turn = Turn::begin(app, tenant, session, user, said).await?;
    let until = Instant::now() + if events { EVENTS_WITHIN } else { JSON_WITHIN };
    if events {
        return Ok(ChatReply::Events(EventStream::new(stream_of(turn, until))));
    }
    let progress = loop {
        match tokio::time::timeout_at(until, turn.next()).await {
            Ok(Ok(Step::Over(progress))) => break progress,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => break turn.progress().await?,
        }
    };
    Ok(ChatReply::Json(Ok200::new(&ChatView::new(&turn.said, progress))?))
}

fn stream_of(turn: Turn, until: Instant) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let said = turn.said;
    let opening = json!({"session_id": said.conversation, "user_id": said.user, "message_id": said.message});
    let steps = stream::unfold(Some(turn), move |turn| async move {
        let mut turn = turn?;
        let step = turn.next().await;
        let event = match step {
            Ok(Step::Began) => EventStream::event("start", &json!({})),
            Ok(Step::Words(text)) => EventStream::event("token", &json!({"text": text})),
            Ok(Step::Tool(name)) => EventStream::event("tool", &json!({"name": name})),
            Ok(Step::Waiting) if Instant::now() < until => EventStream::heartbeat(),
            Ok(Step::Waiting) => match turn.progress().await {
                Ok(progress) => return Some((EventStream::event("message", &ChatView::new(&said, progress)), None)),
                Err(error) => return Some((failed(&error), None)),
            },
            Ok(Step::Over(progress)) => return Some((EventStream::event("message", &ChatView::new(&said, progress)), None)),
            Err(error) => return Some((failed(&error), None)),
        };
        Some((event, Some(turn)))
    });
    stream::once(ready(EventStream::event("session", &opening))).chain(steps).map(Ok)
}

fn failed(error: &ApiError) -> Bytes {
    let status = if error.is_invalid() { StatusCode::UNPROCESSABLE_ENTITY } else { error.status };
    EventStream::event("error", &json!({"detail": error.message, "status_code": status.as_u16()}))
}
