//! Removing finished hints from Redis, a few hundred at a time. (apalis's own `vacuum` reads a whole hash at once, and also
//! deletes what still waits.)

use jobs::{
    dispatch::{redis_config, redis_connection},
    queue,
};
use redis::Script;
use std::time::Duration;

const BATCH: i64 = 500;

const REMOVE: &str = r"
local ids = redis.call('SPOP', KEYS[1], ARGV[1])
if #ids == 0 then return 0 end
redis.call('HDEL', KEYS[2], unpack(ids))
for i, id in ipairs(ids) do ids[i] = KEYS[3] .. ':' .. id end
redis.call('UNLINK', unpack(ids))
return #ids";

/// Cleans up for ever; while Redis is away there is nothing to clean.
pub(super) async fn clean(client: redis::Client) {
    let script = Script::new(REMOVE);
    loop {
        if let Ok(mut connection) = redis_connection(&client).await {
            while let Ok(removed) = round(&script, &mut connection).await {
                // Everything was removed: wait for more. Otherwise go on at once.
                if removed < BATCH {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Removes up to a batch from each set of each queue; returns the largest number removed from one.
async fn round(script: &Script, connection: &mut redis::aio::ConnectionManager) -> redis::RedisResult<i64> {
    let mut most = 0;
    for queue in queue::ALL {
        let config = redis_config(queue.name, 1);
        for finished in [config.done_jobs_set(), config.dead_jobs_set()] {
            let removed: i64 =
                script.key(finished).key(config.job_data_hash()).key(config.job_meta_hash()).arg(BATCH).invoke_async(connection).await?;
            most = most.max(removed);
        }
    }
    Ok(most)
}
