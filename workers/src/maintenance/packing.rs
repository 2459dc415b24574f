//! From jobs to hints.

use domain::{JobId, TenantId};
use jobs::{dispatch::Hint, queue::Queue};
use store::ledger::ReadyJob;

/// Jobs in one hint, whatever their weight.
const JOBS_PER_HINT: usize = 256;

/// How many jobs to choose so that `hints` hints can be filled.
pub(super) fn jobs_for(queue: Queue, hints: usize) -> usize {
    if queue.batch_weight.is_some() { hints.saturating_mul(JOBS_PER_HINT) } else { hints }
}

/// Packs `jobs` into at most `limit` hints, and returns those that did not fit.
pub(super) fn pack(queue: Queue, jobs: Vec<ReadyJob>, limit: usize) -> (Vec<Hint>, Vec<ReadyJob>) {
    let Some(full) = queue.batch_weight else {
        let (now, later) = jobs.split_at(jobs.len().min(limit));
        return (now.iter().map(|job| Hint { jobs: vec![job.id] }).collect(), later.to_vec());
    };
    let shards = usize::try_from(TenantId::SHARDS).unwrap_or(1);
    let mut piles: Vec<(Vec<ReadyJob>, i32)> = vec![(Vec::new(), 0); shards.min(limit)];
    let (mut hints, mut left): (Vec<Hint>, Vec<ReadyJob>) = (Vec::new(), Vec::new());
    for job in jobs {
        let begun = piles.iter().filter(|(pile, _)| !pile.is_empty()).count();
        let place = usize::try_from(job.lane.tenant_id.shard()).unwrap_or(0) % piles.len().max(1);
        match piles.get_mut(place) {
            // Every pile that is begun goes out, full or not: a tenant with little to do must not wait for one with much.
            Some((pile, weight)) if !pile.is_empty() || hints.len() + begun < limit => {
                pile.push(job);
                *weight = weight.saturating_add(job.weight);
                if *weight >= full || pile.len() >= JOBS_PER_HINT {
                    hints.push(hint(pile));
                    pile.clear();
                    *weight = 0;
                }
            }
            _ => left.push(job),
        }
    }
    hints.extend(piles.iter().filter(|(pile, _)| !pile.is_empty()).map(|(pile, _)| hint(pile)));
    (hints, left)
}

fn hint(jobs: &[ReadyJob]) -> Hint {
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    Hint { jobs: ids }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::TenantId;
    use jobs::queue::{OVERRIDES, WEBHOOKS};
    use store::ledger::Lane;

    fn job(tenant: i32, weight: i32) -> ReadyJob {
        ReadyJob { id: JobId::generate(), lane: Lane { priority: 0, tenant_id: TenantId(tenant) }, position: 1, weight, is_head: true }
    }

    #[test]
    fn jobs_of_an_unbatched_queue_travel_alone() {
        let (hints, left) = pack(OVERRIDES, vec![job(1, 1), job(2, 1), job(3, 1)], 2);
        assert_eq!((hints.len(), left.len()), (2, 1));
        assert!(hints.iter().all(|hint| hint.jobs.len() == 1));
    }

    #[test]
    fn a_batch_is_full_by_weight_and_holds_tenants_of_one_shard() {
        let jobs: Vec<_> = (0..40).map(|n| job(n % 4, 50)).collect();
        let (hints, left) = pack(WEBHOOKS, jobs.clone(), 10);
        assert_eq!((hints.len(), left.len()), (4, 0));
        for hint in hints {
            let shards: std::collections::HashSet<_> =
                jobs.iter().filter(|job| hint.jobs.contains(&job.id)).map(|job| job.lane.tenant_id.shard()).collect();
            assert_eq!((hint.jobs.len(), shards.len()), (10, 1));
        }
    }

    #[test]
    fn a_job_that_tenants_share_goes_with_their_shard() {
        let shared = |tenant: i32| job(TenantId(tenant).shared_lane().0, 1);
        let (hints, _) = pack(WEBHOOKS, vec![shared(4), job(6, 1), shared(5), job(7, 1)], 2);
        assert_eq!(hints.iter().map(|hint| hint.jobs.len()).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn jobs_that_do_not_fill_a_batch_go_out_in_one_per_pile_and_the_rest_waits() {
        let (hints, left) = pack(WEBHOOKS, vec![job(1, 1), job(2, 1), job(3, 1)], 5);
        assert_eq!(hints.iter().map(|hint| hint.jobs.len()).collect::<Vec<_>>(), [1, 2]);
        assert!(left.is_empty());
    }

    #[test]
    fn a_tenant_with_one_job_goes_out_beside_one_with_thousands() {
        let mut jobs: Vec<_> = (0..2_000).map(|_| job(1, 5)).collect();
        let small = job(2, 1);
        jobs.insert(1, small);
        for limit in 1..4 {
            let (hints, left) = pack(WEBHOOKS, jobs.clone(), limit);
            assert_eq!(hints.len(), limit);
            assert!(hints.iter().any(|hint| hint.jobs.contains(&small.id)), "{limit}");
            assert_eq!(hints.iter().map(|hint| hint.jobs.len()).sum::<usize>() + left.len(), jobs.len());
        }
    }
}
