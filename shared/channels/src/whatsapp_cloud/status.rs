//! Receipts for what we sent.
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status>

use super::wire::Status;
use crate::{events::Events, lenient_json::Raw};
use domain::{DeliveryStatus, EventBody, MessageId, StatusUpdate};

/// Pushes one element of `statuses`. A group's receipt counts like any other: somebody in it has received or read the message.
pub(super) fn read(raw: Raw<'_>, events: &mut Events) {
    let Some(receipt) = raw.object::<Status<'_>>() else {
        return events.push_other("status", Some("not_an_object"));
    };
    // Payments are reported here too, with statuses of their own: a failed payment is not a failed message.
    if let Some(kind) = receipt.kind.string().filter(|kind| kind != "message") {
        return events.push_other("status", Some(&kind));
    }
    let word = receipt.word.string().unwrap_or_default();
    let status = match &*word {
        "sent" => DeliveryStatus::Sent,
        "delivered" => DeliveryStatus::Delivered,
        "read" | "played" => DeliveryStatus::Read,
        "failed" => DeliveryStatus::Failed,
        "" => return events.push_other("status", Some("no_status")),
        _ => return events.push_other("status", Some(&word)),
    };
    let Some(external_id) = receipt.id.id() else {
        return events.push_other("status", Some("no_id"));
    };
    let errors = if status == DeliveryStatus::Failed { receipt.errors.value() } else { None };
    // Messages of other systems on the same number carry other things, or nothing.
    let message_id = receipt.callback_data.string().and_then(|data| data.parse::<MessageId>().ok());
    events.push(EventBody::Status(StatusUpdate { external_id, message_id, status, at: receipt.timestamp.time(), errors }));
}
