//! What a provider takes in a second is kept to by all workers together.

use super::sending::{CUSTOMER, Desk};
use crate::harness::{App, SENDING, until};

const OTHER: &str = "15551230009";

/// As if so much was sent that nothing fits in for an hour: a bucket keeps the moment in microseconds.
async fn fill(desk: &Desk, bucket: &str) {
    let in_an_hour = desk.app.db.text("SELECT (extract(epoch FROM now() + interval '1 hour') * 1000000)::int8::text").await;
    let key = format!("switchboard:pace:{{{}}}:{bucket}", desk.channel);
    assert_eq!(desk.app.redis.command::<String>(&["SET", &key, &in_an_hour]).await.as_deref(), Some("OK"));
}

async fn until_it_waits(desk: &Desk) {
    let waiting = "SELECT count(*) FROM jobs WHERE queue = 'outbound' AND run_at > now() + interval '30 minutes'";
    until("the message waits for its turn", async || desk.app.db.count(waiting).await == 1).await;
}

/// The buckets are lost, and the time has come.
async fn empty(desk: &Desk) {
    desk.app.redis.command::<String>(&["FLUSHALL"]).await;
    desk.app.db.run("UPDATE jobs SET run_at = now() WHERE queue = 'outbound'").await;
}

#[tokio::test]
async fn a_number_that_has_sent_all_it_may_waits_for_its_turn_at_no_cost() {
    let mut desk = Desk::open().await;
    fill(&desk, "12500").await;
    desk.app.start_worker(SENDING).await;
    let id = desk.say(CUSTOMER, "patience").await;
    until_it_waits(&desk).await;
    assert_eq!((desk.stored_status(&id).await.as_str(), desk.provider.received().len()), ("pending", 0));
    assert_eq!(desk.app.db.count("SELECT attempt::int8 FROM jobs WHERE queue = 'outbound'").await, 0);
    empty(&desk).await;
    desk.until_status(&id, "sent").await;
    desk.until_idle().await;
    assert_eq!(desk.provider.received().len(), 1);
}

#[tokio::test]
async fn a_customer_who_was_written_to_too_often_holds_up_nobody_else() {
    let mut desk = Desk::open().await;
    let conversation = desk.app.db.text("SELECT id::text FROM chat_conversations").await;
    desk.hear_from(OTHER).await;
    fill(&desk, &conversation).await;
    desk.app.start_worker(SENDING).await;
    let (slow, quick) = (desk.say(CUSTOMER, "one too many").await, desk.say(OTHER, "hello").await);
    desk.until_status(&quick, "sent").await;
    until_it_waits(&desk).await;
    assert_eq!(desk.stored_status(&slow).await, "pending");
    empty(&desk).await;
    desk.until_status(&slow, "sent").await;
    desk.until_idle().await;
}

#[tokio::test]
async fn a_worker_tells_how_much_of_each_queue_it_runs_at_once() {
    let app = App::start().await;
    let more = "SELECT count(*) FROM job_workers
                WHERE cardinality(slots) = cardinality(queues) AND slots[array_position(queues, 'overrides')] > slots[array_position(queues, 'webhooks')]";
    assert_eq!(app.db.count(more).await, 1, "{:?}", app.db.texts("SELECT queues::text || slots::text FROM job_workers").await);
}
