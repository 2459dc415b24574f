//! Templates at Meta: what is asked, what answers and webhooks mean.

use super::*;
use crate::{
    sending::{Account, ProviderUrls, Then},
    whatsapp_cloud::templates::{self, Draft, Submission},
};
use domain::{TemplateStatus, TemplateUpdate};
use platform::Secret;

fn account() -> Account {
    let urls = ProviderUrls { meta_graph: "https://graph.example".to_owned(), telegram: String::new() };
    Account { external_id: "42".to_owned(), token: Secret::new("t"), urls }
}

fn update(field: &str, value: &Value) -> Vec<EventBody> {
    let entry = json!({"id": "42", "time": 1_760_000_000, "changes": [{"field": field, "value": value}]});
    bodies(&json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string())
}

fn refused(code: i64, subcode: i64) -> Submission {
    let body = json!({"error": {"message": "m", "code": code, "error_subcode": subcode, "error_user_msg": "said"}}).to_string();
    templates::read_submission(400, None, body.as_bytes())
}

#[test]
fn a_verdict_names_its_template_and_its_reason() {
    let value = json!({"event": "REJECTED", "message_template_id": 9, "message_template_name": "n", "message_template_language": "en",
        "reason": "SCAM", "rejection_info": null});
    let expected = TemplateUpdate {
        external_id: "9".to_owned(),
        name: "n".to_owned(),
        language: "en".to_owned(),
        status: Some(TemplateStatus::Rejected),
        reason: Some("WhatsApp takes it for fraud".to_owned()),
        category: None,
        at: chrono::DateTime::from_timestamp(1_760_000_000, 0),
    };
    assert_eq!(update("message_template_status_update", &value), [EventBody::Template(expected)]);
}

#[test]
fn what_is_no_verdict_is_kept_by_its_field() {
    for (field, value) in [
        ("message_template_status_update", json!({"event": "REJECTED"})),
        ("message_template_status_update", json!({"event": "FLAGGED", "message_template_id": 9})),
        ("message_template_status_update", json!({"event": ["APPROVED"], "message_template_id": 9})),
        ("template_category_update", json!({"new_category": "FUN", "message_template_id": 9})),
        ("message_template_quality_update", json!({"event": "APPROVED", "message_template_id": 9})),
    ] {
        assert_eq!(update(field, &value), [EventBody::Other { field: field.to_owned() }], "{value}");
    }
}

#[test]
fn a_submission_is_asked_for_as_documented_and_its_answers_are_understood() {
    let components = json!([{"type": "BODY", "text": "Hi"}]);
    let call = templates::submit(&account(), &Draft { name: "n", language: "en", category: "UTILITY", components: &components });
    assert_eq!(call.url.expose(), "https://graph.example/v23.0/42/message_templates");
    assert_eq!(call.body, json!({"name": "n", "language": "en", "category": "UTILITY", "components": components}));
    let taken = templates::read_submission(200, None, br#"{"id":"7","status":"APPROVED","category":"UTILITY"}"#);
    assert_eq!(taken, Submission::Taken { external_id: "7".to_owned(), status: TemplateStatus::Approved });
    assert_eq!(refused(100, 2_388_024), Submission::AlreadyThere);
    for (code, subcode, then) in
        [(100, 2_388_023, Then::Unavailable), (100, 2_388_040, Then::GiveUp), (190, 0, Then::Reconnect), (2, 0, Then::Unavailable)]
    {
        let Submission::Refused(refusal) = refused(code, subcode) else { panic!("{code} {subcode}") };
        assert_eq!(refusal.then, then, "{code} {subcode}");
    }
    assert!(matches!(templates::read_submission(200, None, b"{}"), Submission::Unclear(_)));
    assert!(matches!(templates::read_submission(502, None, b"<html>"), Submission::Unclear(_)));
}

#[test]
fn a_list_is_read_as_far_as_it_can_be() {
    let url = templates::list_url(&account(), Some("a=&b"));
    assert!(url.starts_with("https://graph.example/v23.0/42/message_templates?fields=id,") && url.ends_with("&after=a%3D%26b"), "{url}");
    let good = json!({"id": "1", "name": "n", "language": "en", "status": "PAUSED", "category": "ODD", "components": {}});
    let page = json!({"data": [good, {"id": "2"}, 3, {"id": "4", "name": "m", "language": "en", "status": "OF_TOMORROW"}],
        "paging": {"cursors": {"after": "x"}}});
    let (listed, after) = templates::read_page(page.to_string().as_bytes()).unwrap();
    assert_eq!((listed.len(), listed[0].status, listed[0].category.as_str()), (1, TemplateStatus::Paused, "UTILITY"));
    assert_eq!((&listed[0].components, after), (&json!([]), None), "without a next page its cursor leads nowhere");
    for odd in [&b"[]"[..], b"{}", b"<html>", br#"{"data": {}}"#] {
        assert_eq!(templates::read_page(odd), None);
    }
}
