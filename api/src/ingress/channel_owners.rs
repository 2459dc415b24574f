//! Whose a webhook is, by the channels that its body names.

use domain::{ChannelNaming, TenantId};
use store::channel_map::FoundChannels;

/// The tenant that has all of the channels. `None`: they are of several, or nobody has one of them (yet), or there are none.
pub(super) fn sole_owner(naming: ChannelNaming, channel_ids: &[String], channels: &FoundChannels) -> Option<TenantId> {
    let mut owners = channel_ids.iter().map(|id| channels.get(naming, id).map(|found| found.channel.tenant_id));
    let first = owners.next()??;
    owners.all(|owner| owner == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ChannelInstanceId, ChannelType};
    use store::channel_instances::{ChannelRef, FoundChannel};

    const NAMING: ChannelNaming = ChannelNaming::ExternalId(ChannelType::WhatsApp);

    fn owner(ids: &[&str]) -> Option<i32> {
        let mut channels = FoundChannels::default();
        for (id, tenant) in [("a", 1), ("b", 1), ("c", 2)] {
            let channel = ChannelRef { tenant_id: TenantId(tenant), id: ChannelInstanceId::generate(), kind: ChannelType::WhatsApp };
            channels.insert(NAMING, id.to_owned(), FoundChannel { channel, enabled: true });
        }
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        sole_owner(NAMING, &ids, &channels).map(|tenant| tenant.0)
    }

    #[test]
    fn a_body_of_one_tenant_is_that_tenants() {
        assert_eq!(owner(&["a"]), Some(1));
        assert_eq!(owner(&["a", "b"]), Some(1));
    }

    #[test]
    fn a_body_of_several_tenants_or_of_unknown_channels_is_nobodys() {
        for ids in [&["c", "a"][..], &["x"], &["x", "a"], &["a", "x"], &[]] {
            assert_eq!(owner(ids), None, "{ids:?}");
        }
    }
}
