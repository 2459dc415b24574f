//! Property: in whatever order and company receipts and their messages arrive, the furthest status stays.

use crate::harness::Database;
use chrono::{DateTime, TimeDelta};
use domain::{
    ChannelEvent, ChannelInstanceId, ChannelType, DeliveryStatus, Direction, EventBody, NewMessage, PersonRef, RawEventId, StatusUpdate,
    TenantId,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sqlx::Row;
use std::collections::BTreeMap;
use store::{
    PgPool, StoreError,
    channel_instances::ChannelRef,
    inbound::{self, Located, PeopleCache},
};
use uuid::Uuid;

/// About one of a few messages: the message itself, or a receipt.
#[derive(Clone, Debug)]
struct Step {
    message: usize,
    /// `None`: the message, as an echo.
    receipt: Option<DeliveryStatus>,
}

const MESSAGES: usize = 3;

fn steps() -> impl Strategy<Value = (Vec<Step>, Vec<usize>)> {
    let receipt = prop::sample::select(vec![DeliveryStatus::Sent, DeliveryStatus::Delivered, DeliveryStatus::Read, DeliveryStatus::Failed]);
    let step = (0..MESSAGES, prop::option::weighted(0.8, receipt)).prop_map(|(message, receipt)| Step { message, receipt });
    // The sizes of the batches in which they are written.
    (prop::collection::vec(step, 1..16), prop::collection::vec(1_usize..5, 16))
}

fn located(channel: ChannelRef, case: &str, step: &Step) -> Located {
    let external_id = format!("{case}.{}", step.message);
    let body = match step.receipt {
        Some(status) => EventBody::Status(StatusUpdate { external_id, message_id: None, status, at: None, errors: None }),
        None => EventBody::Message(Box::new(NewMessage {
            external_id,
            direction: Direction::Outbound,
            from_business_phone: true,
            may_be_ours: false,
            person: PersonRef { phone: Some("15551230001".to_owned()), ..PersonRef::default() },
            message_type: "text".to_owned(),
            content: Some("hello".to_owned()),
            media: None,
            reply_to: None,
            sent_at: None,
            meta: serde_json::Value::Null,
        })),
    };
    Located {
        channel,
        raw_event_id: RawEventId::generate(),
        received_at: DateTime::UNIX_EPOCH,
        event: ChannelEvent { channel_external_id: None, position: 0, body },
    }
}

/// Writes one batch as a job does: again when it lost a race.
async fn write(pool: &PgPool, cache: &PeopleCache, batch: &[Located]) {
    for _ in 0..20 {
        let mut tx = pool.begin().await.unwrap();
        match inbound::write(&mut tx, cache, batch, TimeDelta::hours(1)).await {
            Ok(mut written) => {
                tx.commit().await.unwrap();
                return written.remember(cache);
            }
            Err(StoreError::Stale(_) | StoreError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("twenty races were lost");
}

fn furthest(steps: &[Step]) -> BTreeMap<usize, &'static str> {
    let mut expected: BTreeMap<usize, DeliveryStatus> = BTreeMap::new();
    for step in steps {
        let status = step.receipt.unwrap_or(DeliveryStatus::Sent);
        let known = expected.entry(step.message).or_insert(status);
        *known = known.advance(status);
    }
    expected.into_iter().map(|(message, status)| (message, status.as_str())).collect()
}

async fn stored(pool: &PgPool, case: &str) -> BTreeMap<usize, String> {
    let sql = format!("SELECT split_part(external_id, '.', 2), status FROM chat_messages WHERE external_id LIKE '{case}.%'");
    let rows = sqlx::Executor::fetch_all(pool, sqlx::AssertSqlSafe(sql)).await.unwrap();
    rows.iter().map(|row| (row.get::<&str, _>(0).parse().unwrap(), row.get(1))).collect()
}

#[test]
fn the_furthest_status_stays_in_whatever_order_receipts_arrive() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(Database::create());
    let channel = runtime.block_on(async { db.text("SELECT id::text FROM channel_instances WHERE tenant_id = 1").await });
    let channel =
        ChannelRef { tenant_id: TenantId(1), id: ChannelInstanceId(Uuid::parse_str(&channel).unwrap()), kind: ChannelType::WhatsApp };
    let mut runner =
        TestRunner::new(Config { cases: if super::full() { 500 } else { 60 }, failure_persistence: None, ..Config::default() });
    let result = runner.run(&steps(), |(steps, sizes)| {
        let case = Uuid::now_v7().simple().to_string();
        let mut batches = Vec::new();
        let mut rest = steps.as_slice();
        for size in sizes {
            let (batch, later) = rest.split_at(size.min(rest.len()));
            batches.push(batch.iter().map(|step| located(channel, &case, step)).collect::<Vec<_>>());
            rest = later;
        }
        batches.retain(|batch| !batch.is_empty());
        let found = runtime.block_on(async {
            // Two processes, each with its own cache, take every other batch.
            let (one, other) = (PeopleCache::default(), PeopleCache::default());
            let work = async |cache: &PeopleCache, first: usize| {
                for batch in batches.iter().skip(first).step_by(2) {
                    write(db.pool(), cache, batch).await;
                }
            };
            tokio::join!(work(&one, 0), work(&other, 1));
            stored(db.pool(), &case).await
        });
        let expected: BTreeMap<usize, String> =
            furthest(&steps).into_iter().map(|(message, status)| (message, status.to_owned())).collect();
        prop_assert_eq!(found, expected);
        Ok(())
    });
    result.unwrap();
}
