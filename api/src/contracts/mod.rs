//! The published contracts, one line each: which paths they own and how they write an error.

mod cloud;
mod platform;

use crate::ApiError;
use serde_json::Value;

/// A published contract, as errors need it.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    pub name: &'static str,
    /// It owns these paths and everything below them.
    pub paths: &'static [&'static str],
    /// The body of an error. Details only in development.
    pub error_body: fn(&ApiError, development: bool) -> Value,
}

/// All contracts. The first is the one whose error body answers for paths that nobody owns.
pub static CONTRACTS: &[Contract] = &[platform::CONTRACT, cloud::CONTRACT];

/// The contract that owns `path`: the one with the longest matching prefix.
pub fn owner(path: &str) -> &'static Contract {
    let matching = CONTRACTS.iter().flat_map(|contract| contract.paths.iter().map(move |prefix| (contract, *prefix)));
    let longest = matching.filter(|(_, prefix)| is_below(path, prefix)).max_by_key(|(_, prefix)| prefix.len());
    longest.map_or(&platform::CONTRACT, |(contract, _)| contract)
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use salvo::http::StatusCode;
    use serde_json::json;

    #[test]
    fn a_path_belongs_to_the_contract_with_its_prefix_and_else_to_platform() {
        for (path, name) in [
            ("/api/webhook", "cloud"),
            ("/api/webhook/nowhere", "cloud"),
            ("/api/webhooks", "platform"),
            ("/api", "platform"),
            ("/", "platform"),
            ("/health", "platform"),
        ] {
            assert_eq!(owner(path).name, name, "{path}");
        }
    }

    #[test]
    fn each_contract_writes_its_own_error_body_and_details_in_development_only() {
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "inbox_full", "Try again").with_detail(&"20000 events");
        let body = |path: &str, development| (owner(path).error_body)(&error, development);
        assert_eq!(body("/api/webhook", false), json!({"success": false, "message": "Try again"}));
        assert_eq!(body("/api/webhook", true), json!({"success": false, "message": "Try again", "error": "20000 events"}));
        assert_eq!(body("/nowhere", true), json!({"detail": "Try again", "status_code": 503}));
    }
}
