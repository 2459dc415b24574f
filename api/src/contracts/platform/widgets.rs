//! Chat widgets: their configuration, and what a visitor's page asks.

use crate::{
    auth::TenantAdmin,
    chat::{WidgetClaims, WidgetOnly, check_origin, token_of},
    middleware::rate_limit::Budget,
    prelude::*,
    realtime::watch_as_visitor,
    reply::EventStream,
    request::{self, ClientAddress, NamedTenant},
};
use domain::{ConversationId, TenantId};
use salvo::{Request, http::StatusCode};
use store::{
    audit,
    messages::{self, Message, MessageFilter, Order},
    tenants,
    widgets::{self, Widget},
};
use uuid::Uuid;

/// What a visitor is shown of a session at once.
const MOST_MESSAGES: i64 = 200;
/// How often pages of one address may be loaded in a minute: many people may share one.
const CONFIGS_PER_ADDRESS: u32 = 300;

/// How a tenant's widget looks, and where it may be.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WidgetView {
    tenant_id: Uuid,
    enabled: bool,
    title: String,
    primary_color: String,
    welcome_message: String,
    placeholder: String,
    position: String,
    allowed_origins: Vec<String>,
    /// What to put on a page.
    embed: String,
}

/// What to change; absent fields stay as they are. The first time, `enabled` is true unless given.
#[derive(Debug, Deserialize, ToSchema)]
#[salvo(schema(example = json!({"primary_color": "#2563eb", "welcome_message": "Hello! How can we help?", "position": "bottom-right", "enabled": true})))]
pub(super) struct WidgetBody {
    /// `#rrggbb`.
    #[salvo(schema(pattern = "^#[0-9a-fA-F]{6}$"))]
    primary_color: Option<String>,
    #[salvo(schema(max_length = 500))]
    welcome_message: Option<String>,
    /// `bottom-right` or `bottom-left`.
    position: Option<String>,
    enabled: Option<bool>,
    #[salvo(schema(min_length = 1, max_length = 100))]
    title: Option<String>,
    #[salvo(schema(max_length = 100))]
    placeholder: Option<String>,
    /// Origins of pages, for example `https://www.company.com`; empty: any page.
    allowed_origins: Option<Vec<String>>,
}

/// What a visitor's page needs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PublicWidgetView {
    tenant_id: Uuid,
    enabled: bool,
    title: String,
    primary_color: String,
    welcome_message: String,
    placeholder: String,
    position: String,
    /// Opens the chat of this session, and nothing else. Null while the widget is off.
    widget_token: Option<String>,
    session_id: Option<Uuid>,
    /// When the token ends. Ask again with it before that, or up to 30 days after: the session stays.
    expires_at: Option<Time>,
}

/// What was said in a session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionMessages {
    session_id: Uuid,
    /// The oldest first; of a long session the newest 200.
    messages: Vec<VisitorMessage>,
}

/// A message, as a visitor sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VisitorMessage {
    id: Uuid,
    /// `user` or `assistant`.
    role: &'static str,
    content: Option<String>,
    created_at: Time,
}

impl From<&Message> for VisitorMessage {
    fn from(row: &Message) -> Self {
        let role = if row.direction == "inbound" { "user" } else { "assistant" };
        Self { id: row.id, role, content: row.content.clone(), created_at: Time(row.sent_at) }
    }
}

