//! What tenants entrusted to us, wherever it is kept, as the rotation of keys goes over it. For operators.

use crate::{StoreError, channels, model_settings, tools};
use domain::{ChannelInstanceId, TenantId};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

/// Who has sealed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Channel,
    Tool,
    /// A tenant's settings of its model.
    Model,
}

impl Holder {
    pub const ALL: [Self; 3] = [Self::Channel, Self::Tool, Self::Model];
}

/// The sealed values of one holder.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    pub holder: Holder,
    pub tenant: TenantId,
    /// Of the channel or tool; nil for a tenant's model.
    pub id: Uuid,
    /// Sealed values by name.
    pub secrets: Map<String, Value>,
}

impl Sealed {
    /// The place of a value, for `platform::sealing`.
    pub fn place(&self, name: &str) -> String {
        match self.holder {
            Holder::Channel => channels::secret_place(ChannelInstanceId(self.id), name),
            Holder::Tool => tools::secret_place(self.id, name),
            Holder::Model => model_settings::key_place(self.tenant),
        }
    }
}

/// Those behind `after`, in order.
pub async fn list(conn: &mut PgConnection, holder: Holder, (tenant, id): (TenantId, Uuid), limit: i64) -> Result<Vec<Sealed>, StoreError> {
    let of = |tenant, id, secrets: Value| {
        let secrets = secrets.as_object().cloned().unwrap_or_default();
        Sealed { holder, tenant: TenantId(tenant), id, secrets }
    };
    Ok(match holder {
        Holder::Channel => sqlx::query!(
            "SELECT tenant_id, id, secrets FROM channel_instances WHERE id > $1 AND secrets <> '{}' ORDER BY id LIMIT $2",
            id,
            limit
        )
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| of(row.tenant_id, row.id, row.secrets))
        .collect(),
        Holder::Tool => sqlx::query!(
            "SELECT tenant_id, id, secrets FROM tools WHERE (tenant_id, id) > ($1, $2) AND secrets <> '{}' ORDER BY tenant_id, id LIMIT $3",
            tenant.0,
            id,
            limit
        )
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| of(row.tenant_id, row.id, row.secrets))
        .collect(),
        Holder::Model => sqlx::query!(
            r#"SELECT tenant_id, api_key AS "api_key!" FROM model_settings WHERE tenant_id > $1 AND api_key IS NOT NULL ORDER BY tenant_id LIMIT $2"#,
            tenant.0,
            limit
        )
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| of(row.tenant_id, Uuid::nil(), json!({"api_key": row.api_key})))
        .collect(),
    })
}

/// Replaces the values, unless somebody changed them since they were read: then false.
pub async fn replace(conn: &mut PgConnection, before: &Sealed, secrets: Map<String, Value>) -> Result<bool, StoreError> {
    let key = |secrets: &Map<String, Value>| secrets.get("api_key").and_then(Value::as_str).map(str::to_owned);
    let result = match before.holder {
        Holder::Channel => {
            sqlx::query!(
                "UPDATE channel_instances SET secrets = $4 WHERE tenant_id = $1 AND id = $2 AND secrets = $3",
                before.tenant.0,
                before.id,
                Value::Object(before.secrets.clone()),
                Value::Object(secrets)
            )
            .execute(conn)
            .await?
        }
        Holder::Tool => {
            sqlx::query!(
                "UPDATE tools SET secrets = $4 WHERE tenant_id = $1 AND id = $2 AND secrets = $3",
                before.tenant.0,
                before.id,
                Value::Object(before.secrets.clone()),
                Value::Object(secrets)
            )
            .execute(conn)
            .await?
        }
        Holder::Model => {
            sqlx::query!(
                "UPDATE model_settings SET api_key = $3 WHERE tenant_id = $1 AND api_key = $2",
                before.tenant.0,
                key(&before.secrets),
                key(&secrets)
            )
            .execute(conn)
            .await?
        }
    };
    Ok(result.rows_affected() == 1)
}
