//! What Messenger and Instagram share: Meta's [messaging webhooks](https://developers.facebook.com/docs/messenger-platform/webhooks) and
//! its [Send API](https://developers.facebook.com/docs/messenger-platform/reference/send-api).

mod message;
mod parse;
mod send;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use parse::{object, parse, route};
pub(crate) use send::{PACE, compose, read};

/// How the two differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// The only `object` of its webhooks.
    pub(crate) object: &'static str,
    /// An echo of a message of ours carries our id.
    pub(crate) echoes_tell_ours: bool,
}
