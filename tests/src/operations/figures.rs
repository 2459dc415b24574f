//! What operators are shown as numbers is so: how old a queue is.

use crate::harness::{App, until};
use serde_json::{Value, json};
use store::ledger::{self, Depth};

/// The queue of probes on the overview.
async fn probes(app: &App) -> Value {
    let overview = app.ops("GET", "overview", Value::Null).await.expect(200);
    overview["queues"].as_array().unwrap().iter().find(|queue| queue["queue"] == "probes").unwrap().clone()
}

#[tokio::test]
async fn what_is_held_or_was_put_off_does_not_make_a_queue_old() {
    let app = App::start_api_only().await;
    app.db
        .run(
            "INSERT INTO job_pauses (what, paused_by) VALUES ('tenant:1', 'test'), ('kind:held', 'test');
             INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args, errors, created_at)
             SELECT gen_random_uuid(), kind, 'probes', tenant, 5, '{}', errors::jsonb, now() - interval '1 hour'
             FROM (VALUES ('probe', 1, '[]'), ('held', 2, '[]'), ('probe', 3, '[{\"class\": \"waiting\", \"message\": \"its turn\"}]')) job(kind, tenant, errors)",
        )
        .await;
    let queue = probes(&app).await;
    assert_eq!((&queue["ready"], &queue["oldest_s"]), (&json!(3), &Value::Null), "{queue}");
    let depth = async || ledger::depth(app.db.pool(), "probes").await.unwrap();
    assert_eq!(depth().await, Depth { ready: 3, delayed: 0, oldest_seconds: 0.0 });
    app.ops("POST", "resume", json!({"what": "tenant:1"})).await.expect(200);
    until("the queue is an hour old", async || probes(&app).await["oldest_s"].as_f64().is_some_and(|age| age > 3_500.0)).await;
    assert!(depth().await.oldest_seconds > 3_500.0);
    app.ops("POST", "pauses", json!({"what": "queue:probes"})).await.expect(200);
    assert_eq!(depth().await, Depth { ready: 3, delayed: 0, oldest_seconds: 0.0 }, "nobody is to be called for a queue that is paused");
}
