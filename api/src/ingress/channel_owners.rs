//! Whose a webhook is, by the channels that its body names.

use domain::TenantId;
use std::collections::HashMap;
use store::channel_instances::ChannelRef;

/// Every tenant that the body concerns, each once; `TenantId::NONE` among them when it names a channel that nobody has (yet),
/// or none at all.
pub(super) fn owners(channel_ids: &[String], channels: &HashMap<String, ChannelRef>) -> Vec<TenantId> {
    let owner = |id: &String| channels.get(id).map_or(TenantId::NONE, |channel| channel.tenant_id);
    let mut owners: Vec<TenantId> = channel_ids.iter().map(owner).collect();
    if owners.is_empty() {
        owners.push(TenantId::NONE);
    }
    owners.sort_unstable();
    owners.dedup();
    owners
}

/// The tenant that the whole body belongs to, if it is one.
pub(super) fn sole_owner(owners: &[TenantId]) -> Option<TenantId> {
    match owners {
        [tenant] if *tenant != TenantId::NONE => Some(*tenant),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ChannelInstanceId;

    fn owned_by(ids: &[&str]) -> (Vec<i32>, Option<i32>) {
        let channels: HashMap<_, _> = [("a", 1), ("b", 1), ("c", 2)]
            .map(|(id, tenant)| (id.to_owned(), ChannelRef { tenant_id: TenantId(tenant), id: ChannelInstanceId::generate() }))
            .into();
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let owners = owners(&ids, &channels);
        (owners.iter().map(|tenant| tenant.0).collect(), sole_owner(&owners).map(|tenant| tenant.0))
    }

    #[test]
    fn a_body_of_one_tenant_is_that_tenants() {
        assert_eq!(owned_by(&["a"]), (vec![1], Some(1)));
        assert_eq!(owned_by(&["a", "b"]), (vec![1], Some(1)));
    }

    #[test]
    fn a_body_of_several_tenants_concerns_each_and_belongs_to_none() {
        assert_eq!(owned_by(&["c", "a"]), (vec![1, 2], None));
    }

    #[test]
    fn an_unknown_channel_or_none_at_all_concerns_nobody_yet() {
        assert_eq!(owned_by(&["x"]), (vec![0], None));
        assert_eq!(owned_by(&["x", "a"]), (vec![0, 1], None));
        assert_eq!(owned_by(&[]), (vec![0], None));
    }
}
