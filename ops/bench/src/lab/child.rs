//! A process of the product: started with its log in a file, stopped with SIGTERM.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Switchboard promises to stop within 10 s.
const STOPS_WITHIN: Duration = Duration::from_secs(15);

pub struct Child {
    name: String,
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    pub fn spawn(binary: &Path, flags: &[&str], environment: &[(&str, String)], log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("making {}", log.display()))?;
        let process = Command::new(binary)
            .args(flags)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C reaches only us, so that we stop it in our order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, process, log: log.to_owned() })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn check_alive(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            Some(status) => bail!("{} ended by itself ({status}); its log is {}", self.name, self.log.display()),
            None => Ok(()),
        }
    }

    fn stop(&mut self) -> Result<()> {
        if self.process.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).context("a process without an id")?;
        kill_process(pid, Signal::TERM)?;
        let asked = Instant::now();
        while self.process.try_wait()?.is_none() {
            if asked.elapsed() > STOPS_WITHIN {
                eprintln!("{} did not stop within {STOPS_WITHIN:?} and is killed; its log is {}", self.name, self.log.display());
                self.process.kill()?;
                self.process.wait()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("stopping {}: {error:#}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_child_has_stopped() {
        let log = std::env::temp_dir().join(format!("bench-child-{}.log", std::process::id()));
        let mut child = Child::spawn(Path::new("/bin/sleep"), &["60"], &[], &log).unwrap();
        child.check_alive().unwrap();
        let pid = child.pid();
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        std::fs::remove_file(log).unwrap();
    }
}
