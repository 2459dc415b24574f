//! Contacts.

use super::{
    dialect::Success,
    wire::{Page, Pagination},
};
use crate::{
    prelude::*,
    request::{self, Patch},
};
use domain::CustomerId;
use store::{
    StoreError, audit,
    contacts::{self, Contact, ContactChanges, ContactFilter, NewContact},
};
use uuid::Uuid;

/// A contact.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContactView {
    id: Uuid,
    /// E.164. Null for somebody who is known on a channel without numbers.
    phone_number: Option<String>,
    name: Option<String>,
    email: Option<String>,
    tags: Vec<String>,
    created_at: Time,
    updated_at: Time,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Contacts {
    contacts: Vec<ContactView>,
    pagination: Pagination,
}

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct ContactsQuery {
    #[salvo(parameter(minimum = 1))]
    page: Option<i64>,
    #[salvo(parameter(minimum = 1))]
    limit: Option<i64>,
    /// Part of a number, a name or an e-mail address. With it or a tag, at most the newest 10,000 are found.
    search: Option<String>,
    tag: Option<String>,
}

/// A contact to make. A name given here stays, whatever name the person shows on a channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"phoneNumber": "+1234567890", "name": "John Doe", "email": "john@example.com", "tags": ["customer", "vip"]})))]
pub(super) struct ContactBody {
    /// International; becomes E.164.
    phone_number: String,
    #[salvo(schema(min_length = 1, max_length = 200))]
    name: Option<String>,
    #[salvo(schema(format = "email", max_length = 254))]
    email: Option<String>,
    #[salvo(schema(max_items = 50))]
    tags: Option<Vec<String>>,
}

/// What to change; absent fields stay, null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"name": "John Doe", "tags": ["vip"]})))]
pub(super) struct ContactPatch {
    phone_number: Option<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, max_length = 200))]
    name: Patch<String>,
    #[serde(default)]
    #[salvo(schema(value_type = Option<String>, max_length = 254))]
    email: Patch<String>,
    #[salvo(schema(max_items = 50))]
    tags: Option<Vec<String>>,
}

impl From<&Contact> for ContactView {
    fn from(row: &Contact) -> Self {
        Self {
            id: row.id,
            phone_number: row.phone_number.clone(),
            name: row.name.clone(),
            email: row.email.clone(),
            tags: row.tags.clone(),
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

fn phone(fields: &mut Fields, text: &str) -> Option<String> {
    fields.need(request::normalized_phone(text), "phoneNumber", "must be an international number like +1234567890")
}

fn not_found() -> ApiError {
    ApiError::not_found("Contact")
}

fn taken(error: StoreError) -> ApiError {
    match error.violated() {
        Some("customers_tenant_id_phone_number_key") => ApiError::conflict("taken", "There is a contact with this number already"),
        _ => error.into(),
    }
}

/// List contacts
///
/// The newest first.
#[endpoint]
pub(super) async fn list_contacts(app: App, caller: Caller, query: Query<ContactsQuery>) -> Result<Ok200<Success<Contacts>>, ApiError> {
    let Query(query) = query;
    let page = Page::of(query.page, query.limit)?;
    let filter = ContactFilter { term: query.search.as_deref(), tag: query.tag.as_deref() };
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let (rows, total) = contacts::list(&mut tx, caller.tenant, filter, (page.limit, page.offset)).await?;
    Ok200::new(&Success::new(Contacts {
        contacts: rows.iter().map(ContactView::from).collect(),
        pagination: Pagination::new(&page, total),
    }))
}

/// Read a contact
#[endpoint]
pub(super) async fn get_contact(app: App, caller: Caller, id: Path<Uuid>) -> Result<Ok200<Success<ContactView>>, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let row = contacts::get(&mut tx, caller.tenant, CustomerId(id.0)).await?.ok_or_else(not_found)?;
    Ok200::new(&Success::new((&row).into()))
}

/// Make a contact
#[endpoint]
pub(super) async fn post_contact(
    app: App,
    caller: Caller,
    body: Body<ContactBody>,
    key: RequestKey,
) -> Result<Created<Success<ContactView>>, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let phone_number = phone(&mut fields, &body.phone_number).unwrap_or_default();
    let name = body.name.map(|text| fields.text(&text, "name", 200));
    let email = body.email.and_then(|text| fields.email(&text, "email"));
    let tags = fields.tags(&body.tags.unwrap_or_default(), "tags");
    fields.finish()?;
    let mut work = match app.begin_once(&caller, &key).await? {
        Begun::Answered(reply) => return Ok(reply),
        Begun::Work(work) => work,
    };
    let row = contacts::create(&mut work, caller.tenant, &NewContact { phone_number, name, email, tags }).await.map_err(taken)?;
    audit::note(&mut work, caller.tenant, &caller.act("contact.create", row.id)).await?;
    work.answer(&Success::new(ContactView::from(&row))).await
}

/// Change a contact
#[endpoint]
pub(super) async fn patch_contact(
    app: App,
    caller: Caller,
    id: Path<Uuid>,
    body: Body<ContactPatch>,
) -> Result<Ok200<Success<ContactView>>, ApiError> {
    let Body(body) = body;
    let mut fields = Fields::default();
    let changes = ContactChanges {
        phone_number: body.phone_number.and_then(|text| phone(&mut fields, &text)),
        name: body.name.given().map(|name| name.map(|text| fields.text(&text, "name", 200))),
        email: body.email.given().map(|text| text.and_then(|text| fields.email(&text, "email"))),
        tags: body.tags.map(|tags| fields.tags(&tags, "tags")),
    };
    fields.finish()?;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let row = contacts::update(&mut tx, caller.tenant, CustomerId(id.0), &changes).await.map_err(taken)?.ok_or_else(not_found)?;
    audit::note(&mut tx, caller.tenant, &caller.act("contact.update", row.id)).await?;
    tx.commit().await?;
    Ok200::new(&Success::new((&row).into()))
}

/// Delete a contact
///
/// One with conversations or tickets stays, for they would lose their person: 409.
#[endpoint]
pub(super) async fn delete_contact(app: App, caller: Caller, id: Path<Uuid>) -> Result<NoContent, ApiError> {
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let deleted = contacts::delete(&mut tx, caller.tenant, CustomerId(id.0)).await.map_err(|error| match error.violated() {
        Some(_) => ApiError::conflict("in_use", "The contact has conversations or tickets, so it stays"),
        None => error.into(),
    })?;
    if !deleted {
        return Err(not_found());
    }
    audit::note(&mut tx, caller.tenant, &caller.act("contact.delete", id.0)).await?;
    tx.commit().await?;
    Ok(NoContent)
}
