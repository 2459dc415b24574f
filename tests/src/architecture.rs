//! The structure of the repository as tests: who may use whom, where SQL lives, how long files are, what is registered.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Our crates: folder, and which of our crates it may use. Nothing may use ops or tests, so nobody lists them.
const ARROWS: &[(&str, &[&str])] = &[
    ("shared/domain", &[]),
    ("shared/platform", &["domain"]),
    ("shared/store", &["domain", "platform"]),
    ("shared/channels", &["domain", "platform"]),
    ("shared/ai", &["domain", "platform"]),
    ("shared/documents", &[]),
    ("shared/realtime", &["domain", "platform"]),
    ("jobs", SHARED),
    ("api", SHARED_AND_JOBS),
    ("workers", SHARED_AND_JOBS),
    ("ops/cli", EVERYTHING),
    ("ops/bench", EVERYTHING),
    ("tests", EVERYTHING),
];
const SHARED: &[&str] = &["domain", "platform", "store", "channels", "ai", "documents", "realtime"];
const SHARED_AND_JOBS: &[&str] = &["domain", "platform", "store", "channels", "ai", "documents", "realtime", "jobs"];
const EVERYTHING: &[&str] =
    &["domain", "platform", "store", "channels", "ai", "documents", "realtime", "jobs", "api", "workers", "cli", "bench", "tests"];

/// Libraries that stand for something only some crates may know, with the folders of those that may.
const CONFINED: &[(&str, &[&str])] = &[
    ("sqlx", &["shared/store", "ops/bench", "tests"]),
    ("salvo", &["api"]),
    ("apalis", &["jobs", "workers"]),
    ("apalis-core", &["jobs", "workers"]),
    ("apalis-redis", &["jobs", "workers"]),
    ("socketioxide", &["api"]),
];

const TOP_LEVEL: &[&str] = &["Cargo.toml", "api", "workers", "jobs", "shared", "migrations", "ops", "tests", "Procfile", "README.md"];
/// Files that tools look for at the top level, and what builds leave there.
const TOP_LEVEL_OF_TOOLS: &[&str] = &["Cargo.lock", "clippy.toml", "rustfmt.toml", "target"];

const MOST_LINES: usize = 400;
const MOST_LINES_OF_TESTS: usize = 600;

