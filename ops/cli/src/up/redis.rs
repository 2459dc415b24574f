//! A private Redis: found, and described as a child process.

use super::{
    home::{Home, RedisState, State},
    ports,
    process::{Output, Spec},
};
use crate::{
    error::{CliError, Doing},
    settings::Settings,
};
use ::redis::{AsyncConnectionConfig, Client};
use rustix::process::Signal;
use std::{path::PathBuf, time::Duration};

pub(super) fn url(state: &RedisState) -> String {
    format!("redis://127.0.0.1:{}", state.port)
}

pub(super) fn prepare(settings: &Settings, home: &Home, state: &mut State) -> Result<Spec, CliError> {
    let program = find(settings)?;
    let port = ports::private(state.redis.as_ref().map(|redis| redis.port), home.path(), "redis")?;
    state.redis = Some(RedisState { port });
    home.save_state(state)?;
    let dir = home.path().join("redis");
    std::fs::create_dir_all(&dir).doing(|| format!("making {}", dir.display()))?;
    let args = [
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--save",
        "",
        "--daemonize",
        "no",
    ];
    Ok(Spec {
        name: "redis".to_owned(),
        program,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: None,
        dir,
        account: None,
        stop: (Signal::TERM, Signal::KILL),
        output: Output::File(home.log("redis")),
        // It replaces its command line by `redis-server 127.0.0.1:PORT`.
        marks: vec![format!("127.0.0.1:{port}")],
    })
}

fn find(settings: &Settings) -> Result<PathBuf, CliError> {
    let path = settings.given("PATH").unwrap_or_default();
    let dirs = path.split(':').chain(["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"]).map(PathBuf::from);
    dirs.flat_map(|dir| [dir.join("redis-server"), dir.join("valkey-server")])
        .find(|program| program.is_file())
        .ok_or_else(|| CliError::Missing { name: "redis-server".to_owned(), next: "run ops/up, which installs it, or set REDIS_URL" })
}

/// Asks for an answer to PING.
pub(super) async fn ping(url: &str) -> Result<(), String> {
    let client = Client::open(url).map_err(|error| error.to_string())?;
    let limit = Some(Duration::from_secs(2));
    let config = AsyncConnectionConfig::new().set_connection_timeout(limit).set_response_timeout(limit);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| error.to_string())?;
    ::redis::cmd("PING").query_async::<String>(&mut connection).await.map(drop).map_err(|error| error.to_string())
}
