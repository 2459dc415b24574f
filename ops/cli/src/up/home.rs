//! `$SWITCHBOARD_HOME`: the lock, what is remembered from run to run, and the file to source.

use crate::{
    error::{CliError, Doing},
    settings::{Settings, render_exports},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, Permissions},
    io::{Read, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Remembered in `state.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) postgres: Option<PostgresState>,
    pub(super) redis: Option<RedisState>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PostgresState {
    pub(super) port: u16,
    pub(super) password: String,
    /// Holds `data`. Below the home, or elsewhere if the account that Postgres runs as cannot reach that.
    pub(super) dir: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RedisState {
    pub(super) port: u16,
}

/// The home of a run. While it exists, no other run can open it.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the directory if needed, and locks it.
    pub(super) fn open(settings: &Settings) -> Result<Self, CliError> {
        let path = settings.home.clone();
        std::fs::create_dir_all(path.join("logs")).doing(|| format!("making {}", path.display()))?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }

    pub(super) fn run_file(&self) -> PathBuf {
        self.path.join("run.json")
    }

    pub(super) fn env_file(&self) -> PathBuf {
        self.path.join("env")
    }

    pub(super) fn load_state(&self) -> Result<State, CliError> {
        let file = self.path.join("state.json");
        match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| CliError::BadFile { file: file.display().to_string(), why: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(error).doing(|| format!("reading {}", file.display())),
        }
    }

    pub(super) fn save_state(&self, state: &State) -> Result<(), CliError> {
        let file = self.path.join("state.json");
        let bytes = serde_json::to_vec_pretty(state)
            .map_err(|error| CliError::BadFile { file: file.display().to_string(), why: error.to_string() })?;
        write_private(&file, &bytes)
    }

    pub(super) fn save_env(&self, values: &[(String, String)]) -> Result<(), CliError> {
        let text = format!("# Made by `switchboard up`, to be sourced. Keeps the secrets it made.\n{}", render_exports(values));
        write_private(&self.env_file(), text.as_bytes())
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(super) fn write_private(file: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let new = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut out = File::create(&new)?;
        out.set_permissions(Permissions::from_mode(0o600))?;
        out.write_all(bytes)?;
        out.sync_all()?;
        std::fs::rename(&new, file)
    };
    write().doing(|| format!("writing {}", file.display()))
}

fn lock(home: &Path) -> Result<File, CliError> {
    let name = home.join("lock");
    let open = File::options().read(true).write(true).create(true).truncate(false).open(&name);
    let mut file = open.doing(|| format!("opening {}", name.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).doing(|| format!("reading {}", name.display()))?;
            return Err(CliError::AlreadyRunning { pid: pid.trim().to_owned(), home: home.to_path_buf() });
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(error).doing(|| format!("locking {}", name.display())),
    }
    let write = |file: &mut File| -> std::io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).doing(|| format!("writing {}", name.display()))?;
    Ok(file)
}
