//! Meta's shapes, as far as we read them. Any of it may be missing or of another type; see `lenient_json`.

use crate::lenient_json::{List, Raw, wire_object};

wire_object!(
    /// What `route` reads of a body.
    RouteBody<'a> {
        "object" => object: Raw<'a>,
        "entry" => entry: List<RouteEntry<'a>>,
    }
);

wire_object!(RouteEntry<'a> {
    "id" => id: Raw<'a>,
    "changes" => changes: List<RouteChange<'a>>,
});

wire_object!(RouteChange<'a> {
    "field" => field: Raw<'a>,
    "value" => value: RouteValue<'a>,
});

wire_object!(RouteValue<'a> {
    "metadata" => metadata: Metadata<'a>,
});

wire_object!(
    /// What `parse` reads of a body.
    Body<'a> {
        "object" => object: Raw<'a>,
        "entry" => entry: List<Entry<'a>>,
    }
);

wire_object!(Entry<'a> {
    "id" => id: Raw<'a>,
    "time" => time: Raw<'a>,
    "changes" => changes: List<Change<'a>>,
});

wire_object!(Change<'a> {
    "field" => field: Raw<'a>,
    "value" => value: Value<'a>,
});

wire_object!(Value<'a> {
    "metadata" => metadata: Metadata<'a>,
    "contacts" => contacts: List<Contact<'a>>,
    "messages" => messages: List<Raw<'a>>,
    "message_echoes" => message_echoes: List<Raw<'a>>,
    "statuses" => statuses: List<Raw<'a>>,
    "errors" => errors: Raw<'a>,
    "message_template_id" => template_id: Raw<'a>,
    "message_template_name" => template_name: Raw<'a>,
    "message_template_language" => template_language: Raw<'a>,
    "event" => event: Raw<'a>,
    "reason" => reason: Raw<'a>,
    "rejection_info" => rejection: Raw<'a>,
    "new_category" => new_category: Raw<'a>,
});

wire_object!(
    /// Why a template was rejected.
    Rejection<'a> {
        "reason" => reason: Raw<'a>,
        "recommendation" => recommendation: Raw<'a>,
    }
);

wire_object!(Metadata<'a> {
    "phone_number_id" => phone_number_id: Raw<'a>,
});

wire_object!(Contact<'a> {
    "wa_id" => wa_id: Raw<'a>,
    "user_id" => user_id: Raw<'a>,
    "profile" => profile: Profile<'a>,
});

wire_object!(Profile<'a> {
    "name" => name: Raw<'a>,
    "username" => username: Raw<'a>,
});

wire_object!(
    /// An element of `messages` or `message_echoes`, and the new message inside an edit. The content is under the key that
    /// `type` names.
    Message<'a> {
        "id" => id: Raw<'a>,
        "type" => kind: Raw<'a>,
        "timestamp" => timestamp: Raw<'a>,
        "from" => from: Raw<'a>,
        "from_user_id" => from_user_id: Raw<'a>,
        "to" => to: Raw<'a>,
        "to_user_id" => to_user_id: Raw<'a>,
        "group_id" => group_id: Raw<'a>,
        "context" => context: Raw<'a>,
        "referral" => referral: Raw<'a>,
        "identity" => identity: Raw<'a>,
        "errors" => errors: Raw<'a>,
        "text" => text: Raw<'a>,
        "image" => image: Raw<'a>,
        "video" => video: Raw<'a>,
        "audio" => audio: Raw<'a>,
        "voice" => voice: Raw<'a>,
        "document" => document: Raw<'a>,
        "sticker" => sticker: Raw<'a>,
        "location" => location: Raw<'a>,
        "contacts" => contacts: Raw<'a>,
        "interactive" => interactive: Raw<'a>,
        "button" => button: Raw<'a>,
        "order" => order: Raw<'a>,
        "reaction" => reaction: Raw<'a>,
        "edit" => edit: Raw<'a>,
        "revoke" => revoke: Raw<'a>,
        "system" => system: Raw<'a>,
    }
);

wire_object!(Context<'a> {
    "id" => id: Raw<'a>,
    "forwarded" => forwarded: Raw<'a>,
    "frequently_forwarded" => frequently_forwarded: Raw<'a>,
    "referred_product" => referred_product: Raw<'a>,
});

wire_object!(
    /// Text, button and order, whose words are under one of these keys.
    Words<'a> {
        "body" => body: Raw<'a>,
        "text" => text: Raw<'a>,
    }
);

wire_object!(MediaFile<'a> {
    "id" => id: Raw<'a>,
    "url" => url: Raw<'a>,
    "link" => link: Raw<'a>,
    "mime_type" => mime_type: Raw<'a>,
    "sha256" => sha256: Raw<'a>,
    "filename" => filename: Raw<'a>,
    "caption" => caption: Raw<'a>,
    "voice" => voice: Raw<'a>,
    "animated" => animated: Raw<'a>,
});

wire_object!(Location<'a> {
    "name" => name: Raw<'a>,
    "address" => address: Raw<'a>,
    "latitude" => latitude: Raw<'a>,
    "longitude" => longitude: Raw<'a>,
});

wire_object!(
    /// A person whose card the customer sent.
    Card<'a> {
        "name" => name: Raw<'a>,
        "phones" => phones: Raw<'a>,
    }
);

wire_object!(CardName<'a> {
    "formatted_name" => formatted: Raw<'a>,
    "first_name" => first: Raw<'a>,
    "last_name" => last: Raw<'a>,
});

wire_object!(CardPhone<'a> {
    "phone" => phone: Raw<'a>,
});

wire_object!(Interactive<'a> {
    "button_reply" => button_reply: Raw<'a>,
    "list_reply" => list_reply: Raw<'a>,
    "nfm_reply" => nfm_reply: Raw<'a>,
    "body" => body: Raw<'a>,
});

wire_object!(Reply<'a> {
    "title" => title: Raw<'a>,
    "body" => body: Raw<'a>,
    "text" => text: Raw<'a>,
});

wire_object!(Reaction<'a> {
    "message_id" => message_id: Raw<'a>,
    "emoji" => emoji: Raw<'a>,
});

wire_object!(Edit<'a> {
    "original_message_id" => original_message_id: Raw<'a>,
    "message" => message: Raw<'a>,
});

wire_object!(Revoke<'a> {
    "original_message_id" => original_message_id: Raw<'a>,
});

wire_object!(System<'a> {
    "type" => kind: Raw<'a>,
    "body" => body: Raw<'a>,
    "customer" => customer: Raw<'a>,
    "wa_id" => wa_id: Raw<'a>,
    "new_wa_id" => new_wa_id: Raw<'a>,
    "user_id" => user_id: Raw<'a>,
    "previous_user_id" => previous_user_id: Raw<'a>,
});

wire_object!(Status<'a> {
    "id" => id: Raw<'a>,
    "type" => kind: Raw<'a>,
    "status" => word: Raw<'a>,
    "timestamp" => timestamp: Raw<'a>,
    "errors" => errors: Raw<'a>,
    "biz_opaque_callback_data" => callback_data: Raw<'a>,
});
