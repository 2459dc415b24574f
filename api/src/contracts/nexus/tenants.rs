//! The tenants.

use crate::{auth::Operator, prelude::*};
use store::tenants;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TenantView {
    id: i32,
    store_name: String,
}

/// List all tenants
#[endpoint]
pub(super) async fn list_tenants(app: App, _operator: Operator) -> Result<Ok200<Vec<TenantView>>, ApiError> {
    let rows = tenants::list(&mut *app.operator_conn().await?, None).await?;
    Ok200::new(&rows.into_iter().map(|row| TenantView { id: row.id, store_name: row.store_name }).collect())
}
