//! One supervised child process: started, its lines shown, restarted with a back-off when it dies, stopped in time.

use super::run_file::{RunFile, RunningProcess};
use crate::console::Console;
use rustix::process::{Pid, Signal};
use std::{
    collections::VecDeque,
    fs::File,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// The pause before a restart doubles from the first to the last, and starts over once a run lasted `STEADY`.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(10);
const STEADY: Duration = Duration::from_secs(30);
/// Lines kept to be shown when a process fails.
const TAIL: usize = 12;

/// Where a child's lines go.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// Shown, with the name in front; the number chooses the colour.
    Console(usize),
    /// Into a file: services talk about themselves only.
    File(PathBuf),
}

/// What to run, and how to stop it.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    /// Added to our own environment; `None`: the child is a service and inherits only what it needs.
    pub(super) env: Option<Vec<(String, String)>>,
    pub(super) dir: PathBuf,
    /// Another account to run as (user and group id).
    pub(super) account: Option<(u32, u32)>,
    /// Asks it to stop; then, when the time is up, forces it to.
    pub(super) stop: (Signal, Signal),
    pub(super) output: Output,
    /// Words of its command line that tell it from other programs.
    pub(super) marks: Vec<String>,
}

/// What is known of a supervised process from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    tail: Arc<Mutex<VecDeque<String>>>,
    deaths: Arc<Mutex<(u32, String)>>,
}

impl Watch {
    /// How often it has died, and how the last time.
    pub(super) fn deaths(&self) -> (u32, String) {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn died(&self, how: &str) {
        let mut deaths = self.deaths.lock().unwrap_or_else(PoisonError::into_inner);
        *deaths = (deaths.0 + 1, how.to_owned());
    }

    fn push(&self, line: &str) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(line.to_owned());
    }
}

/// A child under supervision. It runs until `stop`.
#[derive(Debug)]
pub(super) struct Supervised {
    pub(super) spec: Spec,
    pub(super) watch: Watch,
    stop: watch::Sender<Option<Duration>>,
    task: JoinHandle<()>,
}

impl Supervised {
    pub(super) fn start(spec: Spec, run_file: RunFile, console: Console) -> Self {
        let (stop, stopped) = watch::channel(None);
        let watch = Watch::default();
        let task = tokio::spawn(supervise(spec.clone(), watch.clone(), run_file, console, stopped));
        Self { spec, watch, stop, task }
    }

    /// Asks it to stop; it is forced to after `limit`.
    pub(super) fn ask_to_stop(&self, limit: Duration) {
        self.stop.send_replace(Some(limit));
    }

    /// Waits until it has stopped, at most for `limit`. True if it has.
    pub(super) async fn stopped(&mut self, limit: Duration) -> bool {
        self.task.is_finished() || timeout(limit, &mut self.task).await.is_ok()
    }

    /// Its last lines, indented.
    pub(super) fn tail(&self) -> String {
        let lines: Vec<String> = match &self.spec.output {
            Output::Console(_) => self.watch.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect(),
            Output::File(file) => {
                let text = std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                lines.iter().skip(lines.len().saturating_sub(TAIL)).map(|line| (*line).to_owned()).collect()
            }
        };
        if lines.is_empty() {
            "  (it wrote nothing)".to_owned()
        } else {
            lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
        }
    }

    /// Where its lines are.
    pub(super) fn log(&self) -> String {
        match &self.spec.output {
            Output::Console(_) => "the lines above".to_owned(),
            Output::File(file) => file.display().to_string(),
        }
    }
}

