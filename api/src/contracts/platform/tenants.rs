//! Tenants, as the agent platform administers them: all by the operator (`X-Admin-Token`), one's own by its owners and admins.

use crate::{
    auth::Administrator,
    prelude::*,
    request::{TenantSegment, describe_tenant},
};
use domain::TenantId;
use salvo::{Request, oapi::Operation};
use serde_json::{Value, json};
use store::{
    StoreError, audit,
    tenant_admin::{self, Permissions, TenantChanges, TenantDetails},
    tenants,
};
use uuid::Uuid;

/// Of a tenant's settings, as JSON.
const MOST_SETTINGS_BYTES: usize = 64 * 1024;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TenantView {
    id: Uuid,
    /// The number that services know it by.
    number: i32,
    name: String,
    subdomain: Option<String>,
    #[salvo(schema(value_type = Object))]
    settings: Value,
    created_at: Time,
    updated_at: Time,
}

/// A tenant to make, or what to change of one: absent fields stay. `name` is required to make one.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"name": "Shoes & Co", "subdomain": "shoes", "settings": {}})))]
pub(super) struct TenantBody {
    #[salvo(schema(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// Lower-case letters, digits and hyphens.
    #[salvo(schema(min_length = 1, max_length = 63))]
    subdomain: Option<String>,
    /// Its members replace those of the same name.
    #[salvo(schema(value_type = Option<Object>))]
    settings: Option<Value>,
}

/// What a tenant may use. Null: all that it has.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"agent_ids": null, "tool_ids": null})))]
pub(super) struct PermissionsBody {
    agent_ids: Option<Vec<Uuid>>,
    tool_ids: Option<Vec<Uuid>>,
}

/// The segment `{tenant_id}`, of a tenant that the caller administers.
#[derive(Debug)]
pub(super) struct Administered(pub TenantId);

impl<'ex> salvo::Extractible<'ex> for Administered {
    fn metadata() -> &'static salvo::extract::Metadata {
        static METADATA: salvo::extract::Metadata = salvo::extract::Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, depot: &'ex mut salvo::Depot) -> Result<Self, impl Writer + Send + std::fmt::Debug + 'static> {
        let who = depot.get_typed::<Administrator>().cloned().map_err(|_| ApiError::unauthorized())?;
        let app = App::of(depot)?;
        let key = TenantSegment::of(req).key().ok_or_else(not_found)?;
        let found = tenants::find(&mut *app.operator_conn().await?, key).await?.map(|row| TenantId(row.id));
        found.filter(|tenant| who.administers(*tenant)).map(Self).ok_or_else(not_found)
    }
}

impl salvo::oapi::EndpointArgRegister for Administered {
    fn register(_components: &mut salvo::oapi::Components, operation: &mut Operation, _arg: &str) {
        describe_tenant(operation);
    }
}

