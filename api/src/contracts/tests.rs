//! Who owns which path, and how each writes an error.

use super::*;
use serde_json::json;

#[test]
fn a_path_belongs_to_the_contract_with_the_longest_pattern_and_else_to_platform() {
    for (method, path, name) in [
        ("POST", "/api/webhook", "cloud"),
        ("GET", "/api/webhook/nowhere", "cloud"),
        ("GET", "/api/webhooks", "platform"),
        ("GET", "/api", "platform"),
        ("GET", "/", "platform"),
        ("GET", "/health", "platform"),
        ("GET", "/api/contacts/export/nowhere", "cloud"),
        ("GET", "/api/telegram/nothing", "omnichat"),
        ("POST", "/api/messages/send", "omnichat"),
        ("POST", "/api/messages", "cloud"),
        ("POST", "/api/auth/login", "shared"),
        ("POST", "/api/auth/refresh", "omnichat"),
        ("GET", "/api/auth/users/7", "platform"),
        ("GET", "/api/conversations", "shared"),
        ("GET", "/api/conversations/x", "shared"),
        ("PATCH", "/api/conversations/x", "cloud"),
        ("GET", "/api/conversations/x/messages", "desk"),
        ("GET", "/api/tickets/7/x", "desk"),
        ("GET", "/admin/chats", "nexus"),
        ("POST", "/internal/inbound", "nexus"),
        ("GET", "/api/admin/agents", "platform"),
    ] {
        assert_eq!(owner(method, path).name, name, "{method} {path}");
    }
}

#[test]
fn each_contract_writes_its_own_error_body_and_details_in_development_only() {
    let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "inbox_full", "Try again").with_detail(&"20000 events");
    let body = |path: &str, development, speaks| (owner("GET", path).error_body)(&error, &ErrorContext { development, speaks });
    assert_eq!(body("/api/webhook", false, None), json!({"success": false, "message": "Try again"}));
    assert_eq!(body("/api/webhook", true, None), json!({"success": false, "message": "Try again", "error": "20000 events"}));
    assert_eq!(body("/nowhere", true, None), json!({"detail": "Try again", "status_code": 503}));
    assert_eq!(body("/admin/chats", true, None), json!({"detail": "Try again"}));
    assert_eq!(body("/api/tickets", true, None), json!({"detail": "Try again"}));
    assert_eq!(body("/api/conversations", false, Some("cloud")), json!({"success": false, "message": "Try again"}));
    assert_eq!(body("/api/conversations", false, Some("desk")), json!({"detail": "Try again"}));
    assert_eq!(
        body("/api/conversations", false, None),
        json!({"success": false, "message": "Try again", "detail": "Try again", "status_code": 503})
    );
}

#[test]
fn the_fields_that_are_wrong_are_named() {
    let error = ApiError::invalid_field("email", "is required");
    let body = |path: &str| (owner("POST", path).error_body)(&error, &ErrorContext { development: false, speaks: None });
    assert_eq!(body("/api/tickets"), json!({"detail": "Bad Request", "errors": {"email": ["is required"]}}));
    assert_eq!(body("/api/messages")["message"], "email: is required");
    assert_eq!(body("/api/admin/agents")["detail"], "email: is required");
    assert_eq!(body("/api/auth/login")["errors"], json!({"email": ["is required"]}));
}
