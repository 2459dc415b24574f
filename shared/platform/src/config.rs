//! Every setting of Switchboard: its environment variable, its default and what it does. Read once, when a process starts.
//! A variable that is set but empty counts as unset.

mod agents;
mod http;

pub use agents::{AgentsConfig, ModelPrice};
pub use http::{HttpConfig, OidcConfig, RateLimits};

use crate::secret::{Secret, SecretUrl};
use std::{
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
    time::Duration,
};

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `HOST` (0.0.0.0): the address that the API listens on.
    pub host: IpAddr,
    /// `PORT` (3000): the port of the API. 0: a free one.
    pub port: u16,
    /// `METRICS_PORT`: where `/metrics` is served. Unset: the API serves it on `PORT`, a worker on a free port.
    pub metrics_port: Option<u16>,
    /// `DATABASE_URL` (required): Postgres, `postgres://user:password@host:port/name`.
    pub database_url: SecretUrl,
    /// `DATABASE_CONNECTIONS` (10): the most connections that one process opens.
    pub database_connections: u32,
    /// `REDIS_URL`, else made of `REDIS_HOST` (localhost) and `REDIS_PORT` (6379) when one of them is set.
    pub redis_url: Option<SecretUrl>,
    /// `DISPATCH` (redis): how jobs reach the workers.
    pub dispatch: DispatchMode,
    /// `META_APP_SECRET`: the key of the signatures on Meta's webhooks. Unset: all of them are refused.
    pub meta_app_secret: Option<Secret>,
    /// `META_VERIFY_TOKEN`, `FACEBOOK_VERIFY_TOKEN`: what Meta's handshake must show; either will do. None: it is refused.
    pub meta_verify_tokens: Vec<Secret>,
    /// `META_GRAPH_URL` (`https://graph.facebook.com`): where Meta's API is reached.
    pub meta_graph_url: String,
    /// `TELEGRAM_API_URL` (`https://api.telegram.org`): where Telegram's Bot API is reached.
    pub telegram_api_url: String,
    /// `MEDIA_STORE` (`$SWITCHBOARD_HOME/media`): where copies of customers' files are kept, a folder or `s3://bucket/prefix`. The API and the workers need the same.
    pub media_store: String,
    /// `MEDIA_MAX_BYTES` (104857600): larger files are not copied.
    pub media_max_bytes: u64,
    /// What AI agents need: see [`AgentsConfig`].
    pub agents: AgentsConfig,
    /// `SWITCHBOARD_ALLOW_HOSTS`: `host:port`, comma separated, that may be fetched from though they are private.
    pub allow_hosts: Vec<String>,
    /// `LOG_LEVEL` (info): a level, or directives like `info,sqlx=debug`.
    pub log_level: String,
    /// `LOG_FORMAT` (text): `text` for people, `json` for collectors.
    pub log_format: LogFormat,
    /// `APP_ENV` or `NODE_ENV` is `development`: error bodies carry details.
    pub development: bool,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the collector that spans are sent to (OTLP over HTTP), `http://host:4318`. Unset: none are made.
    pub otlp_endpoint: Option<String>,
    /// `RAW_EVENT_RETENTION_DAYS` (14): how long webhooks are kept as received.
    pub raw_retention_days: i32,
    /// `DONE_JOB_RETENTION_DAYS` (7): how long finished jobs are kept.
    pub done_retention_days: i32,
    /// `HUMAN_OVERRIDE_TTL` (86400 seconds): how long a person's message keeps the agent silent, unless the tenant says otherwise.
    pub human_override_ttl: Duration,
    /// `WORKER_NAME` (the host's name): what a worker is called where operators see it, and drain it.
    pub worker_name: Option<String>,
    /// `WORKER_HEARTBEAT_MS` (2000): how often a worker says that it lives.
    pub worker_heartbeat: Duration,
    /// `WORKER_DEAD_AFTER_MS` (10000): how long a silent worker keeps its jobs. At least twice the heartbeat.
    pub worker_dead_after: Duration,
    /// `INBOX_MAX_EVENTS` (20000): how many webhooks may wait for their commit; more are answered 503.
    pub inbox_max_events: usize,
    /// `INBOX_MAX_BYTES` (268435456): how many bytes of them; more are answered 503.
    pub inbox_max_bytes: usize,
    /// What the API needs, and workers of it where others reach us (`PUBLIC_URL`) and the services' secret: see [`HttpConfig`].
    pub http: HttpConfig,
    /// `SWITCHBOARD_ENCRYPTION_KEY`: seals the secrets that tenants entrust to us. Any long random text. Unset: none can be kept.
    pub encryption_key: Option<Secret>,
    /// `SWITCHBOARD_OLD_ENCRYPTION_KEYS`: comma separated; still open what they sealed, until `switchboard rotate-keys` has run.
    pub old_encryption_keys: Vec<Secret>,
    /// `SWITCHBOARD_BENCH_JOBS` (false): also run the job kinds that benchmarks enqueue.
    pub bench_jobs: bool,
}

