//! `switchboard-worker`: runs jobs. Any number of these may run; one of them leads.

mod maintenance;
mod registry;
mod runtime;

use ai::{Model, service::AgentService};
use anyhow::Context;
use channels::sending::ProviderUrls;
use clap::Parser;
use domain::WorkerId;
use jobs::{
    Agents, Services,
    agent_tools::CallbackLinks,
    dispatch::{LocalDispatch, RedisDispatch},
    knowledge::{Embedder, Knowledge},
    live::Teller,
    queue::{self, Queue},
    send_outbound::{Lanes, Statements, Throttle},
    thinking::Prices,
    wake::Waker,
};
use maintenance::Leading;
use platform::{
    GuardedClient, MediaStore, Sealing,
    config::{Config, DispatchMode},
};
use runtime::{Runtime, backend, local};
use std::{process::ExitCode, sync::Arc, time::Duration};
use store::{Role, channel_map::ChannelMap, inbound::PeopleCache, ledger::WorkerRow};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

/// Runs Switchboard's jobs. Settings come from the environment: see the README.
#[derive(Debug, Parser)]
#[command(name = "switchboard-worker", version)]
struct Arguments {
    /// Queues to work, comma separated: webhooks, outbound, overrides, agents, documents, chores, probes. Default: all.
    #[arg(long, value_delimiter = ',')]
    queues: Vec<String>,
    /// Jobs at once, per queue. Default: each queue's own.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: Option<u16>,
}

/// Everything is over this long after the first signal.
const STOP_WITHIN: Duration = Duration::from_secs(9);
/// Running jobs get this much of it.
const FINISH_WITHIN: Duration = Duration::from_secs(7);

fn main() -> anyhow::Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some(documents::EXTRACT) {
        return Ok(ExitCode::from(documents::serve_extraction()));
    }
    work()?;
    Ok(ExitCode::SUCCESS)
}

#[tokio::main]
async fn work() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let config = Arc::new(Config::load()?);
    let telemetry = platform::telemetry::init("switchboard-worker", &config)?;
    let queues = chosen_queues(&arguments)?;
    let metrics = platform::metrics::serve(platform::metrics::install(), config.metrics_port).await.context("cannot serve metrics")?;
    let (stop, stopping) = watch::channel(false);
    let concurrency = |queue: Queue| arguments.concurrency.map_or(queue.concurrency, usize::from);

    let url = &*config.database_url;
    let slots: usize = queues.iter().map(|queue| concurrency(*queue)).sum();
    let pool = store::connect(url, Role::Worker, "switchboard-worker", config.database_connections)?;
    let services = Arc::new(Services {
        relaxed: store::connect_relaxed(url, "switchboard-worker-relaxed", config.database_connections)?,
        waker: waker(&config)?,
        channels: ChannelMap::default(),
        people: PeopleCache::default(),
        human_override_ttl: chrono::TimeDelta::from_std(config.human_override_ttl)?,
        http: platform::http::client()?,
        providers: ProviderUrls { meta_graph: config.meta_graph_url.clone(), telegram: config.telegram_api_url.clone() },
        guarded: GuardedClient::new(&config.allow_hosts)?,
        media: MediaStore::open(&config.media_store)?,
        media_max_bytes: config.media_max_bytes,
        lanes: Arc::new(Lanes::new(concurrency(queue::OUTBOUND) / 2)),
        sends: Statements::start(&pool, config.worker_dead_after),
        throttle: throttle(&config)?,
        knowledge: knowledge(&config),
        live: teller(&config)?,
        agents: agents(&config)?,
        pool,
        sealing: Sealing::new(config.encryption_key.as_ref(), &config.old_encryption_keys),
    });
    let control = store::connect_relaxed(url, "switchboard-worker-control", 6)?;
    let row = WorkerRow {
        id: WorkerId::generate(),
        name: format!("{}:{}", config.worker_name.clone().unwrap_or_else(hostname), std::process::id()),
        queues: queues
            .iter()
            .map(|queue| Ok((queue.name.to_owned(), i32::try_from(concurrency(*queue))?)))
            .collect::<anyhow::Result<_>>()?,
    };
    let (id, name) = (row.id, row.name.clone());
    let handlers = registry::handlers(config.bench_jobs);
    let runtime = Runtime::start(control.clone(), services, handlers, row, &config, stopping.clone()).await;
    let mut working = JoinSet::new();
    match config.dispatch {
        DispatchMode::Redis => {
            let client = redis_client(&config)?;
            let leading = Leading {
                pool: control,
                config: config.clone(),
                dispatch: RedisDispatch::new(client.clone()),
                redis: Some(client.clone()),
                bells: runtime.bells.clone(),
                figures: runtime.figures.clone(),
            };
            working.spawn(maintenance::lead(leading, stopping.clone()));
            for queue in &queues {
                working.spawn(backend::supervise(runtime.clone(), client.clone(), *queue, concurrency(*queue), stopping.clone()));
            }
        }
        DispatchMode::Local => {
            let (dispatch, mut receivers) = LocalDispatch::new(queues.iter().map(|queue| queue.name));
            let leading = Leading {
                pool: control,
                config: config.clone(),
                dispatch,
                redis: None,
                bells: runtime.bells.clone(),
                figures: runtime.figures.clone(),
            };
            working.spawn(maintenance::lead(leading, stopping.clone()));
            for queue in &queues {
                if let Some(hints) = receivers.remove(queue.name) {
                    working.spawn(local::serve(runtime.clone(), queue.name, hints, concurrency(*queue)));
                }
            }
        }
    }
    tracing::info!(%id, name, queues = ?queues.iter().map(|queue| queue.name).collect::<Vec<_>>(), slots, %metrics, "worker is ready");

    signalled().await?;
    let started = Instant::now();
    tracing::info!("stopping: finishing what runs");
    stop.send_replace(true);
    tokio::spawn(async move {
        tokio::time::sleep_until(started + STOP_WITHIN).await;
        tracing::warn!("stopping took too long; what still runs will be rescued");
        std::process::exit(0);
    });
    runtime.stop(started + FINISH_WITHIN).await;
    working.shutdown().await;
    tracing::info!(took = ?started.elapsed(), "stopped");
    drop(telemetry);
    Ok(())
}