impl From<TenantDetails> for TenantView {
    fn from(row: TenantDetails) -> Self {
        Self {
            id: row.public_id,
            number: row.id,
            name: row.name,
            subdomain: row.subdomain,
            settings: row.settings,
            created_at: Time(row.created_at),
            updated_at: Time(row.updated_at),
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Tenant")
}

fn taken(error: StoreError) -> ApiError {
    match error.violated() {
        Some("tenants_subdomain") => ApiError::conflict("taken", "There is a tenant with this subdomain already"),
        _ => error.into(),
    }
}

fn changes(body: TenantBody) -> Result<TenantChanges, ApiError> {
    let mut fields = Fields::default();
    let name = body.name.map(|name| fields.text(&name, "name", 200));
    let subdomain = body.subdomain.map(|text| text.trim().to_ascii_lowercase());
    let is_label = |text: &String| {
        (1..=63).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    fields.check(subdomain.as_ref().is_none_or(is_label), "subdomain", "must be 1 to 63 letters, digits and hyphens");
    let is_small = |value: &Value| value.is_object() && value.to_string().len() <= MOST_SETTINGS_BYTES;
    fields.check(body.settings.as_ref().is_none_or(is_small), "settings", "must be an object of at most 64 KiB");
    // What has rules of its own is checked there.
    let is_elsewhere = |value: &Value| ["webhookConfig", "humanOverrideTtlSeconds"].iter().any(|name| value.get(name).is_some());
    let elsewhere = body.settings.as_ref().is_some_and(is_elsewhere);
    fields.check(!elsewhere, "settings", "must not hold webhookConfig or humanOverrideTtlSeconds: PATCH /api/settings changes them");
    fields.finish()?;
    Ok(TenantChanges { name, subdomain, settings: body.settings })
}

/// List tenants
///
/// All for the operator; one's own for its owners and admins.
#[endpoint]
pub(super) async fn list_tenants(app: App, who: Administrator) -> Result<Ok200<Vec<TenantView>>, ApiError> {
    let rows = tenant_admin::list(&mut *app.operator_conn().await?, who.tenant).await?;
    Ok200::new(&rows.into_iter().map(TenantView::from).collect())
}

/// Read a tenant
#[endpoint]
pub(super) async fn get_tenant(app: App, _who: Administrator, tenant: Administered) -> Result<Ok200<TenantView>, ApiError> {
    let found = tenant_admin::list(&mut *app.operator_conn().await?, Some(tenant.0)).await?.pop().ok_or_else(not_found)?;
    Ok200::new(&TenantView::from(found))
}

/// Make a tenant
///
/// By the operator. `switchboard create-admin` gives it its first owner.
#[endpoint]
pub(super) async fn post_tenant(app: App, who: Administrator, body: Body<TenantBody>) -> Result<Created<TenantView>, ApiError> {
    let new = changes(body.0)?;
    if who.tenant.is_some() {
        return Err(ApiError::forbidden("Only the platform's operator makes tenants; register to make one of your own"));
    }
    let name = new.name.ok_or_else(|| ApiError::invalid_field("name", "is required"))?;
    let settings = new.settings.unwrap_or_else(|| json!({}));
    let mut tx = app.operator.begin().await.map_err(StoreError::from)?;
    let made = tenant_admin::create(&mut tx, &name, new.subdomain.as_deref(), &settings).await.map_err(taken)?;
    audit::note(&mut tx, TenantId(made.id), &who.act("tenant.create", made.public_id)).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Created::new(&TenantView::from(made))
}

/// Change a tenant
#[endpoint]
pub(super) async fn put_tenant(
    app: App,
    who: Administrator,
    tenant: Administered,
    body: Body<TenantBody>,
) -> Result<Ok200<TenantView>, ApiError> {
    let with = changes(body.0)?;
    let mut tx = app.operator.begin().await.map_err(StoreError::from)?;
    let changed = tenant_admin::update(&mut tx, tenant.0, &with).await.map_err(taken)?.ok_or_else(not_found)?;
    audit::note(&mut tx, tenant.0, &who.act("tenant.update", changed.public_id)).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok200::new(&TenantView::from(changed))
}

/// Read what a tenant may use
#[endpoint]
pub(super) async fn get_permissions(app: App, _who: Administrator, tenant: Administered) -> Result<Ok200<PermissionsBody>, ApiError> {
    let found = tenant_admin::permissions(&mut *app.operator_conn().await?, tenant.0).await?;
    Ok200::new(&PermissionsBody { agent_ids: found.agent_ids, tool_ids: found.tool_ids })
}

/// Set what a tenant may use
///
/// Agents and tools that are not listed are not used any more, from the next answer on.
#[endpoint]
pub(super) async fn put_permissions(
    app: App,
    who: Administrator,
    tenant: Administered,
    body: Body<PermissionsBody>,
) -> Result<Ok200<PermissionsBody>, ApiError> {
    let Body(body) = body;
    let is_short = |ids: &Option<Vec<Uuid>>| ids.as_ref().is_none_or(|ids| ids.len() <= 1_000);
    if !is_short(&body.agent_ids) || !is_short(&body.tool_ids) {
        return Err(ApiError::invalid_field("agent_ids", "and tool_ids must have at most 1000 ids each"));
    }
    let new = Permissions { agent_ids: body.agent_ids.clone(), tool_ids: body.tool_ids.clone() };
    let mut tx = app.operator.begin().await.map_err(StoreError::from)?;
    tenant_admin::set_permissions(&mut tx, tenant.0, &new).await?;
    audit::note(&mut tx, tenant.0, &who.act("tenant.permissions", tenant.0)).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok200::new(&body)
}
