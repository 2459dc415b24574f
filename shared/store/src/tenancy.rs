//! Transactions of one tenant: the only way in which a tenant's request reaches the database.

use crate::{PoolConnection, Role, StoreError, connect};
use domain::TenantId;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use std::ops::{Deref, DerefMut};

/// The pool of the role that sees no row until a transaction names its tenant.
#[derive(Clone, Debug)]
pub struct Tenants(PgPool);

/// A transaction that sees and changes rows of one tenant only, whatever its statements forget to say. Dropped, it is undone.
#[derive(Debug)]
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    tenant: TenantId,
}

impl Tenants {
    /// Connects lazily.
    pub fn connect(url: &str, application_name: &str, max_connections: u32) -> Result<Self, StoreError> {
        Ok(Self(connect(url, Role::Api, application_name, max_connections)?))
    }

    /// A connection for one statement that names its tenant itself: for what is read so often that a round trip counts.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection, StoreError> {
        Ok(self.0.acquire().await?)
    }

    /// Begins a transaction for `tenant`, in one round trip.
    pub async fn begin(&self, tenant: TenantId) -> Result<TenantTx, StoreError> {
        self.begin_with(tenant, "").await
    }

    /// The same for statements that run all the time from the first message on: they are planned for the tables as they are. A plan that was made
    /// when these were empty takes any index, and would be kept.
    pub async fn begin_planning(&self, tenant: TenantId) -> Result<TenantTx, StoreError> {
        self.begin_with(tenant, "; SET LOCAL plan_cache_mode = 'force_custom_plan'").await
    }

    async fn begin_with(&self, tenant: TenantId, more: &'static str) -> Result<TenantTx, StoreError> {
        // A number, so it can be part of the statement.
        let begin = format!("BEGIN; SET LOCAL switchboard.tenant_id = '{}'{more}", tenant.0);
        Ok(TenantTx { tx: self.0.begin_with(AssertSqlSafe(begin)).await?, tenant })
    }
}

impl TenantTx {
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }
}

impl Deref for TenantTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for TenantTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
