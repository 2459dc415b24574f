//! A private Postgres: found, initialised on the first run, described as a child process.

use super::{
    home::{Home, PostgresState, State},
    ports,
    process::{Output, Spec},
};
use crate::{
    console::Console,
    error::{CliError, Doing},
    random_secret,
    settings::Settings,
};
use rustix::process::Signal;
use std::{
    fs::Permissions,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{io::AsyncWriteExt, process::Command};

/// Views with `security_invoker` came with 15.
const OLDEST: u32 = 15;
/// The superuser, and the database.
const NAME: &str = "switchboard";

/// Where servers are installed, beside the PATH; `*` stands for any one name.
const PLACES: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/*/bin", // /usr/pgsql-16/bin
    "/opt/homebrew/opt/*/bin",
    "/usr/local/opt/*/bin",
    "/usr/local/*/bin",
];

pub(super) fn url(state: &PostgresState) -> String {
    format!("postgres://{NAME}:{}@127.0.0.1:{}/{NAME}", state.password, state.port)
}

/// Makes everything ready, at the first run the data directory too, and says how to start it.
pub(super) async fn prepare(settings: &Settings, home: &Home, state: &mut State, console: &Console) -> Result<Spec, CliError> {
    let bin = find(settings).await?;
    let account = account().await?;
    let remembered = state.postgres.clone();
    let port = ports::private(remembered.as_ref().map(|postgres| postgres.port), home.path(), "postgres")?;
    let dir = match &remembered {
        Some(postgres) if postgres.dir.join("data/PG_VERSION").is_file() => postgres.dir.clone(),
        _ => choose_dir(home.path(), account, console).await?,
    };
    let password = remembered.map_or_else(random_secret::make, |postgres| Ok(postgres.password))?;
    let postgres = PostgresState { port, password, dir };
    state.postgres = Some(postgres.clone());
    home.save_state(state)?;
    let data = postgres.dir.join("data");
    if data.join("PG_VERSION").is_file() {
        check_version(&data, &bin)?;
    } else {
        console.step("postgres", &format!("making a database cluster in {}", data.display()));
        initialise(&bin, &postgres, account).await?;
    }
    Ok(spec(&bin, &postgres, account, home))
}

fn spec(bin: &Path, postgres: &PostgresState, account: Option<(u32, u32)>, home: &Home) -> Spec {
    let data = postgres.dir.join("data").display().to_string();
    let mut args = vec!["-D".to_owned(), data.clone(), "-p".to_owned(), postgres.port.to_string()];
    // Durable as shipped (fsync, synchronous_commit); sized for one machine that runs everything. No socket file: its
    // path may be too long for the system.
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        "shared_buffers=512MB",
        "max_wal_size=4GB",
        "log_checkpoints=off",
        "logging_collector=off",
    ] {
        args.extend(["-c".to_owned(), setting.to_owned()]);
    }
    Spec {
        name: "postgres".to_owned(),
        program: bin.join("postgres"),
        args,
        env: None,
        dir: postgres.dir.clone(),
        account,
        // Fast shutdown; then the immediate one, after which the next start recovers.
        stop: (Signal::INT, Signal::QUIT),
        output: Output::File(home.log("postgres")),
        marks: vec!["postgres".to_owned(), data],
    }
}

/// The directory of the newest server that is new enough.
async fn find(settings: &Settings) -> Result<PathBuf, CliError> {
    let on_path = settings.given("PATH").unwrap_or_default().split(':').map(PathBuf::from);
    let installed = PLACES.iter().flat_map(|pattern| {
        let (parent, _) = pattern.split_once("/*").unwrap_or((pattern, ""));
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join("bin")).collect::<Vec<_>>()
    });
    let mut best: Option<(u32, PathBuf)> = None;
    for dir in settings.given("SWITCHBOARD_POSTGRES_BIN").map(PathBuf::from).into_iter().chain(on_path).chain(installed) {
        if !dir.join("initdb").is_file() || !dir.join("postgres").is_file() {
            continue;
        }
        let output = Command::new(dir.join("postgres")).arg("--version").output().await;
        let version = output.ok().and_then(|output| major_version(&String::from_utf8_lossy(&output.stdout)));
        if let Some(version) = version.filter(|version| *version >= OLDEST && best.as_ref().is_none_or(|(known, _)| version > known)) {
            best = Some((version, dir));
        }
    }
    best.map(|(_, dir)| dir).ok_or_else(|| CliError::Missing {
        name: format!("Postgres {OLDEST} or later"),
        next: "run ops/up, which installs it, or set DATABASE_URL",
    })
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is 15.
fn major_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn check_version(data: &Path, bin: &Path) -> Result<(), CliError> {
    let file = data.join("PG_VERSION");
    let made_by = std::fs::read_to_string(&file).doing(|| format!("reading {}", file.display()))?;
    let have = std::process::Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .doing(|| "asking Postgres for its version".to_owned())?;
    match (made_by.trim().parse::<u32>(), major_version(&String::from_utf8_lossy(&have.stdout))) {
        (Ok(made_by), Some(have)) if made_by != have => Err(CliError::Usage(format!(
            "the data in {} was made by Postgres {made_by}, found is {have}: set SWITCHBOARD_POSTGRES_BIN to the directory of version {made_by}, or move the data away",
            data.display()
        ))),
        _ => Ok(()),
    }
}

