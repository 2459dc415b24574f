//! The way up, step by step, to the line that says `ready`.

use super::{
    demo,
    home::Home,
    leftovers, ports, process,
    procfile::Entry,
    report::{self, Report},
    secrets,
    services::{self, HOPELESS, Services},
    stack::Stack,
};
use crate::{
    console::Console,
    error::{CliError, Doing},
    seed,
    settings::Settings,
};
use process::{Output, Spec, Supervised};
use rustix::process::Signal;
use std::time::Duration;
use store::PgPool;
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_mins(1);

/// Returns when all is up and the demo message has come out.
pub(super) async fn start(
    settings: &Settings,
    home: &Home,
    entries: &[Entry],
    stack: &mut Stack,
    console: &Console,
) -> Result<Report, CliError> {
    let mut state = home.load_state()?;
    leftovers::stop(home, &state, console).await;
    let port = choose_port(settings, console)?;
    let services = services::start(settings, home, &mut state, stack, console).await?;
    let pool = store::connect(&services.database_url, store::Role::Operator, "switchboard", 2)?;
    store::migrate(&store::connect(&services.database_url, store::Role::Owner, "switchboard", 1)?).await?;
    console.step("migrate", "the schema is up to date");
    let channel = seed::demo_channel(&pool, settings).await?;
    let url = format!("http://127.0.0.1:{port}");
    let simulated = simulated(settings)?;
    let env = environment(settings, home, &services, port, simulated)?;
    let password = env.iter().find(|(name, _)| name == "DEMO_PASSWORD").map_or("", |(_, value)| value.as_str());
    // With the key that was just made: the demo number's token is sealed with it.
    let made = settings.knowing(env.iter().cloned());
    let filled = seed::fill(&pool, &made, &channel, password).await?;
    let story = if filled { "filled with people, chats and tickets" } else { "there already" };
    console
        .step("seed", &format!("tenant {} ({}), WhatsApp number {}: {story}", channel.store_name, channel.tenant_id, channel.external_id));
    let since = store::operator_status::now(&pool).await?;
    if let Some(port) = simulated {
        console.step(
            "providers",
            &format!(
                "Meta and Telegram are played by http://127.0.0.1:{port}: set META_GRAPH_URL and TELEGRAM_API_URL to reach the real ones; POST /write there has a customer write"
            ),
        );
    }
    stack.processes = entries.iter().enumerate().map(|(number, entry)| stack.start(spec(settings, entry, number, &env))).collect();
    if let Some(port) = simulated {
        stack.processes.push(stack.start(simulator(settings, port, stack.processes.len(), &env)?));
    }
    let http = client()?;
    wait_for_api(&http, &url, stack).await?;
    console.step(name_of(api(stack)), &format!("up at {url}"));
    wait_for_worker(&pool, since, stack).await?;
    console.step(name_of(worker(stack)), "up, with a heartbeat");

    let secret = env.iter().find(|(name, _)| name == "META_APP_SECRET").map_or("", |(_, value)| value.as_str());
    let target = demo::Target { url: &url, app_secret: secret, tenant: channel.tenant_id, phone_number_id: &channel.external_id };
    let now = store::operator_status::now(&pool).await?;
    let message = demo::run(&http, &pool, &target, now, (api(stack), worker(stack))).await?;
    report::message(console, &channel, &message);
    Ok(Report {
        metrics: settings.given("METRICS_PORT").map_or_else(|| format!("{url}/metrics"), |port| format!("http://127.0.0.1:{port}/metrics")),
        url,
        env_file: home.env_file(),
        logs: home.path().join("logs"),
        channel,
        postgres: services::without_password(&services.database_url),
        redis: services::without_password(&services.redis_url),
    })
}

/// The port of simulated providers, unless the environment has anything of real ones.
fn simulated(settings: &Settings) -> Result<Option<u16>, CliError> {
    let real = ["META_GRAPH_URL", "TELEGRAM_API_URL", "META_ACCESS_TOKEN", "SWITCHBOARD_ALLOW_HOSTS"];
    if real.iter().any(|name| settings.given(name).is_some()) { Ok(None) } else { ports::from(7_700).map(Some) }
}

fn simulator(settings: &Settings, port: u16, number: usize, env: &[(String, String)]) -> Result<Spec, CliError> {
    let program = std::env::current_exe().doing(|| "finding this program".to_owned())?;
    let args = vec!["simulate".to_owned(), "--port".to_owned(), port.to_string()];
    Ok(spec(settings, &Entry { name: "provider".to_owned(), program, args }, number, env))
}

/// `PORT` if it is set (and not 0), else 3000 or the next free one.
fn choose_port(settings: &Settings, console: &Console) -> Result<u16, CliError> {
    if let Some(given) = settings.given("PORT").filter(|port| *port != "0") {
        let port = given
            .parse()
            .map_err(|_| CliError::Usage(format!("PORT={given} is not a port: set it to a number up to 65535, or unset it")))?;
        return if ports::is_free(port) { Ok(port) } else { Err(CliError::PortTaken { port }) };
    }
    let port = ports::from(3000)?;
    if port != 3000 {
        console.step("api", &format!("port 3000 is taken, so it will be {port} (set PORT to choose)"));
    }
    Ok(port)
}

