//! `/openapi.json`, made of the handlers, and Swagger UI at `/docs`.

mod names;
mod operations;

use crate::contracts;
use bytes::Bytes;
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Router, async_trait,
    http::{
        HeaderValue, ResBody,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    oapi::{
        Content, Info, OpenApi, Operation, PathItemType, RefOr, Response as OpenApiResponse, Schema, Tag,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
        swagger_ui::SwaggerUi,
    },
};

const ABOUT: &str = "The published contracts of Switchboard over one inbox. Sign in with `POST /api/auth/login` (or `POST /api/login` for the \
    helpdesk), press Authorize and paste the token. Times are UTC, ISO-8601. Limits over 200 mean 200.";

/// What any operation may answer besides what its handler says.
const FAILURES: &[(&str, &str)] =
    &[("4XX", "The request cannot be served; the body says why"), ("5XX", "Something of ours is away or broken: try again")];

/// The document of everything that the contracts serve, webhooks and health included, as JSON.
pub(crate) fn document(contracts: &Router) -> Result<Bytes, serde_json::Error> {
    let mut document = serde_json::to_value(described(contracts))?;
    names::shorten(&mut document);
    Ok(serde_json::to_vec(&document)?.into())
}

fn described(contracts: &Router) -> OpenApi {
    let key = |header| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(header)));
    let mut document = OpenApi::with_info(Info::new("Switchboard", env!("CARGO_PKG_VERSION")).description(ABOUT))
        .add_security_scheme("BearerAuth", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer).bearer_format("JWT")))
        .add_security_scheme("AdminToken", key("X-Admin-Token"))
        .add_security_scheme("InternalSecret", key("X-Internal-Secret"))
        .add_security_scheme("WidgetToken", key("X-Widget-Token"))
        .tags(contracts::CONTRACTS.iter().map(|contract| Tag::new(contract.name).description(contract.about)))
        .merge_router(contracts);
    operations::add(&mut document);
    for (path, item) in document.paths.iter_mut() {
        for (method, operation) in item.operations.iter_mut() {
            complete(path, *method, operation);
        }
    }
    document
}

/// The tag of the contract that owns the operation, and the errors in its dialect.
fn complete(path: &str, method: PathItemType, operation: &mut Operation) {
    let method = match method {
        PathItemType::Get => "GET",
        PathItemType::Post => "POST",
        PathItemType::Put => "PUT",
        PathItemType::Patch => "PATCH",
        PathItemType::Delete => "DELETE",
        PathItemType::Head => "HEAD",
        _ => "OTHER",
    };
    let contract = contracts::owner(method, path);
    operation.tags = vec![contract.name.to_owned()];
    for (status, description) in FAILURES {
        let schema = RefOr::<Schema>::Type(Schema::Object(Box::new((contract.error_schema)())));
        operation.responses.insert(*status, OpenApiResponse::new(*description).add_content("application/json", Content::new(schema)));
    }
}

/// The routes that show the document.
pub(crate) fn routes(document: Bytes) -> Router {
    Router::new().push(Router::with_path("openapi.json").get(Document(document))).push(SwaggerUi::new("/openapi.json").into_router("docs"))
}

struct Document(Bytes);

#[async_trait]
impl Handler for Document {
    async fn handle(&self, _req: &mut Request, _depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        let headers = res.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        res.body = ResBody::Once(self.0.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many handlers a router reaches.
    fn handlers(router: &Router) -> usize {
        usize::from(router.goal.is_some()) + router.routers().iter().map(handlers).sum::<usize>()
    }

    #[test]
    fn every_route_of_the_contracts_is_described() {
        let router = Router::new().append(&mut contracts::routes());
        let document: serde_json::Value = serde_json::from_slice(&document(&router).unwrap()).unwrap();
        let mut described = 0;
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                described += 1;
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}: its id is taken");
                assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{method} {path}");
                assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path} has no summary");
            }
        }
        assert_eq!(described, handlers(&router) + operations::COUNT);
    }
}