/// How jobs reach the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchMode {
    /// Through Redis: any number of worker processes.
    Redis,
    /// Inside the one worker process, without Redis.
    Local,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// A setting that cannot be used: names the variable, what is wrong and what to do. Shows no value, as it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}: {advice}")]
pub struct ConfigError {
    pub variable: &'static str,
    pub problem: &'static str,
    pub advice: &'static str,
}

impl Config {
    /// Reads the environment.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn load() -> Result<Self, ConfigError> {
        Self::from_lookup(|variable| std::env::var(variable).ok())
    }

    /// Reads the settings from `lookup`, which gives the value of a variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let source = Source { lookup };
        let config = Self {
            host: source.parsed("HOST", "give an IP address, for example 127.0.0.1")?.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            port: source.port("PORT")?.unwrap_or(3000),
            metrics_port: source.port("METRICS_PORT")?,
            database_url: source.database_url()?,
            database_connections: source.number("DATABASE_CONNECTIONS", 1..=10_000)?.unwrap_or(10),
            redis_url: source.redis_url()?,
            dispatch: source.choice("DISPATCH", "use redis or local", &[("redis", DispatchMode::Redis), ("local", DispatchMode::Local)])?,
            meta_app_secret: source.text("META_APP_SECRET").map(Secret::new),
            meta_verify_tokens: ["META_VERIFY_TOKEN", "FACEBOOK_VERIFY_TOKEN"]
                .iter()
                .filter_map(|v| source.text(v))
                .map(Secret::new)
                .collect(),
            meta_graph_url: source
                .url("META_GRAPH_URL", &["http://", "https://"], "give the address of Meta's API, https://graph.facebook.com")?
                .map_or_else(|| "https://graph.facebook.com".to_owned(), |url| url.trim_end_matches('/').to_owned()),
            telegram_api_url: source
                .url("TELEGRAM_API_URL", &["http://", "https://"], "give the address of Telegram's Bot API, https://api.telegram.org")?
                .map_or_else(|| "https://api.telegram.org".to_owned(), |url| url.trim_end_matches('/').to_owned()),
            media_store: source
                .text("MEDIA_STORE")
                .unwrap_or_else(|| format!("{}/media", source.text("SWITCHBOARD_HOME").unwrap_or_else(|| ".switchboard".to_owned()))),
            media_max_bytes: source.number("MEDIA_MAX_BYTES", 1..=1 << 40)?.unwrap_or(100 << 20),
            agents: AgentsConfig::read(&source)?,
            allow_hosts: source.list("SWITCHBOARD_ALLOW_HOSTS"),
            log_level: source.text("LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
            log_format: source.choice("LOG_FORMAT", "use text or json", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            development: ["APP_ENV", "NODE_ENV"]
                .iter()
                .any(|v| source.text(v).is_some_and(|value| value.eq_ignore_ascii_case("development"))),
            otlp_endpoint: source.otlp_endpoint()?,
            raw_retention_days: source.number("RAW_EVENT_RETENTION_DAYS", 1..=36_500)?.unwrap_or(14),
            done_retention_days: source.number("DONE_JOB_RETENTION_DAYS", 1..=36_500)?.unwrap_or(7),
            human_override_ttl: Duration::from_secs(source.number("HUMAN_OVERRIDE_TTL", 1..=31_536_000)?.unwrap_or(86_400)),
            // The process id follows after a colon.
            worker_name: source.text("WORKER_NAME").map(|name| name.replace(':', "-")),
            worker_heartbeat: Duration::from_millis(source.number("WORKER_HEARTBEAT_MS", 50..=600_000)?.unwrap_or(2_000)),
            worker_dead_after: Duration::from_millis(source.number("WORKER_DEAD_AFTER_MS", 100..=3_600_000)?.unwrap_or(10_000)),
            inbox_max_events: source.number("INBOX_MAX_EVENTS", 1..=10_000_000)?.unwrap_or(20_000),
            // One body of the largest size that is taken (3 MiB) must fit.
            inbox_max_bytes: source.number("INBOX_MAX_BYTES", 3 << 20..=1 << 40)?.unwrap_or(256 << 20),
            http: HttpConfig::read(&source)?,
            encryption_key: source.text("SWITCHBOARD_ENCRYPTION_KEY").map(Secret::new),
            old_encryption_keys: source.list("SWITCHBOARD_OLD_ENCRYPTION_KEYS").into_iter().map(Secret::new).collect(),
            bench_jobs: source.flag("SWITCHBOARD_BENCH_JOBS")?,
        };
        if config.worker_dead_after < config.worker_heartbeat * 2 {
            return Err(ConfigError {
                variable: "WORKER_DEAD_AFTER_MS",
                problem: "is less than two heartbeats",
                advice: "one late heartbeat would cost a live worker its jobs; raise it, or lower WORKER_HEARTBEAT_MS",
            });
        }
        Ok(config)
    }
}

