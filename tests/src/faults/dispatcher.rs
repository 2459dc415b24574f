//! Redis emptied, stopped, paused and cut off under load. It only carries hints, so the api never notices.

use super::{Chance, rounds, seconds, under_load};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emptying_redis_loses_and_doubles_nothing() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    for _ in 0..rounds(8) {
        chance.moment(0..800).await;
        app.redis.command::<String>(&["FLUSHALL"]).await.unwrap();
    }
    load.until_answered(200).await;
    assert_eq!(load.unanswered() + load.refused(), 0);
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_comes_back_empty_loses_and_doubles_nothing() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    for _ in 0..rounds(5) {
        chance.moment(0..800).await;
        app.redis.restart().await;
    }
    load.until_answered(200).await;
    assert_eq!(load.unanswered() + load.refused(), 0);
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_stopped_webhooks_are_taken_and_afterwards_processed() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    app.redis.stop();
    load.until_answered(300).await;
    tokio::time::sleep(seconds(4, 20)).await;
    app.redis.restart().await;
    load.until_answered(200).await;
    assert_eq!(load.unanswered() + load.refused(), 0);
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_paused_webhooks_are_taken_and_afterwards_processed() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    app.redis.signal("STOP");
    load.until_answered(300).await;
    tokio::time::sleep(seconds(3, 5)).await;
    app.redis.signal("CONT");
    load.until_answered(200).await;
    assert_eq!(load.unanswered() + load.refused(), 0);
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cutting_all_connections_to_redis_loses_and_doubles_nothing() {
    let mut chance = Chance::new();
    let (mut app, load) = under_load(&mut chance).await;
    for _ in 0..rounds(8) {
        chance.moment(0..800).await;
        for kind in ["normal", "pubsub"] {
            app.redis.command::<i64>(&["CLIENT", "KILL", "TYPE", kind]).await;
        }
    }
    load.until_answered(200).await;
    assert_eq!(load.unanswered() + load.refused(), 0);
    load.finish().await.verify(&app).await;
    app.assert_all_live();
}
