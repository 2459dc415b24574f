//! Meta's shapes, as far as we read them. Any of it may be missing or of another type; see `lenient_json`.

use crate::lenient_json::{List, Raw, wire_object};

wire_object!(
    /// What `object` reads of a body.
    Subject<'a> {
        "object" => object: Raw<'a>,
    }
);

wire_object!(
    /// <https://developers.facebook.com/docs/messenger-platform/reference/webhook-events>
    Body<'a> {
        "object" => object: Raw<'a>,
        "entry" => entry: List<Entry<'a>>,
    }
);

wire_object!(Entry<'a> {
    "id" => id: Raw<'a>,
    "messaging" => messaging: List<Raw<'a>>,
    "standby" => standby: List<Raw<'a>>,
    "changes" => changes: List<Change<'a>>,
});

wire_object!(Change<'a> {
    "field" => field: Raw<'a>,
});

wire_object!(
    /// One event: who, whom, when, and one of the rest.
    Messaging<'a> {
        "sender" => sender: Party<'a>,
        "recipient" => recipient: Party<'a>,
        "timestamp" => timestamp: Raw<'a>,
        "message" => message: Raw<'a>,
        "message_edit" => edit: Raw<'a>,
        "postback" => postback: Raw<'a>,
        "delivery" => delivery: Raw<'a>,
        "read" => read: Raw<'a>,
        "reaction" => reaction: Raw<'a>,
        "referral" => referral: Raw<'a>,
        "optin" => optin: Raw<'a>,
    }
);

wire_object!(Party<'a> {
    "id" => id: Raw<'a>,
});

wire_object!(
    /// <https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/messages>
    Message<'a> {
        "mid" => mid: Raw<'a>,
        "text" => text: Raw<'a>,
        "attachments" => attachments: Raw<'a>,
        "quick_reply" => quick_reply: Raw<'a>,
        "reply_to" => reply_to: ReplyTo<'a>,
        "referral" => referral: Raw<'a>,
        "is_echo" => is_echo: Raw<'a>,
        "is_deleted" => is_deleted: Raw<'a>,
        "metadata" => metadata: Raw<'a>,
        "app_id" => app_id: Raw<'a>,
    }
);

wire_object!(ReplyTo<'a> {
    "mid" => mid: Raw<'a>,
    "story" => story: Raw<'a>,
});

wire_object!(Attachment<'a> {
    "type" => kind: Raw<'a>,
    "title" => title: Raw<'a>,
    "url" => url: Raw<'a>,
    "payload" => payload: Payload<'a>,
});

wire_object!(Payload<'a> {
    "url" => url: Raw<'a>,
    "title" => title: Raw<'a>,
    "sticker_id" => sticker_id: Raw<'a>,
    "coordinates" => coordinates: Raw<'a>,
});

wire_object!(Coordinates<'a> {
    "lat" => latitude: Raw<'a>,
    "long" => longitude: Raw<'a>,
});

wire_object!(
    /// <https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/messaging_postbacks>
    Postback<'a> {
        "mid" => mid: Raw<'a>,
        "title" => title: Raw<'a>,
        "payload" => payload: Raw<'a>,
    }
);

wire_object!(Edit<'a> {
    "mid" => mid: Raw<'a>,
    "text" => text: Raw<'a>,
});

wire_object!(
    /// Of a delivery (`mids`, `watermark`) or of reading (`watermark`; Instagram: `mid`).
    Receipt<'a> {
        "mids" => mids: Raw<'a>,
        "mid" => mid: Raw<'a>,
        "watermark" => watermark: Raw<'a>,
    }
);

wire_object!(Reaction<'a> {
    "mid" => mid: Raw<'a>,
    "action" => action: Raw<'a>,
    "emoji" => emoji: Raw<'a>,
    "reaction" => word: Raw<'a>,
});

wire_object!(Referral<'a> {
    "ref" => reference: Raw<'a>,
    "source" => source: Raw<'a>,
});
