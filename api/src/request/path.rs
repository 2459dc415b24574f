//! Segments of the path.

use super::parse_uuid;
use crate::ApiError;
use domain::TenantId;
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    oapi::{BasicType, Components, EndpointArgRegister, KnownFormat, Object, Operation, Parameter, ParameterIn, Schema, SchemaFormat},
};
use std::fmt::Debug;
use store::tenants::TenantKey;
use uuid::Uuid;

/// The path's segment that is named like the handler's argument. What is not such an id is not found.
#[derive(Debug)]
pub(crate) struct Path<T>(pub T);

/// What a segment can be.
pub(crate) trait Segment: Sized + Send {
    fn parse(text: &str) -> Option<Self>;
    fn schema() -> Object;
}

impl Segment for Uuid {
    fn parse(text: &str) -> Option<Self> {
        parse_uuid(text)
    }

    fn schema() -> Object {
        Object::with_type(BasicType::String).format(SchemaFormat::KnownFormat(KnownFormat::Uuid))
    }
}

impl Segment for i32 {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number: &Self| *number > 0 && !text.starts_with('+'))
    }

    fn schema() -> Object {
        Object::with_type(BasicType::Integer).format(SchemaFormat::KnownFormat(KnownFormat::Int32)).minimum(1.0)
    }
}

/// Describes the segment `{tenant_id}` of an operation's path.
pub(crate) fn describe_tenant(operation: &mut Operation) {
    let schema = Object::with_type(BasicType::String).description("The tenant's UUID, or its number");
    operation.parameters.insert(Parameter::new("tenant_id").location(ParameterIn::Path).required(true).schema(schema));
}

/// A tenant that the path names, whoever asks. What names none is not found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedTenant(pub TenantKey);

impl<'ex> Extractible<'ex> for NamedTenant {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, _depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        TenantSegment::of(req).key().map(Self).ok_or_else(|| ApiError::not_found("Tenant"))
    }
}

impl EndpointArgRegister for NamedTenant {
    fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
        describe_tenant(operation);
    }
}

/// `{tenant_id}`: a tenant's UUID, or its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TenantSegment<'a>(&'a str);

impl<'a> TenantSegment<'a> {
    pub(crate) fn of(req: &'a Request) -> Self {
        Self(req.params().get("tenant_id").map(String::as_str).unwrap_or_default())
    }

    /// Is it this tenant?
    pub(crate) fn names(self, tenant: TenantId, public_id: Uuid) -> bool {
        parse_uuid(self.0) == Some(public_id) || i32::parse(self.0) == Some(tenant.0)
    }

    /// As what a tenant can be found by.
    pub(crate) fn key(self) -> Option<TenantKey> {
        parse_uuid(self.0).map(TenantKey::PublicId).or_else(|| i32::parse(self.0).map(TenantKey::Number))
    }
}

impl<'ex, T: Segment> Extractible<'ex> for Path<T> {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(_req: &'ex mut Request, _depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Err(ApiError::not_found("Item"))
    }

    async fn extract_with_arg(
        req: &'ex mut Request,
        _depot: &'ex mut Depot,
        arg: &str,
    ) -> Result<Self, impl Writer + Send + Debug + 'static> {
        req.params().get(arg).and_then(|text| T::parse(text)).map(Self).ok_or_else(|| ApiError::not_found("Item"))
    }
}

impl<T: Segment> EndpointArgRegister for Path<T> {
    fn register(_components: &mut Components, operation: &mut Operation, arg: &str) {
        operation.parameters.insert(Parameter::new(arg).location(ParameterIn::Path).required(true).schema(Schema::from(T::schema())));
    }
}
