//! Finding the events of a batch that Postgres refuses, so that the others are written.

use super::{Located, PeopleCache, Written, write};
use crate::StoreError;
use chrono::TimeDelta;
use futures::{FutureExt, future::BoxFuture};
use sqlx::{Connection, PgConnection};

/// Writes `items` like [`write()`], but halves what is refused for its data until the culprits are alone; these are left out.
/// Returns what was written, and the indexes of the refused items with the reason.
pub async fn write_isolating(
    conn: &mut PgConnection,
    cache: &PeopleCache,
    items: &[Located],
    override_ttl: TimeDelta,
) -> Result<(Written, Vec<(usize, String)>), StoreError> {
    let (mut written, mut refused) = (Written::default(), Vec::new());
    halve(conn, cache, items, 0, override_ttl, &mut written, &mut refused).await?;
    Ok((written, refused))
}

fn halve<'a>(
    conn: &'a mut PgConnection,
    cache: &'a PeopleCache,
    items: &'a [Located],
    offset: usize,
    override_ttl: TimeDelta,
    written: &'a mut Written,
    refused: &'a mut Vec<(usize, String)>,
) -> BoxFuture<'a, Result<(), StoreError>> {
    async move {
        let mut savepoint = conn.begin().await?;
        match write(&mut savepoint, cache, items, override_ttl).await {
            Ok(part) => {
                savepoint.commit().await?;
                written.messages.extend(part.messages);
                written.overrides.extend(part.overrides);
                written.statuses.extend(part.statuses);
                written.changes.extend(part.changes);
                written.applied += part.applied;
                written.identities.extend(part.identities);
                written.learned.extend(part.learned);
                Ok(())
            }
            Err(StoreError::Data(error)) => {
                savepoint.rollback().await?;
                if let [_] = items {
                    refused.push((offset, error.to_string()));
                    return Ok(());
                }
                let (first, second) = items.split_at(items.len() / 2);
                halve(conn, cache, first, offset, override_ttl, written, refused).await?;
                halve(conn, cache, second, offset + first.len(), override_ttl, written, refused).await
            }
            Err(other) => Err(other),
        }
    }
    .boxed()
}