/// Postgres refuses to run as root, so root runs it as `postgres`. `None`: as ourselves.
async fn account() -> Result<Option<(u32, u32)>, CliError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let missing = || CliError::Missing {
        name: "the account `postgres`, as which root runs Postgres,".to_owned(),
        next: "make it (useradd --system postgres), run as another user, or set DATABASE_URL",
    };
    let mut ids = Vec::new();
    for flag in ["-u", "-g"] {
        let output = Command::new("id").args([flag, "postgres"]).output().await.doing(|| "running id".to_owned())?;
        ids.push(String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().map_err(|_| missing())?);
    }
    match ids.as_slice() {
        [user, group] => Ok(Some((*user, *group))),
        _ => Err(missing()),
    }
}

/// A directory that the account can reach: below the home, else where temporary files outlive a restart.
async fn choose_dir(home: &Path, account: Option<(u32, u32)>, console: &Console) -> Result<PathBuf, CliError> {
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    let elsewhere = format!("switchboard-{:016x}", hasher.finish());
    let candidates = [home.join("postgres"), Path::new("/var/tmp").join(&elsewhere), Path::new("/tmp").join(&elsewhere)];
    for (index, dir) in candidates.iter().enumerate() {
        if make_dir(dir, account).is_err() || !reaches(dir, account).await {
            continue;
        }
        if index > 0 {
            console.step("postgres", &format!("its account cannot reach {}, so its data is in {}", home.display(), dir.display()));
        }
        return Ok(dir.clone());
    }
    Err(CliError::Usage(format!(
        "the account `postgres` can reach neither {} nor /var/tmp nor /tmp: set SWITCHBOARD_HOME to a directory that it can reach",
        home.display()
    )))
}

fn make_dir(dir: &Path, account: Option<(u32, u32)>) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    match account {
        Some((user, group)) => chown(dir, Some(user), Some(group)),
        None => Ok(()),
    }
}

async fn reaches(dir: &Path, account: Option<(u32, u32)>) -> bool {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "cd \"$1\" && test -w .", "sh"]).arg(dir).stderr(Stdio::null());
    as_account(&mut command, account);
    command.status().await.is_ok_and(|status| status.success())
}

fn as_account(command: &mut Command, account: Option<(u32, u32)>) {
    command.current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
}

/// Makes the cluster and our database in it. It gets its final name last, so a half-made one is never used.
async fn initialise(bin: &Path, postgres: &PostgresState, account: Option<(u32, u32)>) -> Result<(), CliError> {
    let new = postgres.dir.join("data.new");
    let password_file = postgres.dir.join("password.new");
    super::home::write_private(&password_file, postgres.password.as_bytes())?;
    if let Some((user, group)) = account {
        chown(&password_file, Some(user), Some(group)).doing(|| format!("giving {} to Postgres", password_file.display()))?;
    }
    let mut why = String::new();
    for locale in ["C.UTF-8", "en_US.UTF-8", "C"] {
        if new.exists() {
            std::fs::remove_dir_all(&new).doing(|| format!("removing {}", new.display()))?;
        }
        let mut initdb = Command::new(bin.join("initdb"));
        initdb.arg("-D").arg(&new).args(["-U", NAME, "-E", "UTF8", "-A", "scram-sha-256"]);
        initdb.arg(format!("--locale={locale}")).arg(format!("--pwfile={}", password_file.display()));
        as_account(&mut initdb, account);
        let output = initdb.output().await.doing(|| format!("running {}", bin.join("initdb").display()))?;
        if output.status.success() {
            why.clear();
            break;
        }
        why = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    std::fs::remove_file(&password_file).doing(|| format!("removing {}", password_file.display()))?;
    if !why.is_empty() {
        return Err(CliError::DoesNotStart {
            name: "initdb".to_owned(),
            why: "it failed".to_owned(),
            tail: why,
            log: "the lines above".to_owned(),
        });
    }
    create_database(bin, &new, account).await?;
    let data = postgres.dir.join("data");
    std::fs::rename(&new, &data).doing(|| format!("renaming {}", new.display()))
}

/// Single-user mode: nothing listens yet.
async fn create_database(bin: &Path, data: &Path, account: Option<(u32, u32)>) -> Result<(), CliError> {
    let mut single = Command::new(bin.join("postgres"));
    single.arg("--single").arg("-D").arg(data).arg("postgres");
    as_account(&mut single, account);
    single.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let doing = || "creating the database".to_owned();
    let mut child = single.spawn().doing(doing)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(format!("CREATE DATABASE {NAME};\n").as_bytes()).await.doing(doing)?;
    }
    let output = child.wait_with_output().await.doing(doing)?;
    let tail = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() && !tail.contains("ERROR") {
        return Ok(());
    }
    Err(CliError::DoesNotStart {
        name: "postgres --single".to_owned(),
        why: "it failed".to_owned(),
        tail,
        log: "the lines above".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn versions_are_read_as_servers_print_them() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_version("something else"), None);
    }
}
