//! Whoever is signed in, as handlers see them.

use crate::{
    ApiError,
    request::{TenantSegment, describe_tenant},
};
use domain::{SessionId, TenantId, UserId, UserRole};
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    oapi::{Components, EndpointArgRegister, Operation, security::SecurityRequirement},
};
use std::{
    fmt::{Debug, Display},
    sync::Arc,
};
use store::audit::Act;
use uuid::Uuid;

/// A user with a live session. Handlers behind the gate take it as an argument.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub tenant: TenantId,
    /// What contracts other than nexus show of the tenant.
    pub tenant_public_id: Uuid,
    pub user: UserId,
    pub session: SessionId,
    /// As it is now, not as the token says.
    pub role: UserRole,
    /// The contract that the token speaks.
    pub contract: Arc<str>,
    /// `user:UUID`, for the audit log.
    pub actor: Arc<str>,
}

/// A caller who is an owner or admin; others are answered 403.
#[derive(Clone, Debug)]
pub(crate) struct Admin(pub Caller);

/// A caller of the tenant that the path names in `{tenant_id}`, by UUID or by number; for others it is not there.
#[derive(Clone, Debug)]
pub(crate) struct Member(pub Caller);

/// An owner or admin of the tenant that the path names: both of the above.
#[derive(Clone, Debug)]
pub(crate) struct TenantAdmin(pub Caller);

impl Caller {
    /// An act of this caller's, for the audit log.
    pub(crate) fn act(&self, act: &'static str, subject: impl Display) -> Act<'_> {
        Act { actor: &self.actor, act, subject: Some(subject.to_string()), detail: None }
    }

    /// True if the token is one of the helpdesk.
    pub(crate) fn speaks_desk(&self) -> bool {
        &*self.contract == "desk"
    }

    fn of(depot: &Depot) -> Result<Self, ApiError> {
        depot.get_typed::<Self>().cloned().map_err(|_| ApiError::unauthorized())
    }

    fn must_administer(self) -> Result<Self, ApiError> {
        if self.role.is_admin() { Ok(self) } else { Err(ApiError::forbidden("Only an owner or admin may do this")) }
    }

    fn must_be_named(self, req: &Request) -> Result<Self, ApiError> {
        let is_named = TenantSegment::of(req).names(self.tenant, self.tenant_public_id);
        if is_named { Ok(self) } else { Err(ApiError::not_found("Tenant")) }
    }
}

impl<'ex> Extractible<'ex> for Caller {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(_req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Self::of(depot)
    }
}

impl<'ex> Extractible<'ex> for Admin {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(_req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Caller::of(depot)?.must_administer().map(Self)
    }
}

impl<'ex> Extractible<'ex> for Member {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Caller::of(depot)?.must_be_named(req).map(Self)
    }
}

impl<'ex> Extractible<'ex> for TenantAdmin {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Caller::of(depot)?.must_be_named(req)?.must_administer().map(Self)
    }
}

/// The name of the security scheme in the OpenAPI document.
const SCHEME: &str = "BearerAuth";

impl EndpointArgRegister for Caller {
    fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
        operation.securities.get_or_insert_default().push(SecurityRequirement::new(SCHEME, Vec::<String>::new()));
    }
}

impl EndpointArgRegister for Admin {
    fn register(components: &mut Components, operation: &mut Operation, arg: &str) {
        Caller::register(components, operation, arg);
    }
}

impl EndpointArgRegister for Member {
    fn register(components: &mut Components, operation: &mut Operation, arg: &str) {
        Caller::register(components, operation, arg);
        describe_tenant(operation);
    }
}

impl EndpointArgRegister for TenantAdmin {
    fn register(components: &mut Components, operation: &mut Operation, arg: &str) {
        Member::register(components, operation, arg);
    }
}
