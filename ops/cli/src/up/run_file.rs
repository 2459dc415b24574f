//! `run.json`: which processes this run has started, so that the next one can stop them if this one is killed.

use super::home::write_private;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A process, told apart from later ones with the same number by when it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunningProcess {
    pub(super) pid: u32,
    /// In the system's own words; only compared.
    pub(super) started: String,
    /// Words of its command line: the program's name, and for Postgres and Redis what names our instance.
    pub(super) marks: Vec<String>,
}

impl RunningProcess {
    /// `None`: there is no such process (any more).
    pub(super) fn observe(pid: u32, marks: Vec<String>) -> Option<Self> {
        Some(Self { pid, started: started(pid)?, marks })
    }

    /// True if it is still that process.
    pub(super) fn is_alive(&self) -> bool {
        started(self.pid).is_some_and(|now| now == self.started)
            && command_line(self.pid).is_some_and(|line| self.marks.iter().all(|mark| line.contains(mark.as_str())))
    }
}

/// Keeps `run.json` true while processes come and go.
#[derive(Clone, Debug)]
pub(super) struct RunFile {
    path: PathBuf,
    processes: Arc<Mutex<BTreeMap<String, RunningProcess>>>,
}

impl RunFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, processes: Arc::default() }
    }

    /// What an earlier run left in the file. A file that cannot be read names nobody.
    pub(super) fn leftovers(path: &Path) -> BTreeMap<String, RunningProcess> {
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    pub(super) fn set(&self, name: &str, process: Option<RunningProcess>) {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        match process {
            Some(process) => drop(processes.insert(name.to_owned(), process)),
            None => drop(processes.remove(name)),
        }
        if let Ok(bytes) = serde_json::to_vec_pretty(&*processes)
            && let Err(error) = write_private(&self.path, &bytes)
        {
            crate::console::note(&format!("warning: {error}"));
        }
    }
}

#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces. Behind it: field 3 is the state, field 22 the start in ticks since boot.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, ticks) = (fields.first()?, fields.get(19)?);
    (*state != "Z").then(|| (*ticks).to_owned())
}

#[cfg(target_os = "linux")]
fn command_line(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

#[cfg(not(target_os = "linux"))]
fn started(pid: u32) -> Option<String> {
    ps(pid, "lstart=")
}

#[cfg(not(target_os = "linux"))]
fn command_line(pid: u32) -> Option<String> {
    ps(pid, "args=")
}

#[cfg(not(target_os = "linux"))]
fn ps(pid: u32, column: &str) -> Option<String> {
    let output = std::process::Command::new("ps").args(["-ww", "-o", column, "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::RunningProcess;

    #[test]
    fn this_process_is_alive_and_an_impostor_is_not() {
        let own = RunningProcess::observe(std::process::id(), vec![]).expect("we run");
        assert!(own.is_alive());
        assert!(!RunningProcess { started: "another time".to_owned(), ..own.clone() }.is_alive());
        assert!(!RunningProcess { marks: vec!["no such word in our command line".to_owned()], ..own }.is_alive());
    }
}
