//! Message templates at Meta
//! ([management](https://developers.facebook.com/docs/whatsapp/business-management-api/message-templates),
//! [status webhook](https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/message_template_status_update),
//! [category webhook](https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/template_category_update)).
//!
//! They belong to a WhatsApp Business account: [`Account::external_id`] is its id here.

use super::wire::{Rejection, Value as Change};
use crate::{
    events::Events,
    lenient_json::Raw,
    meta_graph::{self, Meaning},
    sending::{Account, Answer, Call, Refusal, Then},
};
use domain::{EventBody, ListedTemplate, TemplateStatus, TemplateUpdate};
use platform::Secret;
use serde_json::{Value, json};
use std::time::Duration;

/// The channel's secret that opens the provider's API.
pub const TOKEN: &str = "accessToken";
/// The channel's setting that names the account.
pub const ACCOUNT: &str = "businessAccountId";
/// Subcodes of what Meta does not take: it has a template of this name and language, or is still deleting one.
const ALREADY_THERE: i64 = 2_388_024;
const BEING_DELETED: i64 = 2_388_023;
/// Templates on one page: some kilobytes each.
const PAGE: usize = 50;

/// A template to submit.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    pub name: &'a str,
    pub language: &'a str,
    pub category: &'a str,
    pub components: &'a Value,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Submission {
    Taken {
        external_id: String,
        status: TemplateStatus,
    },
    /// Meta has one of this name and language already: the list tells its id.
    AlreadyThere,
    Refused(Refusal),
    /// Meta may have it, or not.
    Unclear(String),
}

/// The call that submits a template.
pub fn submit(account: &Account, draft: &Draft<'_>) -> Call {
    let url = meta_graph::edge(&account.urls.meta_graph, &account.external_id, "message_templates");
    let body = json!({"name": draft.name, "language": draft.language, "category": draft.category, "components": draft.components});
    Call { url: Secret::new(url), bearer: Some(account.token.clone()), body }
}

