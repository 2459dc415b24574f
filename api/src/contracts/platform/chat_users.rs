//! Chat users, as the agent platform shows them: customers, whatever channel they write on.

use crate::{
    prelude::*,
    request::{self, normalized_phone},
};
use domain::CustomerId;
use store::{
    StoreError, audit,
    contacts::{self, Contact, ContactChanges, ContactFilter},
};
use uuid::Uuid;

/// A chat user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChatUserView {
    id: Uuid,
    name: Option<String>,
    email: Option<String>,
    phone_number: Option<String>,
    tags: Vec<String>,
    created_at: Time,
    updated_at: Time,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ChatUsersQuery {
    /// Part of a name, number or e-mail address.
    search: Option<String>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    #[salvo(parameter(minimum = 0))]
    offset: Option<i64>,
}

/// A chat user to make, or what to change of one: absent fields stay, null clears name and e-mail.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"name": "Kim Customer", "email": "kim@example.com"})))]
pub(super) struct ChatUserBody {
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>))]
    name: Patch<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>))]
    email: Patch<String>,
    /// E.164.
    phone_number: Option<String>,
    tags: Option<Vec<String>>,
}

impl From<Contact> for ChatUserView {
    fn from(row: Contact) -> Self {
        Self {
            id: row.id,
            name: row.name,
            email: row.email,
            phone_number: row.phone_number,
            tags: row.tags,
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Chat user")
}

fn taken(error: StoreError) -> ApiError {
    match error.violated() {
        Some("customers_tenant_id_phone_number_key") => ApiError::conflict("taken", "Somebody has this phone number already"),
        _ => error.into(),
    }
}

fn changes(body: ChatUserBody) -> Result<ContactChanges, ApiError> {
    let mut fields = Fields::default();
    let name = body.name.given().map(|name| name.map(|name| fields.text(&name, "name", 200)));
    let email = body.email.given().map(|email| email.and_then(|email| fields.email(&email, "email")));
    let phone_number =
        body.phone_number.and_then(|text| fields.need(normalized_phone(&text), "phone_number", "must be a phone number like +15551230001"));
    let tags = body.tags.map(|tags| fields.tags(&tags, "tags"));
    fields.finish()?;
    Ok(ContactChanges { phone_number, name, email, tags })
}

/// List chat users
///
/// The newest first.
#[endpoint]
pub(super) async fn list_chat_users(app: App, caller: Member, query: Query<ChatUsersQuery>) -> Result<Ok200<Vec<ChatUserView>>, ApiError> {
    let (Member(caller), Query(query)) = (caller, query);
    let page = (request::limit(query.limit)?, request::offset(query.offset)?);
    let term = query.search.as_deref().map(str::trim).filter(|term| !term.is_empty());
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let (rows, _) = contacts::list(&mut tx, caller.tenant, ContactFilter { term, tag: None }, page).await?;
    Ok200::new(&rows.into_iter().map(ChatUserView::from).collect())
}

/// Read a chat user
#[endpoint]
pub(super) async fn get_chat_user(app: App, caller: Member, user_id: Path<Uuid>) -> Result<Ok200<ChatUserView>, ApiError> {
    let mut tx = app.tenants.begin(caller.0.tenant).await?;
    let row = contacts::get(&mut tx, caller.0.tenant, CustomerId(user_id.0)).await?.ok_or_else(not_found)?;
    Ok200::new(&ChatUserView::from(row))
}

/// Make a chat user
///
/// Their `id` is the `user_id` of `POST /api/{tenant_id}/chat`.
#[endpoint]
pub(super) async fn post_chat_user(
    app: App,
    caller: Member,
    body: Body<ChatUserBody>,
    key: RequestKey,
) -> Result<Created<ChatUserView>, ApiError> {
    let (Member(caller), Body(body)) = (caller, body);
    let new = changes(body)?;
    if new.phone_number.is_none() && !matches!(new.name, Some(Some(_))) && !matches!(new.email, Some(Some(_))) {
        return Err(ApiError::invalid_field("name", "or email or phone_number is required"));
    }
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let made = contacts::create_nameless(&mut work, caller.tenant).await?;
    let made = contacts::update(&mut work, caller.tenant, made, &new).await.map_err(taken)?.ok_or_else(not_found)?;
    audit::note(&mut work, caller.tenant, &caller.act("chat_user.create", made.id)).await?;
    work.answer(&ChatUserView::from(made)).await
}

/// Change a chat user
#[endpoint]
pub(super) async fn put_chat_user(
    app: App,
    caller: Member,
    user_id: Path<Uuid>,
    body: Body<ChatUserBody>,
) -> Result<Ok200<ChatUserView>, ApiError> {
    let (Member(caller), Body(body)) = (caller, body);
    let with = changes(body)?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let row = contacts::update(&mut tx, caller.tenant, CustomerId(user_id.0), &with).await.map_err(taken)?.ok_or_else(not_found)?;
    audit::note(&mut tx, caller.tenant, &caller.act("chat_user.update", row.id)).await?;
    tx.commit().await?;
    Ok200::new(&ChatUserView::from(row))
}

/// Delete a chat user
///
/// By owners and admins; 409 for one who has written or was written to.
#[endpoint]
pub(super) async fn delete_chat_user(app: App, caller: Member, _admin: Admin, user_id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let Member(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let deleted = contacts::delete(&mut tx, caller.tenant, CustomerId(user_id.0)).await;
    let deleted = deleted.map_err(|error| match error.violated() {
        Some(_) => ApiError::conflict("in_use", "There are conversations or tickets with this user"),
        None => error.into(),
    })?;
    if !deleted {
        return Err(not_found());
    }
    audit::note(&mut tx, caller.tenant, &caller.act("chat_user.delete", user_id.0)).await?;
    tx.commit().await?;
    Ok(NoContent)
}
