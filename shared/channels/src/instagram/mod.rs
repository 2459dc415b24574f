//! Instagram messages: webhooks of `object: instagram`. Shapes and sending are shared with Messenger in `meta_messaging`.

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

/// Its channels' external id is the Instagram account's id.
pub const KIND: &str = "instagram";

/// The `object` of its webhooks.
pub(crate) const OBJECT: &str = "instagram";

const TOKEN: &str = "accessToken";

/// What the registry lists.
pub const CHANNEL: ChannelKind =
    ChannelKind { kind: KIND, naming: ChannelNaming::ExternalId(ChannelType::Instagram), by_address: false, route, parse };

/// How it tells who a person is: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/messaging-api/user-profile>.
pub const PROFILE: ProfileLookup = ProfileLookup {
    token: TOKEN,
    url: |account, person| meta_graph::fields(&account.urls.meta_graph, person, "name,username,profile_pic"),
    read: profiles::read_meta,
};

/// Files come with their address, which is good for some days.
pub const MEDIA: MediaSource = MediaSource { token: TOKEN, locate: media::by_url };

/// How its messages are sent.
pub const SENDER: Sender = Sender { token: TOKEN, compose, captions: &[], read: meta_messaging::read, pace: meta_messaging::PACE };

/// Echoes carry nothing of ours.
const PRODUCT: Product = Product { object: OBJECT, echoes_tell_ours: false };

/// The accounts that a body names.
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
