//! The list of channels, one line each. Nobody outside a channel's folder matches on its kind.

use crate::{ParseError, normalized, sending::Sender, whatsapp_cloud};
use domain::{ChannelEvent, ChannelNaming, ChannelType};

/// What the rest of Switchboard needs of a channel to take its webhooks.
#[derive(Clone, Copy, Debug)]
pub struct ChannelKind {
    /// Stored as text (`raw_webhook_events.channel_kind`); never changes.
    pub kind: &'static str,
    /// What the ids of our ends are.
    pub naming: ChannelNaming,
    /// The ids of our ends that a body names, each once, in the body's order. Runs on every webhook.
    pub route: fn(&[u8]) -> Result<Vec<String>, ParseError>,
    /// Everything that a body tells, in its order.
    pub parse: fn(&[u8]) -> Result<Vec<ChannelEvent>, ParseError>,
}

/// All channels.
pub static CHANNELS: &[ChannelKind] = &[whatsapp_cloud::CHANNEL, normalized::CHANNEL];

/// The channels that send, by the type of the tenant's channel.
static SENDERS: &[(ChannelType, Sender)] = &[(ChannelType::WhatsApp, whatsapp_cloud::SENDER)];

/// How channels of this type send, if they do.
pub fn sender(kind: ChannelType) -> Option<&'static Sender> {
    SENDERS.iter().find(|(of, _)| *of == kind).map(|(_, sender)| sender)
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
