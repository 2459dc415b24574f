//! The published contracts, one line each: which paths they own, what they serve there, and how they write an error.

mod cloud;
mod desk;
mod nexus;
mod omnichat;
mod ownership;
mod platform;
mod shared_paths;

/// What is shown outside of requests too, by realtime events.
pub(crate) mod views {
    pub(crate) use super::{
        cloud::{conversations::ConversationView, message_view::MessageView},
        omnichat::messages::InboxMessage,
    };
}

use crate::{ApiError, auth::Caller, dashboard};
use salvo::{
    Depot, Request, Router,
    http::StatusCode,
    oapi::{Object, Schema},
};
use serde_json::Value;

/// A published contract.
pub(crate) struct Contract {
    /// Its short name: the tag in the OpenAPI document, and the claim in tokens.
    pub name: &'static str,
    /// What it is about, for the OpenAPI document.
    pub about: &'static str,
    /// It owns these paths and everything below them. `{}` stands for any segment; a method in front narrows it.
    pub paths: &'static [&'static str],
    /// The status of a request whose values are wrong.
    pub invalid_status: StatusCode,
    /// The body of an error.
    pub error_body: fn(&ApiError, &ErrorContext<'_>) -> Value,
    /// The schema of that body.
    pub error_schema: fn() -> Object,
    /// What it serves.
    pub routes: fn() -> Router,
}

/// What the body of an error may depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorContext<'a> {
    /// Show details.
    pub development: bool,
    /// The contract that the caller's token speaks, if there was a good one.
    pub speaks: Option<&'a str>,
}

/// All contracts. `platform` answers for paths that nobody owns.
pub(crate) static CONTRACTS: &[&Contract] = &[
    &shared_paths::CONTRACT,
    &nexus::CONTRACT,
    &platform::CONTRACT,
    &omnichat::CONTRACT,
    &cloud::CONTRACT,
    &desk::CONTRACT,
    &dashboard::CONTRACT,
];

/// Everything that all contracts serve.
pub(crate) fn routes() -> Vec<Router> {
    CONTRACTS.iter().map(|contract| (contract.routes)()).collect()
}

/// The contract that owns a request: of the patterns that match, the longest one's.
pub(crate) fn owner(method: &str, path: &str) -> &'static Contract {
    let patterns = CONTRACTS.iter().flat_map(|contract| contract.paths.iter().map(move |pattern| (*contract, *pattern)));
    let matching = patterns.filter_map(|(contract, pattern)| Some((contract, ownership::specificity(pattern, method, path)?)));
    matching.max_by_key(|(_, specificity)| *specificity).map_or(&platform::CONTRACT, |(contract, _)| contract)
}

/// The status and body of `error` in the dialect of the contract that owns the request.
pub(crate) fn render(error: &ApiError, req: &Request, depot: &Depot, development: bool) -> (StatusCode, Value) {
    let contract = owner(req.method().as_str(), req.uri().path());
    let speaks = depot.get_typed::<Caller>().ok().map(|caller| &*caller.contract);
    let status = if error.is_invalid() { contract.invalid_status } else { error.status };
    (status, (contract.error_body)(&ApiError { status, ..error.clone() }, &ErrorContext { development, speaks }))
}

/// A schema that has these properties: (name, schema, required).
pub(crate) fn object_of(properties: impl IntoIterator<Item = (&'static str, Schema, bool)>) -> Object {
    properties.into_iter().fold(Object::new(), |object, (name, schema, required)| {
        let object = object.property(name, schema);
        if required { object.required(name) } else { object }
    })
}

#[cfg(test)]
mod tests;
