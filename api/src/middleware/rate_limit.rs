//! Limits on how often somebody may call, shared by all API processes through Redis. Without Redis there is no limit: a metric and
//! a warning say so, and nobody is turned away.

use crate::ApiError;
use platform::Clock;
use redis::{
    Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use salvo::{
    Response,
    http::{HeaderValue, StatusCode, header::HeaderName},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How long Redis may take, and how long it is left alone when it took longer.
const PATIENCE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_secs(1);

/// The generic cell rate algorithm: one number for each key, the time at which the budget will be whole again. Times are Redis's.
/// Returns whether the call may pass, how many more may, and milliseconds until the budget is whole and until the next may.
const GCRA: &str = r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local each = 60000 / tonumber(ARGV[1])
local burst = each * tonumber(ARGV[2])
local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local after = whole + each
if after - now > burst then return {0, 0, math.ceil(whole - now), math.ceil(after - now - burst)} end
redis.call('SET', KEYS[1], after, 'PX', math.ceil(after - now))
return {1, math.floor((burst - (after - now)) / each), math.ceil(after - now), 0}";

/// What may be spent: `per_minute` over time, and up to `burst` at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Whose it is: `user:UUID`, `tenant:7`.
    pub key: String,
    /// 0: without limit.
    pub per_minute: u32,
    pub burst: u32,
}

impl Budget {
    /// A minute's worth may be spent at once.
    pub(crate) fn per_minute(key: String, per_minute: u32) -> Self {
        Self { key, per_minute, burst: per_minute }
    }
}

/// Keeps count.
pub(crate) struct Limiter {
    client: Option<redis::Client>,
    connection: OnceCell<ConnectionManager>,
    script: Script,
    clock: Arc<dyn Clock>,
    /// When Redis last failed.
    failed_at: Mutex<Option<Instant>>,
}

impl Limiter {
    pub(crate) fn new(client: Option<redis::Client>, clock: Arc<dyn Clock>) -> Self {
        metrics::describe_counter!(
            "switchboard_rate_limit_skipped_total",
            "Requests whose rate limit was not checked because Redis was away"
        );
        metrics::describe_counter!("switchboard_rate_limit_refused_total", "Requests that were answered 429");
        Self { client, connection: OnceCell::new(), script: Script::new(GCRA), clock, failed_at: Mutex::default() }
    }

    /// Takes one request from the budget and says so in the response's headers; 429 if nothing is left.
    pub(crate) async fn spend(&self, budget: &Budget, res: &mut Response) -> Result<(), ApiError> {
        let Some(spent) = self.take(budget).await else { return Ok(()) };
        let reset = self.clock.now().timestamp() + spent.whole_in_ms.div_ceil(1000).cast_signed();
        let headers = res.headers_mut();
        headers.insert(LIMIT, HeaderValue::from(budget.per_minute));
        headers.insert(REMAINING, HeaderValue::from(spent.remaining.min(budget.per_minute)));
        headers.insert(RESET, HeaderValue::from(reset));
        spent.verdict()
    }

    /// The same without headers, for what is counted besides the request itself.
    pub(crate) async fn check(&self, budget: &Budget) -> Result<(), ApiError> {
        self.take(budget).await.map_or(Ok(()), |spent| spent.verdict())
    }

    /// `None`: there is no limit, or nobody to ask.
    async fn take(&self, budget: &Budget) -> Option<Spent> {
        if budget.per_minute == 0 {
            return None;
        }
        let client = self.client.as_ref()?;
        if self.is_paused() {
            metrics::counter!("switchboard_rate_limit_skipped_total").increment(1);
            return None;
        }
        match tokio::time::timeout(PATIENCE, self.ask(client, budget)).await {
            Ok(Ok((passed, remaining, whole_in_ms, wait_ms))) => Some(Spent { passed: passed == 1, remaining, whole_in_ms, wait_ms }),
            Ok(Err(error)) => self.pause(&error),
            Err(elapsed) => self.pause(&elapsed),
        }
    }

    async fn ask(&self, client: &redis::Client, budget: &Budget) -> redis::RedisResult<(u8, u32, u64, u64)> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(0);
        let connection = self.connection.get_or_try_init(|| client.get_connection_manager_with_config(config)).await?;
        let key = format!("switchboard:rate:{}", budget.key);
        self.script.key(key).arg(budget.per_minute).arg(budget.burst).invoke_async(&mut connection.clone()).await
    }

    fn is_paused(&self) -> bool {
        self.failed_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < PAUSE)
    }

    fn pause(&self, error: &dyn fmt::Display) -> Option<Spent> {
        metrics::counter!("switchboard_rate_limit_skipped_total").increment(1);
        tracing::warn!(%error, "Redis does not answer: requests pass without a rate limit");
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        None
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limiter")
    }
}

struct Spent {
    passed: bool,
    remaining: u32,
    whole_in_ms: u64,
    wait_ms: u64,
}

impl Spent {
    fn verdict(&self) -> Result<(), ApiError> {
        if self.passed {
            return Ok(());
        }
        metrics::counter!("switchboard_rate_limit_refused_total").increment(1);
        let seconds = u32::try_from(self.wait_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        Err(ApiError::from_status(StatusCode::TOO_MANY_REQUESTS).with_retry_after(seconds))
    }
}
