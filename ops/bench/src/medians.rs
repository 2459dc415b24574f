//! Medians over the runs in a results file, one block for each scenario with the same settings.

use crate::numbers::{median, rounded};
use crate::report::flatten;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

pub fn print(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    for (name, runs) in &grouped(&text)? {
        let failed = runs.iter().filter(|run| run.get("passed") != Some(&Value::Bool(true))).count();
        println!("{name}  runs: {}{}", runs.len(), if failed > 0 { format!(", FAILED: {failed}") } else { String::new() });
        for (figure, value) in medians(runs) {
            println!("  {figure:<36} {}", rounded(value, 4));
        }
    }
    Ok(())
}

/// Runs of the same scenario, label, dispatch and settings (seeds aside).
fn grouped(text: &str) -> Result<BTreeMap<String, Vec<Value>>> {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let run: Value = serde_json::from_str(line).context("a line of the results is not JSON")?;
        let word = |name: &str| run.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut settings = run.get("settings").cloned().unwrap_or_default();
        if let Some(fields) = settings.as_object_mut() {
            fields.remove("seed");
        }
        let name = format!("{} {} dispatch={} {settings}", word("scenario"), word("label"), word("dispatch"));
        groups.entry(name).or_default().push(run);
    }
    Ok(groups)
}

fn medians(runs: &[Value]) -> BTreeMap<String, f64> {
    let mut figures: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, value) in runs.iter().filter_map(|run| run.get("results")).flat_map(flatten) {
        if let Some(number) = value.as_f64() {
            figures.entry(name).or_default().push(number);
        }
    }
    figures.into_iter().filter_map(|(name, mut values)| median(&mut values).map(|middle| (name, middle))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_with_the_same_settings_share_a_median_whatever_their_seed() {
        let line = |seed: u32, rate: f64| {
            format!(r#"{{"scenario":"storm","passed":true,"settings":{{"n":5,"seed":{seed}}},"results":{{"ack":{{"p50":{rate}}}}}}}"#)
        };
        let groups = grouped(&[line(1, 1.0), line(2, 9.0), line(3, 3.0)].join("\n")).unwrap();
        assert_eq!(groups.len(), 1);
        let runs = groups.values().next().unwrap();
        assert_eq!(medians(runs), BTreeMap::from([("ack.p50".to_owned(), 3.0)]));
    }
}
