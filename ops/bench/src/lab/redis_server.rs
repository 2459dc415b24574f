//! The caller's Redis: emptied before a run, asked about its memory.

use crate::numbers::rounded;
use anyhow::{Context, Result, bail};
use redis::aio::MultiplexedConnection;
use std::path::Path;

/// Says whose run the database belongs to.
const CLAIMED_BY: &str = "switchboard-bench";

pub struct RedisServer {
    connection: MultiplexedConnection,
}

impl RedisServer {
    pub async fn connect(url: &str) -> Result<Self> {
        let client = redis::Client::open(url).context("--redis")?;
        Ok(Self { connection: client.get_multiplexed_async_connection().await.context("connecting to Redis")? })
    }

    /// Takes the database for this run. What is left of another run would be worked on, so it has to be empty, or is
    /// emptied if that is allowed.
    pub async fn claim(&self, may_flush: bool) -> Result<()> {
        let keys: u64 = redis::cmd("DBSIZE").query_async(&mut self.connection.clone()).await?;
        match (keys, may_flush) {
            (0, _) => {}
            (_, true) => self.flush().await?,
            (_, false) => bail!("the Redis database has {keys} keys; give an empty one, or --flush-redis"),
        }
        Ok(redis::cmd("SET").arg(CLAIMED_BY).arg(std::process::id()).exec_async(&mut self.connection.clone()).await?)
    }

    /// Empties the database if this process has claimed it.
    pub async fn give_back(&self) -> Result<()> {
        let owner: Option<u32> = redis::cmd("GET").arg(CLAIMED_BY).query_async(&mut self.connection.clone()).await?;
        if owner == Some(std::process::id()) { self.flush().await } else { Ok(()) }
    }

    async fn flush(&self) -> Result<()> {
        Ok(redis::cmd("FLUSHDB").exec_async(&mut self.connection.clone()).await?)
    }

    pub async fn publish(&self, channel: &str, message: &str) -> Result<()> {
        Ok(redis::cmd("PUBLISH").arg(channel).arg(message).exec_async(&mut self.connection.clone()).await?)
    }

    /// A line of `INFO section`.
    pub async fn info(&self, section: &str, name: &str) -> Result<String> {
        let text: String = redis::cmd("INFO").arg(section).query_async(&mut self.connection.clone()).await?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("Redis tells no {name}"))?.trim().to_owned())
    }

    pub async fn used_memory_mb(&self) -> Result<f64> {
        let bytes: f64 = self.info("memory", "used_memory").await?.parse()?;
        Ok(rounded(bytes / 1_048_576.0, 2))
    }

    /// Its process, if it runs on this machine.
    pub async fn server_pid(&self) -> Result<Option<u32>> {
        let pid: u32 = self.info("server", "process_id").await?.parse()?;
        let command = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm")).unwrap_or_default();
        Ok(command.starts_with("redis").then_some(pid))
    }
}
