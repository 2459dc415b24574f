//! The events of one body, as they are read from it.

use domain::{ChannelEvent, EventBody};

/// The events so far, and the channel that the next ones belong to.
#[derive(Debug, Default)]
pub(crate) struct Events {
    list: Vec<ChannelEvent>,
    channel: Option<String>,
}

impl Events {
    /// What follows belongs to this channel.
    pub(crate) fn set_channel(&mut self, channel: Option<String>) {
        self.channel = channel;
    }

    pub(crate) fn push(&mut self, body: EventBody) {
        let position = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(ChannelEvent { channel_external_id: self.channel.clone(), position, body });
    }

    /// What is kept in the raw event only: `field`, or `field:detail`.
    pub(crate) fn push_other(&mut self, field: &str, detail: Option<&str>) {
        /// Longer than any word of a provider's; it is shown and counted by.
        const MAX_CHARS: usize = 64;
        let field = field.chars().take(MAX_CHARS);
        let field = match detail {
            Some(detail) => field.chain([':']).chain(detail.chars().take(MAX_CHARS)).collect(),
            None => field.collect(),
        };
        self.push(EventBody::Other { field });
    }

    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn into_list(self) -> Vec<ChannelEvent> {
        self.list
    }
}
