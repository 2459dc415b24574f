//! Telegram's shapes, as far as we read them. Any of it may be missing or of another type; see `lenient_json`.

use crate::lenient_json::{List, Raw, wire_object};

wire_object!(
    /// <https://core.telegram.org/bots/api#update>: at most one of its parts is there.
    Update<'a> {
        "update_id" => id: Raw<'a>,
        "message" => message: Raw<'a>,
        "edited_message" => edited_message: Raw<'a>,
        "channel_post" => channel_post: Raw<'a>,
        "edited_channel_post" => edited_channel_post: Raw<'a>,
        "business_message" => business_message: Raw<'a>,
        "edited_business_message" => edited_business_message: Raw<'a>,
        "deleted_business_messages" => deleted_business_messages: Raw<'a>,
        "callback_query" => callback_query: Raw<'a>,
        "message_reaction" => message_reaction: Raw<'a>,
        "my_chat_member" => my_chat_member: Raw<'a>,
        "chat_member" => chat_member: Raw<'a>,
        "chat_join_request" => chat_join_request: Raw<'a>,
    }
);

wire_object!(
    /// <https://core.telegram.org/bots/api#message>
    Message<'a> {
        "message_id" => id: Raw<'a>,
        "date" => date: Raw<'a>,
        "edit_date" => edit_date: Raw<'a>,
        "from" => from: Raw<'a>,
        "sender_chat" => sender_chat: Raw<'a>,
        "sender_business_bot" => sender_business_bot: Raw<'a>,
        "business_connection_id" => business_connection_id: Raw<'a>,
        "chat" => chat: Raw<'a>,
        "reply_to_message" => answered: Raw<'a>,
        "message_thread_id" => thread_id: Raw<'a>,
        "media_group_id" => media_group_id: Raw<'a>,
        "forward_origin" => forward_origin: Raw<'a>,
        "reply_markup" => reply_markup: Raw<'a>,
        "text" => text: Raw<'a>,
        "caption" => caption: Raw<'a>,
        "photo" => photo: Raw<'a>,
        "video" => video: Raw<'a>,
        "animation" => animation: Raw<'a>,
        "video_note" => video_note: Raw<'a>,
        "audio" => audio: Raw<'a>,
        "voice" => voice: Raw<'a>,
        "document" => document: Raw<'a>,
        "sticker" => sticker: Raw<'a>,
        "location" => location: Raw<'a>,
        "venue" => venue: Raw<'a>,
        "contact" => contact: Raw<'a>,
        "migrate_to_chat_id" => migrate_to_chat_id: Raw<'a>,
        "migrate_from_chat_id" => migrate_from_chat_id: Raw<'a>,
    }
);

wire_object!(
    /// A user or a chat: <https://core.telegram.org/bots/api#user>, <https://core.telegram.org/bots/api#chat>.
    Party<'a> {
        "id" => id: Raw<'a>,
        "type" => kind: Raw<'a>,
        "title" => title: Raw<'a>,
        "first_name" => first_name: Raw<'a>,
        "last_name" => last_name: Raw<'a>,
        "username" => username: Raw<'a>,
    }
);

wire_object!(
    /// What all kinds of files share, and what some have.
    File<'a> {
        "file_id" => id: Raw<'a>,
        "file_unique_id" => unique_id: Raw<'a>,
        "file_name" => name: Raw<'a>,
        "mime_type" => mime_type: Raw<'a>,
        "file_size" => size: Raw<'a>,
        "width" => width: Raw<'a>,
        "height" => height: Raw<'a>,
        "duration" => duration: Raw<'a>,
        "emoji" => emoji: Raw<'a>,
    }
);

wire_object!(
    /// <https://core.telegram.org/bots/api#venue>
    Venue<'a> {
        "title" => title: Raw<'a>,
        "address" => address: Raw<'a>,
    }
);

wire_object!(
    /// <https://core.telegram.org/bots/api#location>
    Location<'a> {
        "latitude" => latitude: Raw<'a>,
        "longitude" => longitude: Raw<'a>,
    }
);

wire_object!(
    /// <https://core.telegram.org/bots/api#contact>
    Contact<'a> {
        "phone_number" => phone_number: Raw<'a>,
        "first_name" => first_name: Raw<'a>,
        "last_name" => last_name: Raw<'a>,
    }
);

wire_object!(
    /// <https://core.telegram.org/bots/api#callbackquery>
    CallbackQuery<'a> {
        "id" => id: Raw<'a>,
        "from" => from: Raw<'a>,
        "message" => message: Raw<'a>,
        "data" => data: Raw<'a>,
        "game_short_name" => game_short_name: Raw<'a>,
    }
);

wire_object!(Keyboard<'a> {
    "inline_keyboard" => rows: List<List<Button<'a>>>,
});

wire_object!(Button<'a> {
    "text" => text: Raw<'a>,
    "callback_data" => data: Raw<'a>,
});

wire_object!(
    /// <https://core.telegram.org/bots/api#businessmessagesdeleted>
    Deleted<'a> {
        "business_connection_id" => business_connection_id: Raw<'a>,
        "chat" => chat: Raw<'a>,
        "message_ids" => message_ids: Raw<'a>,
    }
);

wire_object!(
    /// <https://core.telegram.org/bots/api#messagereactionupdated>
    Reactions<'a> {
        "chat" => chat: Raw<'a>,
        "message_id" => message_id: Raw<'a>,
        "user" => user: Raw<'a>,
        "actor_chat" => actor_chat: Raw<'a>,
        "date" => date: Raw<'a>,
        "new_reaction" => new: Raw<'a>,
    }
);

wire_object!(
    /// <https://core.telegram.org/bots/api#reactiontype>
    ReactionType<'a> {
        "emoji" => emoji: Raw<'a>,
        "custom_emoji_id" => custom_emoji_id: Raw<'a>,
        "type" => kind: Raw<'a>,
    }
);

wire_object!(
    /// <https://core.telegram.org/bots/api#chatmemberupdated>, <https://core.telegram.org/bots/api#chatjoinrequest>
    Membership<'a> {
        "chat" => chat: Raw<'a>,
        "from" => from: Raw<'a>,
        "date" => date: Raw<'a>,
        "new_chat_member" => new: Raw<'a>,
    }
);

wire_object!(Member<'a> {
    "status" => status: Raw<'a>,
    "user" => user: Raw<'a>,
});
