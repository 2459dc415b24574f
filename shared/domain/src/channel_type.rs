//! The types of channels, and how webhooks name a channel.

/// `channel_instances.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelType {
    /// The Cloud API when it has a phone number id, else a session that is paired by QR code.
    WhatsApp,
    TelegramUser,
    TelegramBot,
    Facebook,
    Instagram,
    Widget,
}

impl ChannelType {
    pub const ALL: [Self; 6] = [Self::WhatsApp, Self::TelegramUser, Self::TelegramBot, Self::Facebook, Self::Instagram, Self::Widget];

    /// The text stored in `channel_instances.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WhatsApp => "WHATSAPP",
            Self::TelegramUser => "TELEGRAM_USER",
            Self::TelegramBot => "TELEGRAM_BOT",
            Self::Facebook => "FACEBOOK",
            Self::Instagram => "INSTAGRAM",
            Self::Widget => "WIDGET",
        }
    }

    /// Reads what `as_str` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// `channel_source` of its conversations and messages.
    pub fn source(self) -> &'static str {
        match self {
            Self::WhatsApp => "whatsapp",
            Self::TelegramUser | Self::TelegramBot => "telegram",
            Self::Facebook => "facebook",
            Self::Instagram => "instagram",
            Self::Widget => "widget",
        }
    }
}

/// What the ids are by which a webhook names channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelNaming {
    /// The provider's ids of channels of this type: `channel_instances.external_id`.
    ExternalId(ChannelType),
    /// Our own ids: `channel_instances.id`.
    InstanceId,
}
