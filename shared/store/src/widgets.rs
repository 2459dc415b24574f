//! Chat widgets: how a tenant's looks, and where it may be.

use crate::StoreError;
use domain::TenantId;
use sqlx::PgConnection;
use uuid::Uuid;

/// A widget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widget {
    pub enabled: bool,
    pub title: String,
    /// `#rrggbb`.
    pub primary_color: String,
    /// What a visitor reads first.
    pub welcome_message: String,
    pub placeholder: String,
    /// `bottom-right bottom-left`.
    pub position: String,
    /// `scheme://host[:port]`; empty: anywhere.
    pub allowed_origins: Vec<String>,
}

impl Default for Widget {
    /// What one is like that was never set up: off.
    fn default() -> Self {
        Self {
            enabled: false,
            title: "Chat".to_owned(),
            primary_color: "#2563eb".to_owned(),
            welcome_message: "Hello! How can we help?".to_owned(),
            placeholder: "Write a message".to_owned(),
            position: "bottom-right".to_owned(),
            allowed_origins: Vec::new(),
        }
    }
}

/// A tenant and its widget.
#[derive(Clone, Debug)]
pub struct TenantWidget {
    pub tenant_public_id: Uuid,
    /// `None`: it was never set up.
    pub widget: Option<Widget>,
}

/// `None`: there is no such tenant.
pub async fn get(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<TenantWidget>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT t.public_id, w.enabled AS "enabled?", w.title AS "title?", w.primary_color AS "primary_color?", w.welcome_message AS "welcome_message?",
                  w.placeholder AS "placeholder?", w.position AS "position?", w.allowed_origins AS "allowed_origins?"
           FROM tenants t LEFT JOIN widgets w ON w.tenant_id = t.id WHERE t.id = $1"#,
        tenant.0
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let usual = Widget::default();
        let widget = row.enabled.map(|enabled| Widget {
            enabled,
            title: row.title.unwrap_or(usual.title),
            primary_color: row.primary_color.unwrap_or(usual.primary_color),
            welcome_message: row.welcome_message.unwrap_or(usual.welcome_message),
            placeholder: row.placeholder.unwrap_or(usual.placeholder),
            position: row.position.unwrap_or(usual.position),
            allowed_origins: row.allowed_origins.unwrap_or_default(),
        });
        TenantWidget { tenant_public_id: row.public_id, widget }
    }))
}

/// Sets it up, or changes it.
pub async fn put(conn: &mut PgConnection, tenant: TenantId, widget: &Widget) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO widgets (tenant_id, enabled, title, primary_color, welcome_message, placeholder, position, allowed_origins)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (tenant_id) DO UPDATE SET enabled = excluded.enabled, title = excluded.title, primary_color = excluded.primary_color,
           welcome_message = excluded.welcome_message, placeholder = excluded.placeholder, position = excluded.position,
           allowed_origins = excluded.allowed_origins, updated_at = now()",
        tenant.0,
        widget.enabled,
        widget.title,
        widget.primary_color,
        widget.welcome_message,
        widget.placeholder,
        widget.position,
        &widget.allowed_origins
    )
    .execute(conn)
    .await?;
    Ok(())
}