/// What the processes are told beyond our own environment; also the file to source.
fn environment(
    settings: &Settings,
    home: &Home,
    services: &Services,
    port: u16,
    simulated: Option<u16>,
) -> Result<Vec<(String, String)>, CliError> {
    let mut env = vec![
        ("PORT".to_owned(), port.to_string()),
        ("DATABASE_URL".to_owned(), services.database_url.clone()),
        ("REDIS_URL".to_owned(), services.redis_url.clone()),
    ];
    env.extend(secrets::all(settings)?);
    home.save_env(&env)?;
    // Not in the file: whoever has sourced it and starts again would take them for settings of real providers.
    if let Some(port) = simulated {
        let url = format!("http://127.0.0.1:{port}");
        env.extend([("META_GRAPH_URL", url.clone()), ("TELEGRAM_API_URL", url)].map(|(name, value)| (name.to_owned(), value)));
        // It serves files too, and takes any token.
        env.push(("SWITCHBOARD_ALLOW_HOSTS".to_owned(), format!("127.0.0.1:{port}")));
        env.push(("META_ACCESS_TOKEN".to_owned(), "simulated".to_owned()));
    }
    env.push(("SWITCHBOARD_HOME".to_owned(), home.path().display().to_string()));
    Ok(env)
}

fn spec(settings: &Settings, entry: &Entry, number: usize, env: &[(String, String)]) -> Spec {
    let mut env = env.to_vec();
    // One METRICS_PORT cannot serve two processes: the first of the Procfile has it, the others those behind it.
    if let Some(first) = settings.given("METRICS_PORT").and_then(|port| port.parse::<u16>().ok()) {
        let own = first.saturating_add(u16::try_from(number).unwrap_or(0));
        env.push(("METRICS_PORT".to_owned(), own.to_string()));
    }
    let program = entry.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Spec {
        name: entry.name.clone(),
        program: entry.program.clone(),
        args: entry.args.clone(),
        env: Some(env),
        dir: settings.root.clone(),
        account: None,
        stop: (Signal::TERM, Signal::KILL),
        output: Output::Console(number),
        marks: vec![program],
    }
}

fn client() -> Result<reqwest::Client, CliError> {
    let built = platform::http::builder().timeout(Duration::from_secs(5)).no_proxy().build();
    built.map_err(std::io::Error::other).doing(|| "making an HTTP client".to_owned())
}

/// The process whose program is the API.
fn api(stack: &Stack) -> Option<&Supervised> {
    running(stack, "switchboard-api")
}

fn worker(stack: &Stack) -> Option<&Supervised> {
    running(stack, "switchboard-worker")
}

fn running<'a>(stack: &'a Stack, program: &str) -> Option<&'a Supervised> {
    stack.processes.iter().find(|process| process.spec.program.ends_with(program))
}

fn name_of(process: Option<&Supervised>) -> &str {
    process.map_or("", |process| process.spec.name.as_str())
}

async fn wait_for_api(http: &reqwest::Client, url: &str, stack: &Stack) -> Result<(), CliError> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let why = match http.get(format!("{url}/health")).send().await {
            Ok(answer) if answer.status() == reqwest::StatusCode::OK => return Ok(()),
            Ok(answer) => format!("GET /health answers {}", answer.status()),
            Err(_) => "GET /health is not answered".to_owned(),
        };
        pause(stack, api(stack), deadline, &why).await?;
    }
}

async fn wait_for_worker(pool: &PgPool, since: chrono::DateTime<chrono::Utc>, stack: &Stack) -> Result<(), CliError> {
    let deadline = Instant::now() + LIMIT;
    while !store::operator_status::worker_since(pool, since).await? {
        pause(stack, worker(stack), deadline, "it has no heartbeat in job_workers").await?;
    }
    Ok(())
}

/// Waits a moment, unless there is nothing to wait for.
async fn pause(stack: &Stack, waited_for: Option<&Supervised>, deadline: Instant, why: &str) -> Result<(), CliError> {
    for process in &stack.processes {
        not_hopeless(process)?;
    }
    match waited_for {
        None => Err(CliError::Usage("the Procfile must start switchboard-api and switchboard-worker".to_owned())),
        Some(process) if Instant::now() > deadline => Err(does_not_start(process, format!("{why} after {} s", LIMIT.as_secs()))),
        Some(_) => {
            sleep(Duration::from_millis(50)).await;
            Ok(())
        }
    }
}

/// Fails if the child keeps dying.
pub(super) fn not_hopeless(child: &Supervised) -> Result<(), CliError> {
    let (deaths, how) = child.watch.deaths();
    if deaths < HOPELESS { Ok(()) } else { Err(does_not_start(child, format!("it died {deaths} times, at last with {how}"))) }
}

pub(super) fn does_not_start(child: &Supervised, why: String) -> CliError {
    CliError::DoesNotStart { name: child.spec.name.clone(), why, tail: child.tail(), log: child.log() }
}
