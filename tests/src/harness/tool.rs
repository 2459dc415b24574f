//! The operator's tool, run as an operator runs it.

use super::App;
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

impl App {
    /// Runs `switchboard` as user `tester` on the test's database, with nothing of the surroundings' own settings.
    pub(crate) fn switchboard(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
        let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("switchboard");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("DATABASE_URL", &self.db.url)
            .env("SWITCHBOARD_HOME", std::env::temp_dir().join("switchboard-test-no-home"))
            .env("USER", "tester")
            .current_dir(std::env::temp_dir());
        for name in [
            "SUDO_USER",
            "META_PHONE_NUMBER_ID",
            "META_ACCESS_TOKEN",
            "DEMO_PASSWORD",
            "SWITCHBOARD_ENCRYPTION_KEY",
            "SWITCHBOARD_OLD_ENCRYPTION_KEYS",
        ] {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without reading.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        child.wait_with_output().unwrap()
    }
}
