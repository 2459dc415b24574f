//! CPU time and memory of process trees, from /proc.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;

use crate::numbers::{float, rounded};

/// Resident memory of a tree, in megabytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub rss_mb: f64,
    /// Shared pages counted in part; `None` when /proc does not let us see it (another user's process).
    pub pss_mb: Option<f64>,
}

/// Processes to account for, each with everything below it that is not accounted for by another name.
#[derive(Clone, Debug, Default)]
pub struct Watched(Vec<(&'static str, u32)>);

/// Seconds of user and system time of each: the living ones' own, and what they have reaped of finished children.
pub type CpuSecs = Vec<(&'static str, f64)>;

impl Watched {
    pub fn new(roots: impl IntoIterator<Item = (&'static str, u32)>) -> Self {
        Self(roots.into_iter().collect())
    }

    pub fn cpu(&self) -> Result<CpuSecs> {
        let children = self.children()?;
        self.0.iter().map(|(name, root)| Ok((*name, cpu(*root, &children).with_context(|| format!("{name} is gone"))?))).collect()
    }

    /// Walks every page table, which takes CPU itself: not between two readings of `cpu`.
    pub fn memory(&self) -> Result<Value> {
        let children = self.children()?;
        let of = |root: u32| {
            let memory = memory(root, &children, true);
            json!({ "rss": rounded(memory.rss_mb, 1), "pss": memory.pss_mb.map(|pss| rounded(pss, 1)) })
        };
        Ok(self.0.iter().map(|(name, root)| ((*name).to_owned(), of(*root))).collect::<serde_json::Map<_, _>>().into())
    }

    /// Api and worker are children of the generator, and must not count twice.
    fn children(&self) -> Result<HashMap<u32, Vec<u32>>> {
        let mut children = children()?;
        for below in children.values_mut() {
            below.retain(|pid| self.0.iter().all(|(_, root)| root != pid));
        }
        Ok(children)
    }
}

/// CPU seconds between two readings per 1,000 webhooks; the total is without the generator.
pub fn per_thousand(before: &CpuSecs, after: &CpuSecs, webhooks: usize) -> Value {
    let scale = 1_000.0 / crate::numbers::float_of(webhooks.max(1));
    let mut total = 0.0;
    let mut used = serde_json::Map::new();
    for ((name, earlier), (_, later)) in before.iter().zip(after) {
        let own = (later - earlier) * scale;
        if *name != "generator" {
            total += own;
        }
        used.insert((*name).to_owned(), json!(rounded(own, 4)));
    }
    used.insert("total".to_owned(), json!(rounded(total, 4)));
    used.into()
}

/// CPU seconds of one tree.
pub fn cpu_of(pid: u32) -> Result<f64> {
    cpu(pid, &children()?).with_context(|| format!("process {pid} is gone"))
}

/// Resident megabytes of one tree.
pub fn rss_of(pid: u32) -> Result<f64> {
    Ok(memory(pid, &children()?, false).rss_mb)
}

/// The parent of a process on this machine, if it runs `command`.
pub fn parent_running(pid: u32, command: &str) -> Option<u32> {
    let parent = Stat::of(pid)?.parent;
    let name = fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
    name.trim().starts_with(command).then_some(parent)
}

fn children() -> Result<HashMap<u32, Vec<u32>>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(stat) = Stat::of(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    Ok(children)
}

/// The root and everything below it.
fn tree(root: u32, children: &HashMap<u32, Vec<u32>>) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        found.extend(children.get(pid).into_iter().flatten());
        at += 1;
    }
    found
}

fn cpu(root: u32, children: &HashMap<u32, Vec<u32>>) -> Option<f64> {
    Stat::of(root)?;
    // A process that ended meanwhile is in its parent's reaped time.
    Some(tree(root, children).into_iter().filter_map(Stat::of).map(|stat| stat.cpu_secs).sum())
}

fn memory(root: u32, children: &HashMap<u32, Vec<u32>>, with_pss: bool) -> Memory {
    let mut sum = Memory { rss_mb: 0.0, pss_mb: with_pss.then_some(0.0) };
    for pid in tree(root, children) {
        // A process that has ended and is not reaped yet has no memory.
        if let Some(rss) = memory_line(pid, "status", "VmRSS:") {
            sum.rss_mb += rss;
            sum.pss_mb = sum.pss_mb.and_then(|before| Some(before + memory_line(pid, "smaps_rollup", "Pss:")?));
        }
    }
    sum
}

struct Stat {
    parent: u32,
    cpu_secs: f64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// proc(5): after the command in brackets come state, ppid, ...; utime, stime, cutime, cstime are fields 14 to 17.
    fn parse(line: &str) -> Option<Self> {
        let (_, fields) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let ticks: u64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Self { parent: fields.get(1)?.parse().ok()?, cpu_secs: float(ticks) / float(rustix::param::clock_ticks_per_second()) })
    }
}

/// A line of kilobytes in one of a process's /proc files, in megabytes.
fn memory_line(pid: u32, file: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(float(kilobytes) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_the_command_even_if_that_has_brackets() {
        let line = "42 (a) b) S 7 42 42 0 -1 4194304 10 20 0 0 100 50 25 25 20 0 1 0 999 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.parent, 7);
        assert!((stat.cpu_secs * float(rustix::param::clock_ticks_per_second()) - 200.0).abs() < 1e-6);
    }

    #[test]
    fn this_process_uses_memory() {
        let own = std::process::id();
        assert!(rss_of(own).unwrap() > 1.0 && cpu_of(own).unwrap() >= 0.0);
        assert!(memory_line(own, "smaps_rollup", "Pss:").unwrap() > 0.5);
    }
}
