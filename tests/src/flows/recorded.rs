//! Bodies that Meta really sent, from a folder beside the repository, all of them through the whole product.

use super::{deliver, state};
use crate::harness::App;
use domain::EventBody;
use std::{collections::BTreeSet, path::Path};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/payloads/whatsapp_cloud");

/// The bodies in the order of their names; none if the folder is not there.
fn bodies() -> Vec<String> {
    let Ok(files) = std::fs::read_dir(Path::new(FOLDER)) else { return Vec::new() };
    let mut paths: Vec<_> =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// How many different messages the bodies tell of (several are about the same one).
fn count_messages(bodies: &[String]) -> usize {
    let events = bodies.iter().flat_map(|body| channels::whatsapp_cloud::parse(body.as_bytes()).unwrap());
    let ids: BTreeSet<_> = events
        .filter_map(|event| match event.body {
            EventBody::Message(message) => Some((event.channel_external_id, message.external_id)),
            _ => None,
        })
        .collect();
    ids.len()
}

#[tokio::test]
async fn every_recorded_payload_is_processed_and_a_second_sending_changes_nothing() {
    let bodies = bodies();
    if bodies.is_empty() {
        println!("skipped: {FOLDER} is not there");
        return;
    }
    let mut app = App::start().await;
    let numbers: BTreeSet<String> = bodies.iter().flat_map(|body| channels::whatsapp_cloud::route(body.as_bytes()).unwrap()).collect();
    for number in &numbers {
        app.db
            .run(&format!(
                "INSERT INTO channel_instances (tenant_id, type, external_id, name) VALUES (1, 'WHATSAPP', '{number}', 'recorded')"
            ))
            .await;
    }
    for body in &bodies {
        deliver(&app, body).await;
    }
    let messages = app.db.count("SELECT count(*) FROM chat_messages WHERE conversation_id IS NOT NULL").await;
    assert_eq!(messages, i64::try_from(count_messages(&bodies)).unwrap());
    let first = state(&app).await;
    // The next worker remembers nobody.
    app.workers[0].terminate();
    app.start_worker(&[]).await;
    for body in &bodies {
        deliver(&app, body).await;
    }
    let second = state(&app).await;
    let changed: Vec<_> = second.iter().filter(|row| !first.contains(row)).collect();
    assert!(changed.is_empty() && first.len() == second.len(), "the second sending changed {changed:#?}");
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, i64::try_from(2 * bodies.len()).unwrap());
}
