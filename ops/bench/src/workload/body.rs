//! The JSON of a WhatsApp Cloud webhook, fields in Meta's order:
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/payload-examples>.

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Body<'a> {
    object: &'static str,
    entry: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Entry<'a> {
    id: String,
    changes: [Change<'a>; 1],
}

#[derive(Serialize)]
struct Change<'a> {
    value: Value<'a>,
    field: &'static str,
}

#[derive(Serialize)]
struct Value<'a> {
    messaging_product: &'static str,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contacts: Option<[Contact<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<[TextMessage<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statuses: Option<[Receipt<'a>; 1]>,
}

#[derive(Serialize)]
pub(super) struct Metadata<'a> {
    pub(super) display_phone_number: &'a str,
    pub(super) phone_number_id: &'a str,
}

#[derive(Serialize)]
struct Contact<'a> {
    profile: Profile<'a>,
    wa_id: &'a str,
}

#[derive(Serialize)]
struct Profile<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct TextMessage<'a> {
    from: &'a str,
    id: &'a str,
    timestamp: String,
    text: Text<'a>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct Text<'a> {
    body: &'a str,
}

#[derive(Serialize)]
struct Receipt<'a> {
    id: &'a str,
    status: &'a str,
    timestamp: String,
    recipient_id: &'a str,
    conversation: Conversation,
    pricing: Pricing,
}

#[derive(Serialize)]
struct Conversation {
    id: String,
    expiration_timestamp: String,
    origin: Origin,
}

#[derive(Serialize)]
struct Origin {
    r#type: &'static str,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the provider's name")]
struct Pricing {
    billable: bool,
    pricing_model: &'static str,
    category: &'static str,
    r#type: &'static str,
}

/// A customer's text, as it is about to be written.
pub(super) struct NewText<'a> {
    pub(super) from: &'a str,
    pub(super) name: &'a str,
    pub(super) id: &'a str,
    pub(super) timestamp: u64,
    pub(super) text: &'a str,
}

/// A receipt for a message that the business sent.
pub(super) struct NewReceipt<'a> {
    pub(super) id: &'a str,
    pub(super) to: &'a str,
    pub(super) status: &'a str,
    pub(super) timestamp: u64,
    pub(super) conversation: u64,
}

impl<'a> Body<'a> {
    pub(super) fn text(metadata: Metadata<'a>, new: &NewText<'a>) -> Self {
        let message =
            TextMessage { from: new.from, id: new.id, timestamp: new.timestamp.to_string(), text: Text { body: new.text }, r#type: "text" };
        let contact = Contact { profile: Profile { name: new.name }, wa_id: new.from };
        Self::around(Value {
            messaging_product: "whatsapp",
            metadata,
            contacts: Some([contact]),
            messages: Some([message]),
            statuses: None,
        })
    }

    pub(super) fn receipt(metadata: Metadata<'a>, new: &NewReceipt<'a>) -> Self {
        let receipt = Receipt {
            id: new.id,
            status: new.status,
            timestamp: new.timestamp.to_string(),
            recipient_id: new.to,
            conversation: Conversation {
                id: format!("{:032x}", new.conversation),
                expiration_timestamp: (new.timestamp + 86_400).to_string(),
                origin: Origin { r#type: "service" },
            },
            pricing: Pricing { billable: true, pricing_model: "PMP", category: "service", r#type: "regular" },
        };
        Self::around(Value { messaging_product: "whatsapp", metadata, contacts: None, messages: None, statuses: Some([receipt]) })
    }

    fn around(value: Value<'a>) -> Self {
        let id = format!("3301{}", value.metadata.display_phone_number);
        Self { object: "whatsapp_business_account", entry: [Entry { id, changes: [Change { value, field: "messages" }] }] }
    }
}
