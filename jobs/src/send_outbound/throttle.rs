//! Keeps to what providers take: a bucket for each channel and for each person on it, shared by all processes through Redis.
//!
//! Nothing depends on it: without Redis, or when the buckets are lost, messages go as fast as they can, and a provider that is asked too fast says
//! how long to wait.

use channels::pace::Rate;
use domain::{ChannelInstanceId, ConversationId};
use redis::{
    Client, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use std::{fmt, time::Duration};

/// A turn that comes within this is waited for in place.
const SHORT: Duration = Duration::from_secs(1);
/// Redis is given so long to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// A bucket is the moment at which it will be full again ("generic cell rate algorithm"), in microseconds of Redis's clock. All are taken
/// from, or none: what is returned is how long until it is one's turn, and nothing was taken if that is longer than the last argument.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wait, full_at = 0, {}
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local full = math.max(tonumber(redis.call('GET', key) or 0), now)
  wait = math.max(wait, full - interval * (burst - 1) - now)
  full_at[i] = full + interval
end
if wait <= tonumber(ARGV[#ARGV]) then
  for i, key in ipairs(KEYS) do
    redis.call('SET', key, string.format('%.0f', full_at[i]), 'PX', math.ceil((full_at[i] - now) / 1000))
  end
end
return wait
";

/// The buckets.
pub struct Throttle(Option<(Script, ConnectionManager)>);

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Throttle(redis)" } else { "Throttle(none)" })
    }
}

impl Throttle {
    /// Lets everything through.
    pub fn none() -> Self {
        Self(None)
    }

    /// Connects when it is first used, and again whenever the connection is lost.
    pub fn redis(client: Client) -> Result<Self, redis::RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(0);
        Ok(Self(Some((Script::new(TAKE), ConnectionManager::new_lazy_with_config(client, config)?))))
    }

    /// Waits for this message's turn if that is soon; otherwise says how long it will be.
    pub(super) async fn turn(
        &self,
        channel: ChannelInstanceId,
        of_channel: Rate,
        person: Option<(ConversationId, Rate)>,
    ) -> Result<(), Duration> {
        let Some((script, connection)) = &self.0 else { return Ok(()) };
        // The braces keep a channel's buckets on one node of a cluster. A rate that changes begins with a full bucket.
        let rate = of_channel.interval.as_micros();
        let mut call = script.prepare_invoke();
        call.key(format!("switchboard:pace:{{{channel}}}:{rate}"));
        add(&mut call, of_channel);
        if let Some((conversation, rate)) = person {
            call.key(format!("switchboard:pace:{{{channel}}}:{conversation}"));
            add(&mut call, rate);
        }
        call.arg(micros(SHORT));
        let wait = match call.invoke_async::<u64>(&mut connection.clone()).await {
            Ok(wait) => Duration::from_micros(wait),
            Err(error) => {
                tracing::debug!(%error, "nobody knows how fast a channel sends, so it sends");
                Duration::ZERO
            }
        };
        if wait > SHORT {
            return Err(wait);
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

fn add(call: &mut redis::ScriptInvocation<'_>, rate: Rate) {
    call.arg(micros(rate.interval)).arg(rate.burst);
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
