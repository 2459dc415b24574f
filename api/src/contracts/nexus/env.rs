//! The script that tells frontends where the API is.

use crate::{ApiError, App};
use salvo::{
    Depot, Request, Response, Writer, async_trait,
    http::{
        ResBody,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    },
    oapi::{self, BasicType, Components, Content, EndpointOutRegister, Object, Operation, Schema, endpoint},
};
use serde_json::json;

/// JavaScript.
#[derive(Debug)]
pub(super) struct Script(String);

/// Where is the API?
///
/// A script that sets `window.env.API_BASE_URL` and leaves the rest of `window.env` as it is.
#[endpoint]
pub(super) async fn script(app: App) -> Result<Script, ApiError> {
    let env = json!({"API_BASE_URL": app.public_url}).to_string().replace('<', "\\u003c");
    Ok(Script(format!("window.env = Object.assign(window.env || {{}}, {env});\n")))
}

#[async_trait]
impl Writer for Script {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        let headers = res.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        res.body = ResBody::Once(self.0.into());
    }
}

impl EndpointOutRegister for Script {
    fn register(_components: &mut Components, operation: &mut Operation) {
        let text = Content::new(Schema::from(Object::with_type(BasicType::String)));
        operation.responses.insert("200", oapi::Response::new("OK").add_content("text/javascript", text));
    }
}
