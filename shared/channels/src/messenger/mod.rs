//! Messenger: webhooks of `object: page`. Shapes and sending are shared with Instagram in `meta_messaging`.

use crate::{
    ParseError,
    media::{self, MediaSource},
    meta_graph,
    meta_messaging::{self, Product},
    profiles::{self, ProfileLookup},
    registry::ChannelKind,
    sending::{Account, Call, Outgoing, Refusal, Sender},
};
use domain::{ChannelEvent, ChannelNaming, ChannelType};

/// Its channels' external id is the page's id.
pub const KIND: &str = "messenger";

/// The `object` of its webhooks.
pub(crate) const OBJECT: &str = "page";

const TOKEN: &str = "pageAccessToken";

/// What the registry lists.
pub const CHANNEL: ChannelKind =
    ChannelKind { kind: KIND, naming: ChannelNaming::ExternalId(ChannelType::Facebook), by_address: false, route, parse };

/// How it tells who a person is: <https://developers.facebook.com/docs/messenger-platform/identity/user-profile>.
pub const PROFILE: ProfileLookup = ProfileLookup {
    token: TOKEN,
    url: |account, person| meta_graph::fields(&account.urls.meta_graph, person, "first_name,last_name,profile_pic"),
    read: profiles::read_meta,
};

/// Files come with their address, which is good for some days.
pub const MEDIA: MediaSource = MediaSource { token: TOKEN, locate: media::by_url };

/// How its messages are sent.
pub const SENDER: Sender = Sender { token: TOKEN, compose, captions: &[], read: meta_messaging::read, pace: meta_messaging::PACE };

/// `metadata` comes back with the echo of a message, so ours are known by it.
const PRODUCT: Product = Product { object: OBJECT, echoes_tell_ours: true };

/// The pages that a body names.
pub fn route(body: &[u8]) -> Result<Vec<String>, ParseError> {
    meta_messaging::route(&PRODUCT, body)
}

/// What a body tells.
pub fn parse(body: &[u8]) -> Result<Vec<ChannelEvent>, ParseError> {
    meta_messaging::parse(&PRODUCT, body)
}

fn compose(account: &Account, message: &Outgoing) -> Result<Call, Refusal> {
    meta_messaging::compose(&PRODUCT, account, message)
}
