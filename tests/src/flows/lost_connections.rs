//! Messages on their way out while the worker's connections to Postgres are cut: statements that were made for several sends have no answer, so
//! each asks alone.

use super::sending::{Desk, body};
use crate::harness::{SENDING, until};

#[tokio::test]
async fn messages_whose_connections_to_postgres_are_cut_reach_the_provider_once_or_are_unknown() {
    const CUT_ALL: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                           WHERE datname = current_database() AND application_name LIKE 'switchboard-worker%' AND pid <> pg_backend_pid()";
    let mut desk = Desk::open().await;
    let phones: Vec<String> = (0..8).map(|n| format!("1555123100{n}")).collect();
    for phone in &phones {
        desk.hear_from(phone).await;
    }
    for round in 0..4 {
        for phone in &phones {
            desk.say(phone, &round.to_string()).await;
        }
    }
    desk.app.start_worker(SENDING).await;
    for received in [1, 8, 16] {
        until(&format!("the provider has {received}"), async || desk.provider.received().len() >= received).await;
        desk.app.db.count(CUT_ALL).await;
    }
    desk.until_idle().await;
    let mut ids: Vec<String> =
        desk.provider.received().iter().map(|call| body(call)["biz_opaque_callback_data"].as_str().unwrap().to_owned()).collect();
    let calls = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), calls, "nothing is sent twice");
    let unsettled = "SELECT count(*) FROM chat_messages WHERE direction = 'outbound' AND status NOT IN ('sent', 'unknown')";
    assert_eq!(desk.app.db.count(unsettled).await, 0);
    let sent = desk.app.db.texts("SELECT id::text FROM chat_messages WHERE direction = 'outbound' AND status = 'sent'").await;
    assert!(sent.iter().all(|id| ids.contains(id)) && sent.len() > 16, "{} of 32 are sent", sent.len());
}
