//! `InboundMessagePayload`: a customer's message as a service posts it.

use crate::prelude::*;
use chrono::DateTime;
use salvo::oapi::{self, Components, RefOr, Schema, schema::OneOf};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{fmt, marker::PhantomData};
use uuid::Uuid;

/// A customer's message on a channel that somebody else speaks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[salvo(schema(example = json!({"channelInstanceId": "018f4f3e-0000-7000-8000-000000000000", "channelType": "facebook", "externalUserId": "4711", "text": "Hello", "attachments": [], "raw": {}, "timestamp": "2025-10-29T12:34:56Z"})))]
pub(super) struct InboundMessagePayload {
    /// The tenant's UUID or integer id; if given it must be the channel's.
    pub tenant_id: Option<TenantRef>,
    pub channel_instance_id: Uuid,
    /// `whatsapp`, `telegram-bot`, `facebook`, …; if given it must be the channel's.
    pub channel_type: Option<String>,
    /// The channel's id of the person.
    #[salvo(schema(min_length = 1, max_length = 255))]
    pub external_user_id: String,
    #[salvo(schema(max_length = 255))]
    pub external_conversation_id: Option<String>,
    /// The channel's id of the message: the same one again is the same message. Without it, the same person, time, text and attachments are.
    #[salvo(schema(min_length = 1, max_length = 255))]
    pub external_message_id: Option<String>,
    /// The name that the person shows.
    #[salvo(schema(max_length = 200))]
    pub external_user_name: Option<String>,
    #[salvo(schema(max_length = 65536))]
    pub text: Option<String>,
    #[salvo(schema(max_items = 50))]
    pub attachments: Option<Vec<AttachmentBody>>,
    /// What the channel sent.
    pub raw: Option<Value>,
    pub timestamp: Timestamp,
}

/// Something that came with a message; what else the channel tells is kept.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttachmentBody {
    /// `image`, `video`, `audio`, `document`, `sticker`, `location`, …
    #[salvo(schema(min_length = 1, max_length = 32))]
    pub r#type: String,
    pub url: Option<String>,
    pub mime_type: Option<String>,
    pub filename: Option<String>,
    #[serde(flatten)]
    #[salvo(schema(value_type = Object))]
    pub extra: Map<String, Value>,
}

/// A tenant, by its UUID or its integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TenantRef {
    Public(Uuid),
    Id(i32),
}

/// ISO-8601, or seconds or milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timestamp(pub Time);

/// One item or an array of them.
#[derive(Debug)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<'de> Deserialize<'de> for TenantRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || de::Error::custom("must be a tenant's UUID or integer id");
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.parse().map(Self::Public).or_else(|_| text.parse().map(Self::Id)).map_err(|_| wrong()),
            Value::Number(number) => number.as_i64().and_then(|id| i32::try_from(id).ok()).map(Self::Id).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

impl ToSchema for TenantRef {
    fn to_schema(components: &mut Components) -> RefOr<Schema> {
        OneOf::new().item(Uuid::to_schema(components)).item(i32::to_schema(components)).into()
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Seconds are below it until the year 5138, milliseconds above it since 1973.
        const MILLIS_FROM: i64 = 100_000_000_000;
        let wrong = || de::Error::custom("must be an ISO-8601 time with an offset, or seconds or milliseconds since 1970");
        match Value::deserialize(deserializer)? {
            Value::Number(number) => {
                let number = number.as_i64().filter(|number| (0..253_402_300_800_000).contains(number)).ok_or_else(wrong)?;
                let millis = if number < MILLIS_FROM { number * 1_000 } else { number };
                DateTime::from_timestamp_millis(millis).map(|time| Self(Time(time))).ok_or_else(wrong)
            }
            text @ Value::String(_) => Time::deserialize(text).map(Self).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl ToSchema for Timestamp {
    fn to_schema(components: &mut Components) -> RefOr<Schema> {
        let number = oapi::Object::with_type(oapi::BasicType::Integer).minimum(0.0).maximum(253_402_300_799_999.0);
        OneOf::new().item(Time::to_schema(components)).item(Schema::from(number)).into()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `untagged`, whose errors say nothing.
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array of objects")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(map)).map(OneOrMany::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(OneOrMany::Many)
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<T: ToSchema + 'static> ToSchema for OneOrMany<T> {
    fn to_schema(components: &mut Components) -> RefOr<Schema> {
        OneOf::new().item(T::to_schema(components)).item(Vec::<T>::to_schema(components)).into()
    }
}