fn view(app: &App, tenant_id: Uuid, widget: Widget) -> WidgetView {
    WidgetView {
        tenant_id,
        enabled: widget.enabled,
        title: widget.title,
        primary_color: widget.primary_color,
        welcome_message: widget.welcome_message,
        placeholder: widget.placeholder,
        position: widget.position,
        allowed_origins: widget.allowed_origins,
        embed: format!(r#"<script src="{}/widget.js" data-tenant="{tenant_id}" async></script>"#, app.public_url.trim_end_matches('/')),
    }
}

/// Read the widget's configuration
///
/// For owners and admins.
#[endpoint]
pub(super) async fn get_widget(app: App, caller: TenantAdmin) -> Result<Ok200<WidgetView>, ApiError> {
    let TenantAdmin(caller) = caller;
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let found = widgets::get(&mut tx, caller.tenant).await?.and_then(|found| found.widget).unwrap_or_default();
    Ok200::new(&view(&app, caller.tenant_public_id, found))
}

/// Configure the widget
///
/// By owners and admins.
#[endpoint]
pub(super) async fn put_widget(app: App, caller: TenantAdmin, body: Body<WidgetBody>) -> Result<Ok200<WidgetView>, ApiError> {
    let (TenantAdmin(caller), Body(body)) = (caller, body);
    let mut tx = app.tenants.begin(caller.tenant).await?;
    let before = widgets::get(&mut tx, caller.tenant).await?.and_then(|found| found.widget);
    let widget = changed(body, before.unwrap_or_else(|| Widget { enabled: true, ..Widget::default() }))?;
    widgets::put(&mut tx, caller.tenant, &widget).await?;
    audit::note(&mut tx, caller.tenant, &caller.act("widget.update", caller.tenant_public_id)).await?;
    tx.commit().await?;
    Ok200::new(&view(&app, caller.tenant_public_id, widget))
}

fn changed(body: WidgetBody, before: Widget) -> Result<Widget, ApiError> {
    const MOST_ORIGINS: usize = 50;
    let mut fields = Fields::default();
    let is_color = |text: &String| text.len() == 7 && text.starts_with('#') && text.chars().skip(1).all(|c| c.is_ascii_hexdigit());
    fields.check(body.primary_color.as_ref().is_none_or(is_color), "primary_color", "must be like #2563eb");
    fields.check(
        body.position.as_deref().is_none_or(|place| matches!(place, "bottom-right" | "bottom-left")),
        "position",
        "must be bottom-right or bottom-left",
    );
    fields.at_most(body.welcome_message.as_deref(), "welcome_message", 500);
    fields.at_most(body.placeholder.as_deref(), "placeholder", 100);
    let title = body.title.map(|title| fields.text(&title, "title", 100));
    let origins: Option<Vec<Option<String>>> = body.allowed_origins.map(|given| given.iter().map(|text| origin(text)).collect());
    let are_good = origins.as_ref().is_none_or(|origins| origins.len() <= MOST_ORIGINS && origins.iter().all(Option::is_some));
    fields.check(are_good, "allowed_origins", "must be up to 50 origins like https://www.company.com");
    fields.finish()?;
    Ok(Widget {
        enabled: body.enabled.unwrap_or(before.enabled),
        title: title.unwrap_or(before.title),
        primary_color: body.primary_color.unwrap_or(before.primary_color),
        welcome_message: body.welcome_message.unwrap_or(before.welcome_message),
        placeholder: body.placeholder.unwrap_or(before.placeholder),
        position: body.position.unwrap_or(before.position),
        allowed_origins: origins.map_or(before.allowed_origins, |origins| origins.into_iter().flatten().collect()),
    })
}

/// As browsers write it: scheme, host, and a port that is not the usual one.
fn origin(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(&request::http_url(text)?).ok()?;
    (matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none()).then(|| url.origin().ascii_serialization())
}

/// Read what a visitor's page needs
///
/// For everybody. Each page gets a session of its own and a token for it; a page that shows the token which it has (`X-Widget-Token`) keeps its session.
#[endpoint]
pub(super) async fn get_public_config(
    app: App,
    named: NamedTenant,
    address: ClientAddress,
    req: &mut Request,
) -> Result<Ok200<PublicWidgetView>, ApiError> {
    let ClientAddress(address) = address;
    app.limiter.check(&Budget::per_minute(format!("widget:config:{address}"), CONFIGS_PER_ADDRESS)).await?;
    let found = tenants::find(&mut *app.operator_conn().await?, named.0).await?;
    let tenant = found.ok_or_else(|| ApiError::not_found("Tenant"))?;
    let id = TenantId(tenant.id);
    let mut tx = app.tenants.begin(id).await?;
    let widget = widgets::get(&mut tx, id).await?.and_then(|found| found.widget).unwrap_or_default();
    drop(tx);
    check_origin(req, &widget.allowed_origins)?;
    let now = app.clock.now();
    let claims = widget.enabled.then(|| {
        let before = token_of(req).and_then(|token| WidgetClaims::read_to_renew(&app.tokens, &token, now));
        let session = before.filter(|claims| claims.tid == id).map_or_else(|| ConversationId::generate().0, |claims| claims.session_id);
        WidgetClaims::new(id, session, now)
    });
    let signed = claims.as_ref().map(|claims| app.tokens.sign(claims));
    if signed == Some(None) {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_key", "Neither JWT_PRIVATE_KEY nor JWT_SECRET is set"));
    }
    Ok200::new(&PublicWidgetView {
        tenant_id: tenant.public_id,
        enabled: widget.enabled,
        title: widget.title,
        primary_color: widget.primary_color,
        welcome_message: widget.welcome_message,
        placeholder: widget.placeholder,
        position: widget.position,
        widget_token: signed.flatten(),
        session_id: claims.as_ref().map(|claims| claims.session_id),
        expires_at: claims.and_then(|claims| chrono::DateTime::from_timestamp(claims.exp, 0)).map(Time),
    })
}

/// Read what was said in a visitor's session
///
/// With a widget's token.
#[endpoint]
pub(super) async fn list_public_messages(app: App, visitor: WidgetOnly) -> Result<Ok200<SessionMessages>, ApiError> {
    let (tenant, session) = (visitor.tenant, visitor.session);
    let mut tx = app.tenants.begin_planning(tenant).await?;
    let filter = MessageFilter { kinds: SHOWN.to_vec() };
    let rows = messages::list_in(&mut tx, tenant, session, &filter, Order::NewestFirst, (MOST_MESSAGES, 0)).await?;
    Ok200::new(&SessionMessages { session_id: session.0, messages: rows.iter().rev().map(VisitorMessage::from).collect() })
}

/// What visitors see: what was said, but nothing that failed or that the system notes.
const SHOWN: [(&str, &str); 4] = [("inbound", "received"), ("outbound", "sent"), ("outbound", "delivered"), ("outbound", "read")];

/// Watch a visitor's session
///
/// With a widget's token: server-sent events, `ready` at first, then `message` `{id, role, content, created_at}` for whatever is said, and `typing` `{started}`
/// while a person types. Read the messages anew after `ready`: what was said before is not told.
#[endpoint]
pub(super) async fn watch_public(app: App, visitor: WidgetOnly) -> Result<EventStream, ApiError> {
    Ok(EventStream::new(watch_as_visitor(app, visitor.tenant, visitor.session)))
}
