//! A Redis of the test's own, to be emptied, paused, stopped and started again.

use super::{free_port, until};
use std::process::{Child, Command, Stdio};

pub(crate) struct RedisServer {
    pub(crate) url: String,
    port: u16,
    child: Option<Child>,
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        let port = free_port();
        let mut server = Self { url: format!("redis://127.0.0.1:{port}/"), port, child: None };
        server.restart().await;
        server
    }

    /// Starts it (again), empty.
    pub(crate) async fn restart(&mut self) {
        self.stop();
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed: run the tests with ops/test");
        self.child = Some(child);
        until("Redis answers", async || self.command::<String>(&["PING"]).await.is_some()).await;
    }

    /// Kills it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Runs a command; `None` if Redis does not answer.
    pub(crate) async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        command.query_async(&mut connection).await.ok()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}
