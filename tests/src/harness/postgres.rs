//! A Postgres of the test's own, to be stopped, killed and started again.

use super::free_port;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub(crate) struct PrivatePostgres {
    pub(crate) url: String,
    directory: PathBuf,
    port: u16,
}

impl PrivatePostgres {
    /// Makes a cluster (fsync on) and starts it. As root it runs as user `postgres`, since Postgres refuses root.
    pub(crate) fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("switchboard-test-pg-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&directory).unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&directory));
        }
        let port = free_port();
        let server = Self { url: format!("postgres://switchboard@127.0.0.1:{port}/postgres"), directory, port };
        let data = server.data();
        run(server
            .program("initdb")
            .args(["--auth=trust", "--username=switchboard", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(data));
        server.restart();
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn restart(&self) {
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=100", self.port);
        let log = self.directory.join("log");
        run(self.program("pg_ctl").args(["start", "-w", "-o", &options, "-l"]).arg(log).arg("-D").arg(self.data()));
    }

    /// `fast` or `immediate` (as if it had crashed).
    pub(crate) fn stop(&self, mode: &str) {
        run(self.program("pg_ctl").args(["stop", "-w", "-m", mode, "-D"]).arg(self.data()));
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn program(&self, name: &str) -> Command {
        #[expect(clippy::disallowed_methods, reason = "where ops/test found Postgres")]
        let folder = std::env::var("SWITCHBOARD_POSTGRES_BIN").expect("SWITCHBOARD_POSTGRES_BIN is set: run the tests with ops/test");
        let path = Path::new(&folder).join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(&self.directory);
        command
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        // It may be stopped already.
        self.program("pg_ctl")
            .args(["stop", "-w", "-m", "immediate", "-D"])
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

fn run(command: &mut Command) {
    // To a file and not a pipe: the server inherits what pg_ctl has and would hold a pipe open.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "failed: {command:?}");
}
