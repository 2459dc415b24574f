//! The vectors of tenants' chunks in memory, compared one by one, which is exact.

use ai::embedding::{DIMENSIONS, STORED_BYTES, Vector};
use domain::TenantId;
use std::{
    collections::{BinaryHeap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use store::{
    PgConnection, StoreError,
    retrieval::{self, ChunkKey, DocumentVectors},
};
use uuid::Uuid;

/// Documents whose vectors are read at once.
const AT_ONCE: usize = 200;

/// One tenant's chunks.
#[derive(Debug, Default)]
pub(super) struct TenantIndex {
    changes: i64,
    documents: HashMap<Uuid, Arc<DocumentVectors>>,
}

/// Of all tenants that were asked about lately.
#[derive(Debug)]
pub(super) struct Indexes {
    most_bytes: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Slot>>>,
    clock: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    /// Who brings it up to date holds this; others of the tenant wait for them.
    index: tokio::sync::Mutex<Arc<TenantIndex>>,
    bytes: AtomicU64,
    used_at: AtomicU64,
}

impl Indexes {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, tenants: Mutex::default(), clock: AtomicU64::new(0) }
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<Slot>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tenant's index, as new as `changes` at least. Only documents that are new or changed are read.
    pub(super) async fn get(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        embedder: &str,
        changes: i64,
    ) -> Result<Arc<TenantIndex>, StoreError> {
        let slot = self.tenants().entry(tenant).or_default().clone();
        slot.used_at.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let mut index = slot.index.lock().await;
        if index.changes < changes {
            let fresh = Arc::new(index.refreshed(conn, tenant, embedder, changes).await?);
            slot.bytes.store(fresh.bytes(), Ordering::Relaxed);
            *index = fresh;
            self.forget_beyond(tenant);
        }
        Ok(index.clone())
    }

    /// Forgets the tenants that nobody has asked about for longest, while there is too much. The one that is in use stays.
    fn forget_beyond(&self, in_use: TenantId) {
        let mut tenants = self.tenants();
        loop {
            let bytes: u64 = tenants.values().map(|slot| slot.bytes.load(Ordering::Relaxed)).sum();
            let others = tenants.iter().filter(|(tenant, _)| **tenant != in_use);
            let oldest = others.min_by_key(|(_, slot)| slot.used_at.load(Ordering::Relaxed)).map(|(tenant, _)| *tenant);
            match oldest {
                Some(tenant) if bytes > self.most_bytes as u64 => tenants.remove(&tenant),
                _ => return,
            };
        }
    }
}

impl TenantIndex {
    async fn refreshed(&self, conn: &mut PgConnection, tenant: TenantId, embedder: &str, changes: i64) -> Result<Self, StoreError> {
        let versions = retrieval::versions(conn, tenant, embedder).await?;
        let mut documents = HashMap::with_capacity(versions.len());
        let mut unknown = Vec::new();
        for (id, version) in versions {
            match self.documents.get(&id).filter(|known| known.version == version) {
                Some(known) => _ = documents.insert(id, known.clone()),
                None => unknown.push(id),
            }
        }
        for ids in unknown.chunks(AT_ONCE) {
            let read = retrieval::vectors(conn, tenant, embedder, ids).await?;
            documents.extend(read.into_iter().map(|read| (read.document_id, Arc::new(read))));
        }
        Ok(Self { changes, documents })
    }

    fn bytes(&self) -> u64 {
        self.documents.values().map(|document| document.vectors.len() as u64).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// The chunks nearest to a vector, the nearest first.
    pub(super) fn nearest(&self, to: &Vector, most: usize) -> Vec<ChunkKey> {
        let Ok(wanted) = <[i8; DIMENSIONS]>::try_from(to.bytes.as_slice()) else { return Vec::new() };
        let mut heap: BinaryHeap<Near> = BinaryHeap::with_capacity(most + 1);
        for (id, document) in &self.documents {
            for (ordinal, stored) in (0..).zip(document.vectors.chunks_exact(STORED_BYTES)) {
                let nearness = nearness(stored, &wanted);
                if heap.len() < most || heap.peek().is_some_and(|furthest| nearness > furthest.nearness) {
                    heap.push(Near { nearness, key: (*id, ordinal) });
                    if heap.len() > most {
                        heap.pop();
                    }
                }
            }
        }
        let mut found = heap.into_vec();
        found.sort_unstable();
        let mut seen = HashSet::new();
        found.into_iter().map(|near| near.key).filter(|key| seen.insert(*key)).collect()
    }
}

/// The cosine, but for the length of what is wanted.
fn nearness(stored: &[u8], wanted: &[i8; DIMENSIONS]) -> f32 {
    let Some((scale, bytes)) = stored.split_first_chunk::<4>() else { return 0.0 };
    // The compiler makes vector instructions of this.
    let dot: i32 = bytes.iter().zip(wanted).map(|(a, b)| i32::from(a.cast_signed()) * i32::from(*b)).sum();
    #[expect(clippy::cast_precision_loss, reason = "at most 256 * 127 * 127, below 2^24")]
    let dot = dot as f32;
    dot * f32::from_le_bytes(*scale)
}

/// Ordered so that the furthest is the greatest: a heap gives it away first.
#[derive(Debug, PartialEq)]
struct Near {
    nearness: f32,
    key: ChunkKey,
}

impl Eq for Near {}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.nearness.total_cmp(&self.nearness).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ai::embedding::of_words;

    fn index(texts: &[&str]) -> TenantIndex {
        let mut vectors = Vec::new();
        for text in texts {
            of_words(text).store(&mut vectors);
        }
        let id = Uuid::nil();
        TenantIndex { changes: 1, documents: HashMap::from([(id, Arc::new(DocumentVectors { document_id: id, version: 1, vectors }))]) }
    }

    #[test]
    fn the_nearest_come_first_and_no_more_than_are_wanted() {
        let index = index(&["refunds are paid within fourteen days", "opening hours are nine to six", "we ship to all of Europe", "hours"]);
        let found = index.nearest(&of_words("what are your opening hours"), 2);
        assert_eq!(found.iter().map(|key| key.1).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(index.nearest(&of_words("shipping to Europe"), 10).len(), 4);
        assert_eq!(index.nearest(&of_words("shipping to Europe"), 10)[0].1, 2);
    }
}
