//! The product's binaries as processes, which end with the test.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// A process of ours. Its log is shown when the test fails.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(binary: &str, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let log = std::env::temp_dir().join(format!("switchboard-test-{binary}-{}.log", uuid::Uuid::now_v7().simple()));
        let file = File::create(&log).unwrap();
        let path = binaries().join(binary);
        let mut command = Command::new(&path);
        // Nothing of the surroundings' own settings.
        for name in ["DATABASE_URL", "REDIS_URL", "PORT", "METRICS_PORT", "DISPATCH", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
            command.env_remove(name);
        }
        let child = command
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}; run the tests with ops/test", path.display()));
        Self { child, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().unwrap();
        assert!(done.success(), "kill -{name} {}", self.id());
    }

    /// SIGTERM; returns the exit status and how long it took.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        self.signal("TERM");
        (self.child.wait().unwrap(), started.elapsed())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- {} (last lines) ---", self.log.display());
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
        std::fs::remove_file(&self.log).ok();
    }
}

/// `target/release`, where the test binary's own folder `deps` lies.
fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).map(Path::to_path_buf).unwrap()
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
