//! Operations whose handlers are not endpoints, because they are too hot (webhooks) or too simple.

use crate::contracts::object_of;
use salvo::oapi::{
    BasicType, Content, Object, OpenApi, Operation, Parameter, ParameterIn, PathItem, PathItemType, RequestBody, Required, Response, Schema,
};

/// How many [`add`] adds.
#[cfg(test)]
pub(super) const COUNT: usize = 4;

/// Describes them.
pub(super) fn add(document: &mut OpenApi) {
    let paths = [
        ("/api/webhook", PathItem::new(PathItemType::Get, handshake()), Some((PathItemType::Post, webhook()))),
        ("/health", PathItem::new(PathItemType::Get, health()), None),
        ("/metrics", PathItem::new(PathItemType::Get, metrics()), None),
    ];
    for (path, mut item, second) in paths {
        if let Some((method, operation)) = second {
            item.operations.insert(method, operation);
        }
        document.paths.insert(path, item);
    }
}

fn text() -> Object {
    Object::with_type(BasicType::String)
}

fn answers(operation: Operation, content_type: &str, schema: impl Into<Schema>) -> Operation {
    operation.add_response("200", Response::new("OK").add_content(content_type, Content::new(schema.into())))
}

fn handshake() -> Operation {
    let query = |name: &str| Parameter::new(name).location(ParameterIn::Query).required(true).schema(text());
    let operation = Operation::new()
        .operation_id("webhook.handshake")
        .summary("Answer Meta's handshake")
        .description("`hub.challenge` comes back as text when `hub.verify_token` is ours.")
        .add_parameter(query("hub.mode"))
        .add_parameter(query("hub.verify_token"))
        .add_parameter(query("hub.challenge"));
    answers(operation, "text/plain", text())
}

fn webhook() -> Operation {
    let signature = Parameter::new("X-Hub-Signature-256").location(ParameterIn::Header).required(true).schema(text());
    let body = RequestBody::new().add_content("application/json", Content::new(Schema::from(Object::new()))).required(Required::True);
    let operation = Operation::new()
        .operation_id("webhook.receive")
        .summary("Take a webhook")
        .description("200 when it is durable. Signed over the raw body with the app secret, else 401. 503 with Retry-After: send it again.")
        .add_parameter(signature)
        .request_body(body);
    answers(operation, "text/plain", text())
}

fn health() -> Operation {
    let schema = object_of([
        ("status", text().into(), true),
        ("db", text().into(), true),
        ("redis", text().into(), true),
        ("uptime", Object::with_type(BasicType::Integer).into(), true),
        ("timestamp", text().into(), true),
    ]);
    let operation = Operation::new()
        .operation_id("health.get")
        .summary("Can this process take work?")
        .description("`db` and `redis` are up, down or unused. 503 when the database is down.");
    answers(operation, "application/json", schema)
}

fn metrics() -> Operation {
    let operation =
        Operation::new().operation_id("metrics.get").summary("Metrics for Prometheus").description("Unless METRICS_PORT is set.");
    answers(operation, "text/plain", text())
}
