//! The list of conversations and one of them, which the WhatsApp business contract and the helpdesk document at the same paths:
//! the token says which one its client speaks.

use crate::{
    contracts::{
        cloud::{
            conversations::{self as cloud, ConversationWithMessages, Conversations, Status},
            dialect::Success,
            wire::Page,
        },
        desk::conversations::{self as desk, ConversationView},
    },
    prelude::*,
    request,
};
use domain::ConversationId;
use uuid::Uuid;

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ListQuery {
    /// With a token of `/api/auth`.
    #[salvo(parameter(minimum = 1))]
    page: Option<i64>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    /// With a helpdesk token.
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
    status: Option<Status>,
    /// Part of a number, a name or an e-mail address.
    search: Option<String>,
}

/// The list, in the contract that the token speaks.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum List {
    Cloud(Success<Conversations>),
    Desk(Vec<ConversationView>),
}

/// One conversation, in the contract that the token speaks.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum One {
    Cloud(Box<Success<ConversationWithMessages>>),
    Desk(ConversationView),
}

/// List conversations
///
/// Those with the newest messages first: with a token of `/api/auth` in pages, with a helpdesk token as an array.
#[endpoint]
pub(super) async fn list(app: App, caller: Caller, query: Query<ListQuery>) -> Result<Ok200<List>, ApiError> {
    let Query(query) = query;
    let offset = request::offset(query.offset)?;
    Ok200::new(&if caller.speaks_desk() {
        let limit = request::limit(query.limit)?;
        List::Desk(desk::list(&app, &caller, limit, offset).await?)
    } else {
        let page = Page::of(query.page, query.limit)?;
        List::Cloud(cloud::list(&app, &caller, page, query.status, query.search.as_deref()).await?)
    })
}

/// Read a conversation
#[endpoint]
pub(super) async fn get(app: App, caller: Caller, id: Path<Uuid>) -> Result<Ok200<One>, ApiError> {
    let id = ConversationId(id.0);
    Ok200::new(&if caller.speaks_desk() {
        One::Desk(desk::get(&app, &caller, id).await?)
    } else {
        One::Cloud(Box::new(cloud::get(&app, &caller, id).await?))
    })
}
