//! What a tenant's documents say about a question: passages that share rare words with it, and passages near it in meaning, in one order.

mod index;

use ai::{AiError, Model, embedding};
use domain::TenantId;
use index::{Indexes, TenantIndex};
use std::{collections::HashMap, sync::Arc, time::Instant};
use store::{
    PgPool, StoreError,
    retrieval::{self, ChunkKey, Passage},
};

/// Passages that an agent is shown.
const PASSAGES: usize = 6;
/// How many of each kind are put in one order.
const CANDIDATES: usize = 40;
/// More of a question is not looked for.
const MOST_QUESTION_CHARS: usize = 1_000;
/// Words that are in more chunks than this are not looked for, nor so many that more chunks than this would have to be ranked.
const COMMON: i32 = 1_000;
const RANKED: i64 = 2_000;
/// How much a place further back counts less, as in the paper that names it
/// (Cormack, Clarke, Büttcher: Reciprocal Rank Fusion, 2009).
const FUSION: f32 = 60.0;

/// Makes vectors of texts.
#[derive(Debug)]
pub enum Embedder {
    Model {
        model: Model,
        name: String,
    },
    /// Of the words alone, where no model is set up.
    Words,
}

impl Embedder {
    /// Vectors of different embedders say nothing about each other.
    pub fn name(&self) -> &str {
        match self {
            Self::Model { name, .. } => name,
            Self::Words => "words-1",
        }
    }

    /// The vectors of up to [`embedding::MOST_TEXTS`] texts.
    pub(crate) async fn embed(&self, http: &reqwest::Client, texts: &[&str]) -> Result<Vec<embedding::Vector>, AiError> {
        match self {
            Self::Model { model, name } => model.embed(http, name, texts).await,
            Self::Words => Ok(texts.iter().map(|text| embedding::of_words(text)).collect()),
        }
    }
}

/// All tenants' documents, as far as this process has been asked about them.
#[derive(Debug)]
pub struct Knowledge {
    pub embedder: Embedder,
    indexes: Indexes,
}

impl Knowledge {
    /// Holds vectors of up to `most_bytes` in memory.
    pub fn new(embedder: Embedder, most_bytes: usize) -> Self {
        Self { embedder, indexes: Indexes::new(most_bytes) }
    }

    /// The passages of the tenant's documents that say most about `question`. Where the embedder cannot be asked, words alone decide. `changes`: how often the
    /// documents have changed (`Answering::knowledge_changes`).
    pub async fn find(
        &self,
        pool: &PgPool,
        http: &reqwest::Client,
        tenant: TenantId,
        changes: Option<i64>,
        question: &str,
    ) -> Result<Vec<Passage>, StoreError> {
        let question: String = question.chars().take(MOST_QUESTION_CHARS).collect();
        let Some(changes) = changes.filter(|_| !question.trim().is_empty()) else { return Ok(Vec::new()) };
        let began = Instant::now();
        let mut conn = pool.acquire().await?;
        let index = self.indexes.get(&mut conn, tenant, self.embedder.name(), changes).await?;
        let by_words = async {
            let found =
                retrieval::by_words(&mut conn, tenant, &question, (COMMON, RANKED), CANDIDATES.try_into().unwrap_or(i64::MAX)).await;
            // The embedder may take its time.
            drop(conn);
            found
        };
        let (by_words, by_meaning) = tokio::join!(by_words, self.near(http, index, &question));
        let best = fused(&[by_words?, by_meaning]);
        let mut conn = pool.acquire().await?;
        let passages = retrieval::passages(&mut conn, tenant, &best).await;
        metrics::histogram!("switchboard_retrieval_seconds").record(began.elapsed().as_secs_f64());
        passages
    }

    async fn near(&self, http: &reqwest::Client, index: Arc<TenantIndex>, question: &str) -> Vec<ChunkKey> {
        if index.is_empty() {
            return Vec::new();
        }
        let vector = match self.embedder.embed(http, &[question]).await {
            Ok(vectors) => vectors.into_iter().next(),
            Err(error) => {
                tracing::warn!(%error, "the embedder cannot be asked: passages are found by their words alone");
                None
            }
        };
        let Some(vector) = vector else { return Vec::new() };
        // While this thread compares all of a large tenant's chunks it would serve nobody else.
        tokio::task::spawn_blocking(move || index.nearest(&vector, CANDIDATES)).await.unwrap_or_default()
    }
}

/// The best of several orders: whoever is far ahead in one, or ahead in all.
fn fused(orders: &[Vec<ChunkKey>]) -> Vec<ChunkKey> {
    let mut scores: HashMap<ChunkKey, f32> = HashMap::new();
    for order in orders {
        let mut place = FUSION;
        for key in order {
            place += 1.0;
            *scores.entry(*key).or_default() += 1.0 / place;
        }
    }
    let mut all: Vec<(ChunkKey, f32)> = scores.into_iter().collect();
    all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.into_iter().take(PASSAGES).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn whoever_is_ahead_in_both_orders_comes_first() {
        let key = |n: i32| (Uuid::nil(), n);
        let words = vec![key(1), key(2), key(3)];
        let meaning = vec![key(4), key(2), key(5)];
        let best = fused(&[words, meaning]);
        assert_eq!(best[0], key(2));
        assert_eq!(best.len(), 5);
        assert_eq!(fused(&[(0..100).map(key).collect(), Vec::new()]), (0..6).map(key).collect::<Vec<_>>());
        assert!(fused(&[]).is_empty());
    }
}
