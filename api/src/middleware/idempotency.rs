//! `Idempotency-Key`: a request that creates or sends may be repeated. What it did and what was answered are one transaction.

use crate::{ApiError, App, auth::Caller, reply::Reply};
use aws_lc_rs::digest::{SHA256, digest};
use domain::TenantId;
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    http::ReqBody,
    oapi::{BasicType, Components, EndpointArgRegister, Object, Operation, Parameter, ParameterIn, Schema},
};
use serde::Serialize;
use std::{
    fmt::Debug,
    ops::{Deref, DerefMut},
};
use store::{
    PgConnection, TenantTx,
    idempotency::{self, Claim, KeyedRequest},
};

const HEADER: &str = "idempotency-key";
const LONGEST: usize = 255;

/// The key of a request, if it has one. Comes behind the body among a handler's arguments.
#[derive(Clone, Debug)]
pub(crate) struct RequestKey(Option<Key>);

#[derive(Clone, Debug)]
struct Key {
    text: String,
    request: String,
    body_hash: Vec<u8>,
}

impl<'ex> Extractible<'ex> for RequestKey {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, _depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        let Some(value) = req.headers().get(HEADER) else { return Ok(Self(None)) };
        let key = value.to_str().map(str::trim).unwrap_or_default();
        if key.is_empty() || key.len() > LONGEST {
            return Err(ApiError::invalid_field("Idempotency-Key", "must be 1 to 255 visible ASCII characters"));
        }
        let body = match req.body() {
            ReqBody::Once(bytes) => bytes.as_ref(),
            _ => b"",
        };
        let body_hash = digest(&SHA256, body).as_ref().to_vec();
        let request = format!("{} {}", req.method(), req.uri().path());
        Ok(Self(Some(Key { text: key.to_owned(), request, body_hash })))
    }
}

impl EndpointArgRegister for RequestKey {
    fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
        let schema = Object::with_type(BasicType::String).min_length(1).max_length(LONGEST).pattern("^[!-~]+$");
        operation.parameters.insert(
            Parameter::new("Idempotency-Key")
                .location(ParameterIn::Header)
                .required(false)
                .description("Repeat a request with the same key and it is done once; the first answer comes again for a day")
                .schema(Schema::from(schema)),
        );
    }
}

/// A tenant's transaction that ends with an answer.
pub(crate) struct Work {
    tx: TenantTx,
    key: Option<String>,
}

/// What a keyed request is to do.
pub(crate) enum Begun<T, const STATUS: u16> {
    /// Its work, in this transaction.
    Work(Work),
    /// Nothing: this was answered before.
    Answered(Reply<T, STATUS>),
}

impl App {
    /// Begins the transaction of a user's request that creates or sends.
    pub(crate) async fn begin_once<T, const STATUS: u16>(&self, caller: &Caller, key: &RequestKey) -> Result<Begun<T, STATUS>, ApiError> {
        self.begin_once_as(caller.tenant, &caller.actor, key).await
    }

    /// The same, for whoever `who` names.
    pub(crate) async fn begin_once_as<T, const STATUS: u16>(
        &self,
        tenant: TenantId,
        who: &str,
        key: &RequestKey,
    ) -> Result<Begun<T, STATUS>, ApiError> {
        let mut tx = self.tenants.begin(tenant).await?;
        let Some(Key { text: key, request, body_hash }) = &key.0 else { return Ok(Begun::Work(Work { tx, key: None })) };
        let request = format!("{request} {who}");
        match idempotency::claim(&mut tx, tenant, KeyedRequest { key, request: &request, body_hash }).await? {
            Claim::New => Ok(Begun::Work(Work { tx, key: Some(key.clone()) })),
            Claim::Done { status, response } => Ok(Begun::Answered(Reply::repeated(status, response)?)),
            Claim::Different => {
                Err(ApiError::conflict("idempotency_key_used", "This Idempotency-Key was used for another request: take a new one"))
            }
        }
    }
}

impl Work {
    /// Keeps the answer under the request's key and commits.
    pub(crate) async fn answer<T: Serialize, const STATUS: u16>(self, body: &T) -> Result<Reply<T, STATUS>, ApiError> {
        let Self { mut tx, key } = self;
        let reply = Reply::new(body)?;
        if let Some(key) = key {
            let tenant = tx.tenant();
            idempotency::keep(&mut tx, tenant, &key, reply.status(), reply.body()).await?;
        }
        tx.commit().await?;
        Ok(reply)
    }
}

impl Deref for Work {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
