//! The list of channels, one line each. Nobody outside a channel's folder matches on its kind.

use crate::{
    ParseError, instagram,
    media::MediaSource,
    messenger, meta_messaging, normalized,
    profiles::ProfileLookup,
    sending::{Call, ProviderUrls, Sender},
    telegram_bot, whatsapp_cloud,
};
use domain::{ChannelEvent, ChannelNaming, ChannelType};
use platform::Secret;

/// What the rest of Switchboard needs of a channel to take its webhooks.
#[derive(Clone, Copy, Debug)]
pub struct ChannelKind {
    /// Stored as text (`raw_webhook_events.channel_kind`); never changes.
    pub kind: &'static str,
    /// What the ids of our ends are.
    pub naming: ChannelNaming,
    /// The channel is in the webhook's address, not in its body.
    pub by_address: bool,
    /// The ids of our ends that a body names, each once, in the body's order. Runs on every webhook.
    pub route: fn(&[u8]) -> Result<Vec<String>, ParseError>,
    /// Everything that a body tells, in its order.
    pub parse: fn(&[u8]) -> Result<Vec<ChannelEvent>, ParseError>,
}

/// All channels.
pub static CHANNELS: &[ChannelKind] =
    &[whatsapp_cloud::CHANNEL, messenger::CHANNEL, instagram::CHANNEL, telegram_bot::CHANNEL, normalized::CHANNEL];

/// The channels that send, by the type of the tenant's channel.
static SENDERS: &[(ChannelType, Sender)] = &[
    (ChannelType::WhatsApp, whatsapp_cloud::SENDER),
    (ChannelType::Facebook, messenger::SENDER),
    (ChannelType::Instagram, instagram::SENDER),
    (ChannelType::TelegramBot, telegram_bot::SENDER),
];

/// How channels of this type send, if they do.
pub fn sender(kind: ChannelType) -> Option<&'static Sender> {
    SENDERS.iter().find(|(of, _)| *of == kind).map(|(_, sender)| sender)
}

/// The channels that tell who a person is only when they are asked.
static PROFILES: &[(ChannelType, ProfileLookup)] =
    &[(ChannelType::Facebook, messenger::PROFILE), (ChannelType::Instagram, instagram::PROFILE)];

/// How channels of this type are asked who a person is, if they have to be.
pub fn profile_lookup(kind: ChannelType) -> Option<&'static ProfileLookup> {
    PROFILES.iter().find(|(of, _)| *of == kind).map(|(_, lookup)| lookup)
}

/// Where the files of channels are.
static MEDIA: &[(ChannelType, MediaSource)] = &[
    (ChannelType::WhatsApp, whatsapp_cloud::MEDIA),
    (ChannelType::Facebook, messenger::MEDIA),
    (ChannelType::Instagram, instagram::MEDIA),
    (ChannelType::TelegramBot, telegram_bot::MEDIA),
];

/// How the files of channels of this type are found, if they can be.
pub fn media_source(kind: ChannelType) -> Option<&'static MediaSource> {
    MEDIA.iter().find(|(of, _)| *of == kind).map(|(_, source)| source)
}

/// How a provider is told where a channel's webhooks go.
#[derive(Clone, Copy, Debug)]
pub struct Connector {
    /// The channel's secret that opens the provider's API.
    pub token: &'static str,
    /// The channel's secret that the provider shows with every webhook; made with the channel.
    pub secret: &'static str,
    /// Where the webhooks come in; the channel's id follows.
    pub path: &'static str,
    /// The call, with our address and the secret.
    pub call: fn(&ProviderUrls, &Secret, &str, &Secret) -> Call,
    /// Did it work? Else why not.
    pub read: fn(u16, &[u8]) -> Result<(), String>,
}

static CONNECTORS: &[(ChannelType, Connector)] = &[(ChannelType::TelegramBot, telegram_bot::CONNECTOR)];

/// How channels of this type are connected, if they have to be.
pub fn connector(kind: ChannelType) -> Option<&'static Connector> {
    CONNECTORS.iter().find(|(of, _)| *of == kind).map(|(_, connector)| connector)
}

/// What a signed body of a Meta app is about, and the ids of our ends that it names. One app may subscribe to all of Meta's products at one
/// address. A body that cannot be read is WhatsApp's, which most are.
pub fn of_meta(body: &[u8]) -> (&'static ChannelKind, Vec<String>) {
    match whatsapp_cloud::route(body) {
        Ok(ids) if ids.is_empty() => match meta_messaging::object(body).as_deref() {
            Some(messenger::OBJECT) => (&messenger::CHANNEL, messenger::route(body).unwrap_or_default()),
            Some(instagram::OBJECT) => (&instagram::CHANNEL, instagram::route(body).unwrap_or_default()),
            _ => (&whatsapp_cloud::CHANNEL, ids),
        },
        read => (&whatsapp_cloud::CHANNEL, read.unwrap_or_default()),
    }
}

/// The channel of this kind, if there is one.
pub fn find(kind: &str) -> Option<&'static ChannelKind> {
    CHANNELS.iter().find(|channel| channel.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_is_found_by_its_own_kind() {
        for channel in CHANNELS {
            assert_eq!(find(channel.kind).map(|found| found.kind), Some(channel.kind));
        }
        let kinds: std::collections::HashSet<_> = CHANNELS.iter().map(|channel| channel.kind).collect();
        assert_eq!(kinds.len(), CHANNELS.len(), "two channels share a kind");
    }

    #[test]
    fn an_unknown_kind_is_not_found() {
        assert!(find("carrier_pigeon").is_none());
        assert!(find("WHATSAPP_CLOUD").is_none());
    }
}