/// Reads single variables.
struct Source<F> {
    lookup: F,
}

impl<F: Fn(&str) -> Option<String>> Source<F> {
    fn text(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn parsed<T: FromStr>(&self, variable: &'static str, advice: &'static str) -> Result<Option<T>, ConfigError> {
        let parse = |value: String| value.parse().map_err(|_| ConfigError { variable, problem: "cannot be read", advice });
        self.text(variable).map(parse).transpose()
    }

    fn number<T: FromStr + PartialOrd>(
        &self,
        variable: &'static str,
        allowed: std::ops::RangeInclusive<T>,
    ) -> Result<Option<T>, ConfigError> {
        let number = self.parsed(variable, "give a whole number")?;
        match number {
            Some(number) if !allowed.contains(&number) => {
                Err(ConfigError { variable, problem: "is out of range", advice: "see the limits in shared/platform/src/config.rs" })
            }
            other => Ok(other),
        }
    }

    /// Comma separated.
    fn list(&self, variable: &str) -> Vec<String> {
        let text = self.text(variable).unwrap_or_default();
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    }

    /// `15m`, `30d`, `12h`, `90s`, or seconds.
    fn duration(&self, variable: &'static str) -> Result<Option<Duration>, ConfigError> {
        let advice = "give a number of seconds, or one with s, m, h or d behind it: 15m, 30d";
        let Some(text) = self.text(variable) else { return Ok(None) };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text.get(digits.len()..) {
            Some("" | "s") => Some(1),
            Some("m") => Some(60),
            Some("h") => Some(3_600),
            Some("d") => Some(86_400),
            _ => None,
        };
        let seconds = unit.and_then(|unit| digits.parse::<u32>().ok()?.checked_mul(unit)).filter(|seconds| *seconds > 0);
        seconds.map(|seconds| Some(Duration::from_secs(seconds.into()))).ok_or(ConfigError {
            variable,
            problem: "is not a duration",
            advice,
        })
    }

    fn port(&self, variable: &'static str) -> Result<Option<u16>, ConfigError> {
        self.parsed(variable, "give a port, 0 to 65535")
    }

    fn flag(&self, variable: &'static str) -> Result<bool, ConfigError> {
        self.choice(variable, "use true or false", &[("false", false), ("true", true), ("0", false), ("1", true)])
    }

    /// One of `choices`, in any case; the first is the default.
    fn choice<T: Copy>(&self, variable: &'static str, advice: &'static str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let wanted = self.text(variable);
        let found = match &wanted {
            Some(wanted) => choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)),
            None => choices.first(),
        };
        found.map(|(_, choice)| *choice).ok_or(ConfigError { variable, problem: "is not one of its choices", advice })
    }

    fn url(&self, variable: &'static str, schemes: &[&str], advice: &'static str) -> Result<Option<String>, ConfigError> {
        match self.text(variable) {
            Some(url) if !schemes.iter().any(|scheme| url.starts_with(scheme)) => {
                Err(ConfigError { variable, problem: "is not such a URL", advice })
            }
            other => Ok(other),
        }
    }

    fn database_url(&self) -> Result<SecretUrl, ConfigError> {
        let variable = "DATABASE_URL";
        let advice = "give the address of Postgres, postgres://user:password@host:5432/name, or let ops/up start one";
        let url = self.url(variable, &["postgres://", "postgresql://"], advice)?;
        url.map(SecretUrl::new).ok_or(ConfigError { variable, problem: "is not set", advice })
    }

    fn redis_url(&self) -> Result<Option<SecretUrl>, ConfigError> {
        let schemes = ["redis://", "rediss://", "redis+unix://", "unix://"];
        if let Some(url) = self.url("REDIS_URL", &schemes, "give redis://:password@host:6379, or REDIS_HOST and REDIS_PORT instead")? {
            return Ok(Some(SecretUrl::new(url)));
        }
        let (host, port) = (self.text("REDIS_HOST"), self.port("REDIS_PORT")?);
        if host.is_none() && port.is_none() {
            return Ok(None);
        }
        let (host, port) = (host.unwrap_or_else(|| "localhost".to_owned()), port.unwrap_or(6379));
        // An IPv6 address needs its brackets in a URL.
        let url = if host.contains(':') && !host.starts_with('[') {
            format!("redis://[{host}]:{port}")
        } else {
            format!("redis://{host}:{port}")
        };
        Ok(Some(SecretUrl::new(url)))
    }

    fn otlp_endpoint(&self) -> Result<Option<String>, ConfigError> {
        let url = self.url("OTEL_EXPORTER_OTLP_ENDPOINT", &["http://", "https://"], "give the collector's address, http://host:4318")?;
        Ok(url.map(|url| url.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests;
