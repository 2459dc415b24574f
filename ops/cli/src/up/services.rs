//! Postgres and Redis: ours, or those that the environment names.

use super::{
    home::{Home, State},
    postgres,
    process::Supervised,
    redis,
    stack::Stack,
};
use crate::{console::Console, error::CliError, settings::Settings};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_mins(1);
/// A service that somebody else runs is up already, or it is not.
const LIMIT_GIVEN: Duration = Duration::from_secs(10);
/// A child that died this often before it was ready will not come up.
pub(super) const HOPELESS: u32 = 3;

/// Where the services are.
#[derive(Clone, Debug)]
pub(super) struct Services {
    pub(super) database_url: String,
    pub(super) redis_url: String,
}

pub(super) async fn start(
    settings: &Settings,
    home: &Home,
    state: &mut State,
    stack: &mut Stack,
    console: &Console,
) -> Result<Services, CliError> {
    // A shell that sourced our env file names our own instances: those are still ours to start.
    let own_database = state.postgres.as_ref().map(postgres::url);
    let given_database = settings.given("DATABASE_URL").filter(|url| own_database.as_deref() != Some(*url)).map(str::to_owned);
    let own_redis = state.redis.as_ref().map(redis::url);
    let given_redis = given_redis(settings).filter(|url| own_redis.as_ref() != Some(url));

    if given_database.is_none() {
        let spec = postgres::prepare(settings, home, state, console).await?;
        stack.postgres = Some(stack.start(spec));
    }
    if given_redis.is_none() {
        let spec = redis::prepare(settings, home, state)?;
        stack.redis = Some(stack.start(spec));
    }
    let database_url = given_database.or_else(|| state.postgres.as_ref().map(postgres::url)).ok_or(CliError::NoDatabase)?;
    let redis_url = given_redis.or_else(|| state.redis.as_ref().map(redis::url)).unwrap_or_default();

    let pool = store::connect(&database_url, store::Role::Owner, "switchboard", 1)?;
    let ask = async || store::operator_status::now(&pool).await.map(drop).map_err(|error| error.to_string());
    ready("Postgres", stack.postgres.as_ref(), "check DATABASE_URL, or unset it to have a private Postgres started", ask).await?;
    console.step("postgres", &format!("up at {}{}", without_password(&database_url), whose(stack.postgres.is_some())));
    ready("Redis", stack.redis.as_ref(), "check REDIS_URL, or unset it to have a private Redis started", async || {
        redis::ping(&redis_url).await
    })
    .await?;
    console.step("redis", &format!("up at {}{}", without_password(&redis_url), whose(stack.redis.is_some())));
    Ok(Services { database_url, redis_url })
}

fn given_redis(settings: &Settings) -> Option<String> {
    let by_host = || settings.given("REDIS_HOST").map(|host| format!("redis://{host}:{}", settings.given("REDIS_PORT").unwrap_or("6379")));
    settings.given("REDIS_URL").map(str::to_owned).or_else(by_host)
}

/// Asks until there is an answer. A child of ours that keeps dying is not waited for.
async fn ready<F, Fut>(name: &'static str, child: Option<&Supervised>, next: &str, ask: F) -> Result<(), CliError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let deadline = Instant::now() + if child.is_some() { LIMIT } else { LIMIT_GIVEN };
    loop {
        let Err(why) = ask().await else { return Ok(()) };
        if let Some(child) = child {
            super::start::not_hopeless(child)?;
            if Instant::now() > deadline {
                return Err(super::start::does_not_start(child, format!("no answer within {} s: {why}", LIMIT.as_secs())));
            }
        } else if Instant::now() > deadline {
            return Err(CliError::Unreachable { name, why, next: next.to_owned() });
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn whose(ours: bool) -> &'static str {
    if ours { "" } else { " (given, not started here)" }
}

/// `postgres://user:secret@host/db` without the secret.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(not a URL)".to_owned();
    };
    match rest.rsplit_once('@') {
        Some((user, place)) => format!("{scheme}://{}@{place}", user.split(':').next().unwrap_or_default()),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(without_password("postgres://u:p@ss@h:1/d"), "postgres://u@h:1/d");
        assert_eq!(without_password("redis://:secret@h:1"), "redis://@h:1");
        assert_eq!(without_password("redis://127.0.0.1:6379"), "redis://127.0.0.1:6379");
    }
}
