//! The environment, read once, and the file of settings that `switchboard up` keeps ($SWITCHBOARD_HOME/env).

use crate::error::CliError;
use platform::{Sealing, Secret};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use store::{Role, operator_jobs::Actor};

/// Settings by name. What the environment says wins over what `up` kept.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    given: BTreeMap<String, String>,
    kept: BTreeMap<String, String>,
    /// Where the Procfile is.
    pub(crate) root: PathBuf,
    /// `$SWITCHBOARD_HOME`, absolute; it may not exist yet.
    pub(crate) home: PathBuf,
}

impl Settings {
    pub(crate) fn load() -> Self {
        let given: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let here = std::env::current_dir().unwrap_or_default();
        let root = find_root(&here);
        let home = given.get("SWITCHBOARD_HOME").map_or_else(|| root.join(".switchboard"), |home| here.join(home));
        let kept = std::fs::read_to_string(home.join("env")).map(|text| parse_exports(&text)).unwrap_or_default();
        Self { given, kept, root, home }
    }

    /// A setting, wherever it comes from.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.given(name).or_else(|| self.kept.get(name).map(String::as_str))
    }

    /// A setting of the environment.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    pub(crate) fn database_url(&self) -> Result<&str, CliError> {
        self.get("DATABASE_URL").ok_or(CliError::NoDatabase)
    }

    /// A pool on `DATABASE_URL`. Connects lazily.
    pub(crate) fn pool(&self) -> Result<store::PgPool, CliError> {
        self.pool_as(Role::Operator)
    }

    /// The same, with other rights.
    pub(crate) fn pool_as(&self, role: Role) -> Result<store::PgPool, CliError> {
        Ok(store::connect(self.database_url()?, role, "switchboard", 4)?)
    }

    /// These, and what was made besides.
    pub(crate) fn knowing(&self, made: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut kept = self.kept.clone();
        kept.extend(made);
        Self { given: self.given.clone(), kept, root: self.root.clone(), home: self.home.clone() }
    }

    /// Who acts, for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| self.given(name)).map(str::to_owned);
        let name = format!("cli:{}", user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw())));
        Actor { name, reason: self.given("SWITCHBOARD_REASON").map(str::to_owned) }
    }

    /// The address others reach us at.
    pub(crate) fn public_url(&self) -> String {
        self.get("PUBLIC_URL")
            .map_or_else(|| format!("http://127.0.0.1:{}", self.get("PORT").unwrap_or("3000")), |url| url.trim_end_matches('/').to_owned())
    }
}

/// What seals and opens the secrets of tenants.
pub(crate) fn sealing(settings: &Settings) -> Sealing {
    let old: Vec<Secret> = settings
        .get("SWITCHBOARD_OLD_ENCRYPTION_KEYS")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|key| !key.is_empty())
        .map(Secret::new)
        .collect();
    Sealing::new(settings.get("SWITCHBOARD_ENCRYPTION_KEY").map(Secret::new).as_ref(), &old)
}

/// The nearest directory with a Procfile: from the working directory upwards, else from the program upwards.
fn find_root(here: &Path) -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let found = here.ancestors().chain(program.ancestors()).find(|directory| directory.join("Procfile").is_file());
    found.unwrap_or(here).to_path_buf()
}

/// `export NAME='value'` lines, as `render_exports` writes them.
fn parse_exports(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .filter_map(|(name, value)| Some((name.to_owned(), value.strip_prefix('\'')?.strip_suffix('\'')?.replace(r"'\''", "'"))))
        .collect()
}

/// Lines for a shell to source.
pub(crate) fn render_exports(values: &[(String, String)]) -> String {
    let lines: Vec<String> = values.iter().map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''"))).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::{parse_exports, render_exports};

    #[test]
    fn what_is_written_is_read_back() {
        let values = vec![("A".to_owned(), "it's $HOME".to_owned()), ("URL".to_owned(), "postgres://u:p@h:1/d?x=y".to_owned())];
        assert_eq!(parse_exports(&render_exports(&values)).into_iter().collect::<Vec<_>>(), values);
    }

    #[test]
    fn other_lines_are_ignored() {
        assert!(parse_exports("# a comment\nexport BAD=unquoted\n").is_empty());
    }
}
