//! Which settings each type of channel has. What is not listed is refused, so that no secret is kept where it would be shown.

use domain::ChannelType;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub name: &'static str,
    /// Sealed, and never answered.
    pub secret: bool,
    /// A channel that is set up at all needs it.
    pub required: bool,
    pub form: Form,
}

/// What a setting looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// 1 to 4,096 characters without spaces around them.
    Text,
    /// The provider's numeric id.
    Digits,
    /// A bot's token: its id, a colon, a key (<https://core.telegram.org/bots/api#authorizing-your-bot>).
    BotToken,
    /// Addresses of web pages.
    Origins,
    /// How many a second.
    Rate,
}

const fn setting(name: &'static str, form: Form) -> Setting {
    Setting { name, secret: false, required: false, form }
}

impl Setting {
    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

/// What Meta's products share: whom webhooks are from, when it is not the app that this Switchboard is set up with.
const APP_SECRET: Setting = setting("appSecret", Form::Text).secret();
const VERIFY_TOKEN: Setting = setting("verifyToken", Form::Text);

/// The settings of a type.
pub(crate) fn of(kind: ChannelType) -> &'static [Setting] {
    const WHATSAPP: &[Setting] = &[
        setting("phoneNumberId", Form::Digits).required(),
        setting("accessToken", Form::Text).secret().required(),
        setting("businessAccountId", Form::Digits),
        setting("messagesPerSecond", Form::Rate),
        APP_SECRET,
        VERIFY_TOKEN,
    ];
    const FACEBOOK: &[Setting] =
        &[setting("pageId", Form::Digits).required(), setting("pageAccessToken", Form::Text).secret().required(), APP_SECRET, VERIFY_TOKEN];
    const INSTAGRAM: &[Setting] =
        &[setting("accountId", Form::Digits).required(), setting("accessToken", Form::Text).secret().required(), APP_SECRET, VERIFY_TOKEN];
    const TELEGRAM_BOT: &[Setting] = &[setting("botToken", Form::BotToken).secret().required()];
    const TELEGRAM_USER: &[Setting] = &[setting("phoneNumber", Form::Text)];
    const WIDGET: &[Setting] = &[setting("allowedOrigins", Form::Origins)];
    match kind {
        ChannelType::WhatsApp => WHATSAPP,
        ChannelType::Facebook => FACEBOOK,
        ChannelType::Instagram => INSTAGRAM,
        ChannelType::TelegramBot => TELEGRAM_BOT,
        ChannelType::TelegramUser => TELEGRAM_USER,
        ChannelType::Widget => WIDGET,
    }
}

/// The bot's id, which is in its token: shown in the config, and gone with the token.
pub(crate) const BOT_ID: &str = "botId";

/// What in the config is the channel's external id. It counts only together with the token that proves it.
pub(crate) fn external_id_of(kind: ChannelType) -> Option<&'static str> {
    match kind {
        ChannelType::WhatsApp => Some("phoneNumberId"),
        ChannelType::Facebook => Some("pageId"),
        ChannelType::Instagram => Some("accountId"),
        ChannelType::TelegramBot => Some(BOT_ID),
        ChannelType::TelegramUser | ChannelType::Widget => None,
    }
}
