//! Everything the process serves: webhooks, health, metrics, and the contracts.

use crate::{
    App, assets, contracts, dashboard,
    health::Health,
    ingress::{Handshake, MetaWebhook, Receive, TelegramWebhook},
    media::ServeMedia,
    middleware, openapi,
    realtime::OpenSocket,
};
use platform::metrics::MetricsHandle;
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Router, async_trait,
    http::{HeaderValue, ResBody, StatusCode, header::CONTENT_TYPE},
};
use std::sync::Arc;

/// What the routes need.
pub(crate) struct Parts {
    pub app: App,
    pub webhook: MetaWebhook,
    pub telegram: TelegramWebhook,
    /// Socket.IO.
    pub sockets: Router,
    pub health: Arc<Health>,
    /// `None`: metrics have a port of their own.
    pub metrics: Option<MetricsHandle>,
}

/// All routes, and the document of them.
pub(crate) fn all(parts: Parts) -> Result<Router, serde_json::Error> {
    let (webhook, health) = (Arc::new(parts.webhook), parts.health);
    let meta = |path| {
        let webhook = webhook.clone();
        Router::with_path(path).post(Receive(webhook.clone())).get(Handshake(webhook.clone())).head(Handshake(webhook))
    };
    let mut router = Router::new()
        .push(meta("api/webhook"))
        .push(meta("api/facebook/webhook"))
        .push(Router::with_path("api/telegram/bot/webhook/{channel_instance_id}").post(parts.telegram))
        .push(Router::with_path("health").get(Shared(health.clone())).head(Shared(health)));
    router = router.push(Router::with_path("media/{message_id}").get(ServeMedia(parts.app.clone())));
    router = router.push(assets::routes());
    let web_socket = Router::with_path("api/{tenant_id}/ws").get(OpenSocket(parts.app.clone()));
    router = router.push(parts.sockets).push(web_socket);
    if let Some(metrics) = parts.metrics {
        router = router.push(Router::with_path("metrics").get(Metrics(metrics.clone())).head(Metrics(metrics)));
    }
    router = router.push(dashboard::pages(&parts.app));
    let document = openapi::document(&Router::new().append(&mut contracts::routes()))?;
    let contracts = middleware::contracts(&parts.app, contracts::routes());
    Ok(router.push(openapi::routes(document)).push(contracts))
}

/// One handler on several routes.
struct Shared<H>(Arc<H>);

#[async_trait]
impl<H: Handler> Handler for Shared<H> {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        self.0.handle(req, depot, res, ctrl).await;
    }
}

/// `GET /metrics`, while there is no port of its own for it.
struct Metrics(MetricsHandle);

#[async_trait]
impl Handler for Metrics {
    async fn handle(&self, _req: &mut Request, _depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        res.status_code(StatusCode::OK);
        res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(platform::metrics::CONTENT_TYPE));
        res.body = ResBody::Once(self.0.render().into());
    }
}
