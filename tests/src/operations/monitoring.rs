//! The board and the alerts are about metrics that there are, and every alert has its entry in the runbook.

use crate::architecture::{read, rust_files};
use serde_json::Value;
use std::collections::BTreeSet;

/// Metrics of Switchboard that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in text.split("switchboard_").skip(1) {
        let name: String = part.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        names.insert(format!("switchboard_{name}"));
    }
    names
}

/// Metrics that the programs record.
fn recorded() -> BTreeSet<String> {
    let programs = rust_files().into_iter().filter(|file| !file.starts_with("tests/"));
    let calls = ["counter!(", "gauge!(", "histogram!("];
    let mut names = BTreeSet::new();
    for file in programs {
        let text: String = read(&file).split_whitespace().collect();
        for call in calls {
            for (place, _) in text.match_indices(call) {
                let rest = &text[place + call.len()..];
                if let Some(name) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                    names.insert(name.to_owned());
                }
            }
        }
    }
    names
}

/// `A queue grows` as links name it.
fn slug(heading: &str) -> String {
    let words = heading.to_lowercase();
    words.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[test]
fn the_board_and_the_alerts_name_metrics_that_are_recorded() {
    let recorded = recorded();
    assert!(recorded.len() > 20, "{recorded:?}");
    let board: Value = serde_json::from_str(&read("ops/grafana/switchboard.json")).unwrap();
    let mut queries = 0;
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let unknown: Vec<_> = named(query).into_iter().filter(|name| !recorded.contains(name)).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}", panel["title"]);
            queries += 1;
        }
    }
    assert!(queries > 20, "{queries}");
    let alerts = read("ops/prometheus/alerts.yml");
    let unknown: Vec<_> = named(&alerts).into_iter().filter(|name| !recorded.contains(name)).collect();
    assert!(unknown.is_empty() && !named(&alerts).is_empty(), "{unknown:?}");
}

#[test]
fn every_alert_has_an_entry_in_the_runbook_with_a_first_command() {
    let runbook = read("ops/runbook.md");
    let entries: Vec<(String, &str)> = runbook
        .split("\n## ")
        .skip(1)
        .map(|entry| entry.split_once('\n').unwrap_or((entry, "")))
        .map(|(heading, text)| (slug(heading), text))
        .collect();
    let alerts = read("ops/prometheus/alerts.yml");
    let links: BTreeSet<&str> = alerts.split("ops/runbook.md#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(links.len() >= 6 && alerts.matches("- alert:").count() == alerts.matches("ops/runbook.md#").count(), "{links:?}");
    for link in links {
        let (_, text) = entries.iter().find(|(slug, _)| slug == link).unwrap_or_else(|| panic!("the runbook has no entry {link}"));
        assert!(text.contains("First command: `"), "{link} does not say what to type first");
    }
}
