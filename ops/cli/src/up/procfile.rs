//! The Procfile: one process a line, `name: program arguments`.

use crate::error::{CliError, Doing};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
}

pub(super) fn read(root: &Path) -> Result<Vec<Entry>, CliError> {
    let file = root.join("Procfile");
    let text = std::fs::read_to_string(&file).doing(|| format!("reading {}", file.display()))?;
    let beside = std::env::current_exe().doing(|| "finding this program".to_owned())?;
    let mut entries = parse(&text).map_err(|why| CliError::BadFile { file: file.display().to_string(), why })?;
    for entry in &mut entries {
        entry.program = locate(&entry.program, beside.parent().unwrap_or(root), root)?;
    }
    Ok(entries)
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, command) = line.split_once(':').ok_or_else(|| format!("`{line}` is not `name: program arguments`"))?;
            let mut words = command.split_whitespace().map(str::to_owned);
            let program = words.next().ok_or_else(|| format!("`{line}` names no program"))?;
            Ok(Entry { name: name.trim().to_owned(), program: program.into(), args: words.collect() })
        })
        .collect()
}

/// Our own binaries lie beside this one, whatever directory the build used.
fn locate(program: &Path, beside: &Path, root: &Path) -> Result<PathBuf, CliError> {
    let candidates = [program.file_name().map(|name| beside.join(name)), Some(root.join(program))];
    candidates
        .into_iter()
        .flatten()
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| CliError::Missing { name: program.display().to_string(), next: "run ops/up, or cargo build --release" })
}

#[cfg(test)]
mod tests {
    use super::{Entry, parse};

    #[test]
    fn a_line_is_a_name_and_a_command() {
        let entries = parse("# comment\n\napi: target/release/switchboard-api\nworker: a/b --queues x,y\n").unwrap();
        assert_eq!(entries[1], Entry { name: "worker".into(), program: "a/b".into(), args: vec!["--queues".into(), "x,y".into()] });
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn a_line_without_a_program_is_an_error() {
        assert!(parse("api:").is_err());
        assert!(parse("api").is_err());
    }
}
