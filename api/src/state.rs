//! What all handlers of the process share.

use crate::{
    ApiError,
    auth::{Passwords, Provider, RefreshTokens, Sessions, Tokens},
    chat::Ears,
    dashboard::Pulse,
    health::Health,
    ingress::Inbox,
    middleware::rate_limit::Limiter,
    realtime::Hub,
};
use jobs::{agent_tools::CallbackLinks, wake::Waker};
use platform::{Clock, MediaLinks, MediaStore, Sealing, Secret, config::RateLimits};
use salvo::{
    Depot, Extractible, Request, Writer,
    extract::Metadata,
    oapi::{Components, EndpointArgRegister, Operation},
};
use std::{fmt::Debug, ops::Deref, sync::Arc, time::Duration};
use store::{ConversationCards, PgPool, StoreError, Tenants};
use tokio::sync::watch;

/// The state, cheap to clone. Handlers take it as an argument.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<AppState>);

#[derive(Debug)]
pub(crate) struct AppState {
    /// For requests of a tenant: every transaction names it.
    pub tenants: Tenants,
    /// For signing in, when no tenant is known yet, and for operators.
    pub operator: PgPool,
    /// What lists show of conversations.
    pub cards: ConversationCards,
    pub inbox: Inbox,
    /// Who watches.
    pub hub: Arc<Hub>,
    /// Who waits for an agent's answer.
    pub ears: Ears,
    /// Copies of files, and links to them. `None`: no key signs any.
    pub media: MediaStore,
    pub media_links: Option<MediaLinks>,
    /// `None`: no tool can answer later.
    pub callback_links: Option<CallbackLinks>,
    pub waker: Waker,
    pub clock: Arc<dyn Clock>,
    pub tokens: Tokens,
    pub refresh_tokens: RefreshTokens,
    pub passwords: Passwords,
    pub sessions: Sessions,
    pub sealing: Arc<Sealing>,
    pub limiter: Limiter,
    /// How everything stands, for operators.
    pub pulse: Pulse,
    /// True when the process stops: what is held open ends itself.
    pub stopping: watch::Sender<bool>,
    pub oidc: Option<Provider>,
    pub health: Arc<Health>,
    pub settings: Settings,
}

/// Settings that handlers read.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub public_url: String,
    pub access_ttl: Duration,
    pub refresh_ttl: Duration,
    pub desk_ttl: Duration,
    pub human_override_ttl: Duration,
    pub admin_token: Option<Secret>,
    pub internal_token: Option<Secret>,
    pub rate_limits: RateLimits,
    pub trust_forwarded_for: bool,
}

impl App {
    pub(crate) fn new(state: AppState) -> Self {
        Self(Arc::new(state))
    }

    /// The state that the stack put into the depot.
    pub(crate) fn of(depot: &Depot) -> Result<Self, ApiError> {
        depot.get_typed::<Self>().cloned().map_err(|_| ApiError::internal(&"the state is not in the depot"))
    }

    /// A connection with the operator's rights.
    pub(crate) async fn operator_conn(&self) -> Result<store::PoolConnection, ApiError> {
        Ok(self.operator.acquire().await.map_err(StoreError::from)?)
    }
}

impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl Deref for AppState {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl<'ex> Extractible<'ex> for App {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(_req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        Self::of(depot)
    }
}

impl EndpointArgRegister for App {
    fn register(_components: &mut Components, _operation: &mut Operation, _arg: &str) {}
}
