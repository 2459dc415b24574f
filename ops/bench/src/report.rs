//! A scenario's result: a few lines for people, and one JSON object for the file given with --out.

use crate::lab::{Lab, LabArgs};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::io::Write;

pub struct Report {
    pub scenario: &'static str,
    /// False when the product broke a promise (lost or doubled something): the run then fails.
    pub passed: bool,
    pub settings: Value,
    pub results: Value,
}

impl Report {
    pub async fn publish(&self, lab: &Lab) -> Result<()> {
        let at: String = lab
            .database
            .client
            .query_one("SELECT to_char(now() AT TIME ZONE 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", &[])
            .await?
            .try_get(0)?;
        println!("{} {} {}", self.scenario, self.settings, if self.passed { "passed" } else { "FAILED" });
        for (name, value) in flatten(&self.results) {
            println!("  {name:<36} {value}");
        }
        let line = json!({
            "scenario": self.scenario, "label": lab.args.label, "at": at, "passed": self.passed, "dispatch": lab.args.dispatch,
            "settings": self.settings, "results": self.results, "machine": lab.machine,
        });
        println!("{line}");
        append(&lab.args, &line)
    }
}

fn append(args: &LabArgs, line: &Value) -> Result<()> {
    let Some(path) = &args.out else { return Ok(()) };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file =
        std::fs::OpenOptions::new().create(true).append(true).open(path).with_context(|| format!("opening {}", path.display()))?;
    Ok(writeln!(file, "{line}")?)
}

/// Every single value under `value`, with its path in dots.
pub fn flatten(value: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    walk(String::new(), value, &mut found);
    found
}

fn walk(path: String, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                walk(if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, inner, found);
            }
        }
        other => found.push((path, other.clone())),
    }
}