fn chosen_queues(arguments: &Arguments) -> anyhow::Result<Vec<Queue>> {
    if arguments.queues.is_empty() {
        return Ok(queue::ALL.to_vec());
    }
    let known: Vec<&str> = queue::ALL.iter().map(|queue| queue.name).collect();
    arguments
        .queues
        .iter()
        .map(|name| queue::find(name).with_context(|| format!("there is no queue `{name}`; there are: {}", known.join(", "))))
        .collect()
}

fn redis_client(config: &Config) -> anyhow::Result<redis::Client> {
    let url = config.redis_url.as_ref().context("REDIS_URL is not set; set it, or DISPATCH=local to run one worker without Redis")?;
    redis::Client::open(&**url).context("REDIS_URL is not a Redis URL")
}

fn waker(config: &Config) -> anyhow::Result<Waker> {
    Ok(match config.dispatch {
        DispatchMode::Redis => Waker::redis(redis_client(config)?),
        DispatchMode::Local => Waker::none(),
    })
}

fn teller(config: &Config) -> anyhow::Result<Teller> {
    Ok(match config.dispatch {
        DispatchMode::Redis => Teller::redis(redis_client(config)?),
        DispatchMode::Local => Teller::none(),
    })
}

fn throttle(config: &Config) -> anyhow::Result<Throttle> {
    Ok(match config.dispatch {
        DispatchMode::Redis => Throttle::redis(redis_client(config)?)?,
        DispatchMode::Local => Throttle::none(),
    })
}

/// Models are given a while: what they say, they say word by word.
const MODEL_PATIENCE: Duration = Duration::from_mins(2);

fn model(config: &Config) -> Option<Model> {
    config.agents.openai_api_key.clone().map(|key| Model { base_url: config.agents.openai_base_url.clone(), key, patience: MODEL_PATIENCE })
}

fn agents(config: &Config) -> anyhow::Result<Agents> {
    let public_url = config.http.public_url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}", config.port));
    let secret = config.http.internal_token.clone();
    let service = config.agents.service_url.clone().zip(secret).map(|(url, secret)| AgentService { url, secret, patience: MODEL_PATIENCE });
    Ok(Agents {
        model: model(config),
        openai_base_url: config.agents.openai_base_url.clone(),
        default_model: config.agents.openai_model.clone(),
        patience: MODEL_PATIENCE,
        service,
        prices: Prices(config.agents.prices.clone()),
        callbacks: config.encryption_key.as_ref().map(|key| CallbackLinks::new(key, &public_url)),
        cooldown: chrono::TimeDelta::from_std(config.agents.cooldown)?,
    })
}

/// Vectors of documents that a process holds in memory: about a million passages.
const MOST_VECTOR_BYTES: usize = 256 * 1024 * 1024;

fn knowledge(config: &Config) -> Knowledge {
    let embedder = match model(config) {
        Some(model) => Embedder::Model { model, name: config.agents.openai_embedding_model.clone() },
        None => Embedder::Words,
    };
    Knowledge::new(embedder, MOST_VECTOR_BYTES)
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "unknown-host".to_owned(), |name| name.trim().to_owned())
}

async fn signalled() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