/// What the answer to it means.
pub fn read_submission(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Submission {
    let answer = meta_graph::read((status, retry_after, body), |body| body.get("id").and_then(Value::as_str), meaning);
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match answer {
        Answer::Accepted { external_id } => {
            let status = body.get("status").and_then(Value::as_str).and_then(status_of);
            Submission::Taken { external_id, status: status.unwrap_or(TemplateStatus::Pending) }
        }
        Answer::Refused(refusal) => match body.pointer("/error/error_subcode").and_then(Value::as_i64) {
            Some(ALREADY_THERE) => Submission::AlreadyThere,
            _ => Submission::Refused(refusal),
        },
        Answer::Unclear(what) => Submission::Unclear(what),
    }
}

/// What an answer that is none of the 2xx means.
pub fn read_refusal(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Refusal {
    match meta_graph::read((status, retry_after, body), |_| None, meaning) {
        Answer::Refused(refusal) => refusal,
        Answer::Accepted { .. } | Answer::Unclear(_) => {
            Refusal { then: Then::Unavailable, ..Refusal::give_up(format!("Meta answered HTTP {status}")) }
        }
    }
}

fn meaning(code: i64, subcode: i64) -> Option<Meaning> {
    match (code, subcode) {
        // The name is free again in a while.
        (_, BEING_DELETED) => Some((Then::Unavailable, "Meta is still deleting a template of this name")),
        (80_008, _) => Some((meta_graph::wait(60), "Meta takes no more templates just now")),
        (100, _) => Some((Then::GiveUp, "Meta does not take the template as it is")),
        _ => None,
    }
}

/// Where a page of an account's templates is; `after`: the cursor that the page before gave.
pub fn list_url(account: &Account, after: Option<&str>) -> String {
    let edge = meta_graph::edge(&account.urls.meta_graph, &account.external_id, "message_templates");
    let fields = "id,name,language,status,category,components,rejected_reason";
    let after = after.map(|cursor| format!("&after={}", escaped(cursor))).unwrap_or_default();
    format!("{edge}?fields={fields}&limit={PAGE}{after}")
}

/// Where one template is deleted.
pub fn delete_url(account: &Account, name: &str, external_id: &str) -> String {
    let edge = meta_graph::edge(&account.urls.meta_graph, &account.external_id, "message_templates");
    format!("{edge}?hsm_id={}&name={}", escaped(external_id), escaped(name))
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

/// A page: its templates, and the cursor of the next one. `None`: this is no page.
pub fn read_page(body: &[u8]) -> Option<(Vec<ListedTemplate>, Option<String>)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let listed = body.get("data")?.as_array()?.iter().filter_map(listed).collect();
    let more = body.pointer("/paging/next").is_some_and(Value::is_string);
    let after = body.pointer("/paging/cursors/after").and_then(Value::as_str).filter(|_| more).map(str::to_owned);
    Some((listed, after))
}

fn listed(template: &Value) -> Option<ListedTemplate> {
    let text =
        |name: &str| template.get(name).and_then(Value::as_str).filter(|text| !text.is_empty() && !text.contains('\0')).map(str::to_owned);
    let status = text("status").as_deref().and_then(status_of)?;
    Some(ListedTemplate {
        external_id: text("id")?,
        name: text("name")?,
        language: text("language")?,
        category: text("category").filter(|category| is_category(category)).unwrap_or_else(|| "UTILITY".to_owned()),
        status,
        components: template.get("components").filter(|components| components.is_array()).cloned().unwrap_or_else(|| json!([])),
        rejected_reason: text("rejected_reason").filter(|_| status == TemplateStatus::Rejected).as_deref().and_then(said),
    })
}

fn is_category(word: &str) -> bool {
    ["MARKETING", "UTILITY", "AUTHENTICATION"].contains(&word)
}

/// Meta's words for how a template is. `None`: it changes nothing.
fn status_of(word: &str) -> Option<TemplateStatus> {
    Some(match word {
        "PENDING" | "IN_APPEAL" => TemplateStatus::Pending,
        "APPROVED" | "REINSTATED" | "UNPAUSED" => TemplateStatus::Approved,
        "REJECTED" => TemplateStatus::Rejected,
        "PAUSED" => TemplateStatus::Paused,
        "DISABLED" | "ARCHIVED" | "DELETED" | "PENDING_DELETION" | "LIMIT_EXCEEDED" => TemplateStatus::Disabled,
        _ => return None,
    })
}

/// A reason as people read it. Meta's words are documented with the status webhook.
fn said(reason: &str) -> Option<String> {
    Some(match reason {
        "" | "NONE" => return None,
        "ABUSIVE_CONTENT" => "Its content breaks WhatsApp's rules".to_owned(),
        "INVALID_FORMAT" => "Its format is wrong: see where its variables stand, and its spelling".to_owned(),
        "INCORRECT_CATEGORY" | "TAG_CONTENT_MISMATCH" => "Its content does not fit its category".to_owned(),
        "PROMOTIONAL" => "It is marketing, but was not submitted as such".to_owned(),
        "SCAM" => "WhatsApp takes it for fraud".to_owned(),
        other => other.to_owned(),
    })
}

/// Is a change of this field about one template?
pub(super) fn concerns(field: &str) -> bool {
    matches!(field, "message_template_status_update" | "template_category_update")
}

/// The account that such a change is for: the entry's id. Whatever else names no number is for nobody.
pub(super) fn account(field: &str, entry_id: Raw<'_>) -> Option<String> {
    entry_id.id().filter(|_| concerns(field))
}

/// Reads a change about one template, if it tells anything of it.
pub(super) fn read(at: Raw<'_>, value: &Change<'_>, events: &mut Events) {
    let Some(external_id) = value.template_id.id() else { return };
    let status = text(value.event).as_deref().and_then(status_of);
    let category = text(value.new_category).filter(|category| is_category(category));
    if status.is_none() && category.is_none() {
        return;
    }
    let reason = match value.rejection.object::<Rejection<'_>>() {
        Some(told) => Some([text(told.reason), text(told.recommendation)].into_iter().flatten().collect::<Vec<_>>().join(" ")),
        None => text(value.reason).as_deref().and_then(said),
    };
    events.push(EventBody::Template(TemplateUpdate {
        external_id,
        name: text(value.template_name).unwrap_or_default(),
        language: text(value.template_language).unwrap_or_default(),
        status,
        reason: reason.filter(|reason| !reason.is_empty() && status.is_some_and(|status| status != TemplateStatus::Approved)),
        category,
        at: at.time(),
    }));
}

fn text(raw: Raw<'_>) -> Option<String> {
    /// Longer than any reason.
    const MOST_CHARS: usize = 2_000;
    raw.string().filter(|text| !text.is_empty()).map(|text| text.chars().take(MOST_CHARS).collect())
}
