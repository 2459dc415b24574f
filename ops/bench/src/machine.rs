//! What the numbers were measured on.

use crate::lab::{Database, RedisServer};
use crate::numbers::rounded;
use anyhow::Result;
use serde_json::{Value, json};
use std::fs;

pub async fn describe(database: &Database, redis: &RedisServer) -> Result<Value> {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes: f64 = field(&memory, "MemTotal").and_then(|value| value.split(' ').next()?.parse().ok()).unwrap_or(0.0);
    Ok(json!({
        "cores": std::thread::available_parallelism()?.get(),
        "cpu": field(&cpu_info, "model name"),
        "memory_gb": rounded(kilobytes / 1_048_576.0, 1),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "postgres": database.setting("server_version").await?,
        "fsync": database.setting("fsync").await?,
        "synchronous_commit": database.setting("synchronous_commit").await?,
        "shared_buffers": database.setting("shared_buffers").await?,
        "redis": redis.info("server", "redis_version").await?,
    }))
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':')).map(str::trim)
}
