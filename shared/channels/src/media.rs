//! Where the file of a message is fetched.

use crate::sending::Account;
use platform::Secret;
use serde_json::Value;

/// How a channel's files are found.
#[derive(Clone, Copy, Debug)]
pub struct MediaSource {
    /// The channel's secret that opens the provider's API.
    pub token: &'static str,
    /// Where a message's `media` is, as far as the message tells.
    pub locate: fn(&Account, &Value) -> Option<Place>,
}

/// Where a file is.
#[derive(Clone, Debug)]
pub enum Place {
    /// There.
    At(File),
    /// The provider says where, when it is asked: a GET with the token, whose answer `read` reads.
    Ask { url: Secret, bearer: Option<Secret>, read: fn(&Account, &Value) -> Option<File> },
}

/// A file at a provider.
#[derive(Clone, Debug)]
pub struct File {
    /// May hold the token.
    pub url: Secret,
    pub bearer: Option<Secret>,
    /// The operator's settings name the host; otherwise somebody else does.
    pub trusted: bool,
}

/// The address that a message came with.
pub(crate) fn by_url(_account: &Account, media: &Value) -> Option<Place> {
    let url = media.get("url")?.as_str()?;
    Some(Place::At(File { url: Secret::new(url), bearer: None, trusted: false }))
}
