//! What names a person beyond one channel: a phone number, a page-scoped id.

use super::{people_cache::PersonKey, profiles::Told};
use domain::ChannelType;

/// What names a person on all of a tenant's channels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TenantWide {
    /// E.164.
    Phone(String),
    Instagram(String),
    Facebook(String),
}

/// A customer to make.
pub(super) struct NewCustomer {
    pub(super) tenant: i32,
    pub(super) names: Vec<TenantWide>,
    pub(super) told: Option<Told>,
}

impl NewCustomer {
    fn name<'a>(&'a self, pick: impl Fn(&'a TenantWide) -> Option<&'a str>) -> Option<&'a str> {
        self.names.iter().find_map(pick)
    }

    pub(super) fn phone(&self) -> Option<&str> {
        self.name(|name| if let TenantWide::Phone(phone) = name { Some(phone) } else { None })
    }

    pub(super) fn instagram(&self) -> Option<&str> {
        self.name(|name| if let TenantWide::Instagram(id) = name { Some(id) } else { None })
    }

    pub(super) fn facebook(&self) -> Option<&str> {
        self.name(|name| if let TenantWide::Facebook(id) = name { Some(id) } else { None })
    }
}

/// What names this person on all of the tenant's channels.
pub(super) fn tenant_wide(key: &PersonKey) -> impl Iterator<Item = TenantWide> {
    /// Longer than any page-scoped id.
    const LONGEST_ID: usize = 64;
    let phone = key.phone.as_deref().and_then(phone_number).map(TenantWide::Phone);
    let page_scoped = key.user_id.as_ref().filter(|id| id.len() <= LONGEST_ID).and_then(|id| match key.channel.kind {
        ChannelType::Instagram => Some(TenantWide::Instagram(id.clone())),
        ChannelType::Facebook => Some(TenantWide::Facebook(id.clone())),
        ChannelType::WhatsApp | ChannelType::TelegramUser | ChannelType::TelegramBot | ChannelType::Widget => None,
    });
    phone.into_iter().chain(page_scoped)
}

/// E.164, as contracts show it. Longer than a phone number can be (15 digits): not a phone number.
pub(super) fn phone_number(digits: &str) -> Option<String> {
    (digits.len() <= 15).then(|| format!("+{digits}"))
}