async fn supervise(spec: Spec, watch: Watch, run_file: RunFile, console: Console, mut stop: watch::Receiver<Option<Duration>>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        let how = match spawn(&spec) {
            Err(error) => format!("{} cannot be run: {error}", spec.program.display()),
            Ok(mut child) => {
                let pid = child.id().unwrap_or(0);
                run_file.set(&spec.name, RunningProcess::observe(pid, spec.marks.clone()));
                let pumps = [pump(child.stdout.take(), &spec, &watch, &console), pump(child.stderr.take(), &spec, &watch, &console)];
                let ended = tokio::select! {
                    status = child.wait() => Some(status),
                    limit = asked(&mut stop) => { end(&mut child, pid, &spec, limit).await; None }
                };
                for pump in pumps.into_iter().flatten() {
                    // A grandchild may hold the pipe open: the last lines are not worth waiting for it.
                    timeout(Duration::from_millis(200), pump).await.ok();
                }
                run_file.set(&spec.name, None);
                match ended {
                    None => return,
                    Some(Ok(status)) => describe(status),
                    Some(Err(error)) => error.to_string(),
                }
            }
        };
        watch.died(&how);
        if began.elapsed() >= STEADY {
            pause = FIRST_PAUSE;
        }
        console.step(&spec.name, &format!("died ({how}); starting it again in {:.1} s", pause.as_secs_f32()));
        tokio::select! {
            () = sleep(pause) => {}
            _ = asked(&mut stop) => return,
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Returns when it was asked to stop, with the time it has for that.
async fn asked(stop: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match stop.wait_for(Option::is_some).await {
        Ok(limit) => limit.unwrap_or_default(),
        // Nobody can ask any more: the supervisor is going away.
        Err(_) => Duration::ZERO,
    }
}

async fn end(child: &mut Child, pid: u32, spec: &Spec, limit: Duration) {
    signal(pid, spec.stop.0);
    if timeout(limit, child.wait()).await.is_ok() {
        return;
    }
    signal(pid, spec.stop.1);
    if timeout(Duration::from_millis(500), child.wait()).await.is_err() {
        signal_group(pid, Signal::KILL);
        timeout(Duration::from_millis(500), child.wait()).await.ok();
    }
}

fn spawn(spec: &Spec) -> std::io::Result<Child> {
    let mut command = if dies_with_parent() {
        let mut command = Command::new("setpriv");
        let signal = if spec.stop.0 == Signal::INT { "INT" } else { "TERM" };
        command.args(["--pdeathsig", signal, "--"]).arg(&spec.program);
        command
    } else {
        Command::new(&spec.program)
    };
    command.args(&spec.args).current_dir(&spec.dir).stdin(Stdio::null());
    // A group of its own: Ctrl-C on the terminal reaches only the supervisor, which stops its children in order.
    command.process_group(0);
    match &spec.env {
        Some(added) => drop(command.envs(added.iter().cloned())),
        None => keep_service_env(&mut command),
    }
    if let Some((user, group)) = spec.account {
        command.uid(user).gid(group);
    }
    match &spec.output {
        Output::Console(_) => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        Output::File(file) => {
            let log = File::options().create(true).append(true).open(file)?;
            command.stdout(log.try_clone()?).stderr(log)
        }
    };
    command.spawn()
}

/// Services need no secrets.
fn keep_service_env(command: &mut Command) {
    let kept: Vec<_> =
        std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "TZ" || name == "LANG" || name == "TMPDIR").collect();
    command.env_clear().envs(kept);
}

/// True if `setpriv` of util-linux can make a child end with us even when we are killed. Elsewhere the next run cleans up.
fn dies_with_parent() -> bool {
    static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *KNOWN.get_or_init(|| {
        let mut probe = std::process::Command::new("setpriv");
        probe.args(["--pdeathsig", "TERM", "--", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        cfg!(target_os = "linux") && probe.status().is_ok_and(|status| status.success())
    })
}

fn pump(from: Option<impl AsyncRead + Unpin + Send + 'static>, spec: &Spec, watch: &Watch, console: &Console) -> Option<JoinHandle<()>> {
    let (Output::Console(number), Some(from)) = (&spec.output, from) else {
        return None;
    };
    let (number, name, watch, console) = (*number, spec.name.clone(), watch.clone(), console.clone());
    Some(tokio::spawn(async move {
        let mut lines = BufReader::new(from).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line);
            watch.push(line.trim_end());
            console.process(&name, number, line.trim_end());
        }
    }))
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for an unknown reason".to_owned(),
    }
}

/// Sends a signal. A process that is gone already needs none.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        rustix::process::kill_process(pid, signal).ok();
    }
}

/// Sends a signal to a process and all that it started.
pub(super) fn signal_group(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        rustix::process::kill_process_group(pid, signal).ok();
    }
}