#[test]
fn crates_use_only_the_crates_that_the_design_allows() {
    let ours: BTreeSet<&str> = EVERYTHING.iter().copied().collect();
    let mut wrong = Vec::new();
    for member in members() {
        let Some((_, allowed)) = ARROWS.iter().find(|(folder, _)| *folder == member) else {
            wrong.push(format!("{member} is not in the table of this test"));
            continue;
        };
        for dependency in dependencies(&member) {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{member} uses {dependency}"));
            }
            for (library, folders) in CONFINED {
                if dependency == *library && !folders.contains(&member.as_str()) {
                    wrong.push(format!("{member} uses {library}, which only {folders:?} may"));
                }
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn apalis_redis_is_named_in_two_files_only() {
    let allowed = ["jobs/src/dispatch.rs", "workers/src/runtime/backend.rs"];
    let wrong: Vec<_> = rust_files()
        .into_iter()
        .filter(|file| !allowed.contains(&file.as_str()) && !file.starts_with("tests/") && code_of(file).contains("apalis_redis"))
        .collect();
    nothing(&wrong);
}

#[test]
fn sql_is_written_only_in_the_store() {
    let starts = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "WITH RECURSIVE "];
    let mut wrong = Vec::new();
    for file in rust_files() {
        if ["shared/store/", "tests/", "ops/bench/"].iter().any(|folder| file.starts_with(folder)) {
            continue;
        }
        for (number, line) in code_of(&file).lines().enumerate() {
            let is_sql = line.contains("sqlx::query")
                || starts.iter().any(|start| line.trim_start().starts_with(start) || line.contains(&format!("\"{start}")));
            if is_sql {
                wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn no_file_is_too_long_to_be_read_at_once() {
    let mut wrong = Vec::new();
    for file in files().into_iter().filter(|file| is_program(file)) {
        let lines = read(&file).lines().count();
        let most = if is_test(&file) { MOST_LINES_OF_TESTS } else { MOST_LINES };
        if lines > most {
            wrong.push(format!("{file} has {lines} lines, more than {most}"));
        }
    }
    nothing(&wrong);
}

#[test]
fn every_source_file_opens_with_what_lives_in_it() {
    let opens = |text: &str| text.starts_with("//! ") || text.starts_with("#![doc = include_str!(");
    nothing(&rust_files().into_iter().filter(|file| !opens(&read(file))).collect::<Vec<_>>());
}

#[test]
fn every_job_is_registered() {
    let registry = read("workers/src/registry.rs");
    let is_job = |folder: &String| {
        fs::read_to_string(root().join("jobs/src").join(folder).join("mod.rs")).is_ok_and(|text| text.contains("Job for "))
    };
    let unregistered = |folder: &String| !registry.contains(&format!("{folder}::"));
    nothing(&folders("jobs/src").into_iter().filter(is_job).filter(unregistered).collect::<Vec<_>>());
}

#[test]
fn every_channel_is_registered() {
    let registry = read("shared/channels/src/registry.rs");
    let is_channel = |folder: &String| {
        fs::read_to_string(root().join("shared/channels/src").join(folder).join("mod.rs")).is_ok_and(|text| text.contains(": ChannelKind"))
    };
    nothing(
        &folders("shared/channels/src")
            .into_iter()
            .filter(is_channel)
            .filter(|folder| !registry.contains(&format!("{folder}::")))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_contract_is_registered() {
    let list = read("api/src/contracts/mod.rs");
    nothing(&folders("api/src/contracts").into_iter().filter(|folder| !list.contains(&format!("{folder}::"))).collect::<Vec<_>>());
}

#[test]
fn every_table_has_a_comment() {
    let migrations: String = files().into_iter().filter(|file| file.starts_with("migrations/")).map(|file| read(&file)).collect();
    let tables = migrations.lines().filter_map(|line| line.strip_prefix("CREATE TABLE ")).filter_map(|rest| rest.split_whitespace().next());
    nothing(&tables.filter(|table| !migrations.contains(&format!("COMMENT ON TABLE {table} IS"))).map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn the_top_level_is_as_it_was_decided() {
    let found: Vec<String> = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let known = |name: &&String| name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()) || TOP_LEVEL_OF_TOOLS.contains(&name.as_str());
    let mut wrong: Vec<String> = found.iter().filter(|name| !known(name)).map(|name| format!("{name} does not belong there")).collect();
    wrong.extend(TOP_LEVEL.iter().filter(|name| !found.iter().any(|found| found == *name)).map(|name| format!("{name} is missing")));
    nothing(&wrong);
}

/// Fails with one line for each thing that is wrong.
fn nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A file without its comments.
fn code_of(file: &str) -> String {
    read(file).lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>().join("\n")
}

/// All files of the project, as paths below the root with `/`.
fn files() -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), vec![root()]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn rust_files() -> Vec<String> {
    files().into_iter().filter(|file| Path::new(file).extension().is_some_and(|ending| ending == "rs")).collect()
}

fn is_program(file: &str) -> bool {
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "sql" | "sh")) || (extension.is_none() && file.starts_with("ops/"))
}

fn is_test(file: &str) -> bool {
    file.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "fixtures"))
}

fn folders(below: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(below)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// The folders of the workspace's crates.
fn members() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let list = manifest.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    list.split(',').map(|member| member.trim().trim_matches('"').to_owned()).filter(|member| !member.is_empty()).collect()
}

/// The names under `[dependencies]` and `[build-dependencies]` of a crate, and of its targets. What only its tests use is
/// its own affair.
fn dependencies(member: &str) -> Vec<String> {
    let (mut counts, mut found) = (false, Vec::new());
    for line in read(&format!("{member}/Cargo.toml")).lines() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            counts = !section.ends_with("dev-dependencies") && section.ends_with("dependencies");
        } else if counts && let Some(name) = line.split(['.', '=', ' ']).next().filter(|name| !name.is_empty() && !name.starts_with('#')) {
            found.push(name.to_owned());
        }
    }
    found
}
