//! A steady load in the background of a test, sent as a provider sends: what is refused or not answered comes again with the
//! same body, and now and then something comes twice for no reason.

use super::{
    chance::Chance,
    verify::{Book, Says},
};
use crate::harness::{App, OTHER_PHONE_NUMBER_ID, PATIENCE, PHONE_NUMBER_ID, change, echo, sign, status, until};
use serde_json::json;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::MissedTickBehavior};

/// Together these send 400 webhooks a second, if they are answered in time.
const SENDERS: usize = 32;
const PERIOD: Duration = Duration::from_millis(80);
const PHONES: usize = 300;

/// A load that runs until `finish`.
pub(super) struct Load {
    shared: Arc<Shared>,
    senders: JoinSet<()>,
}

struct Shared {
    http: reqwest::Client,
    url: String,
    stopping: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Clone)]
struct Webhook {
    body: String,
    says: Says,
}

impl Load {
    pub(super) fn start(app: &App, chance: &mut Chance) -> Self {
        let shared = Arc::new(Shared {
            http: app.http.clone(),
            url: app.url("/api/webhook"),
            stopping: AtomicBool::new(false),
            book: Mutex::default(),
        });
        let mut senders = JoinSet::new();
        for number in 0..SENDERS {
            let sender = Sender {
                shared: shared.clone(),
                chance: chance.fork(),
                name: format!("{number}"),
                made: 0,
                echoes: Vec::new(),
                later: VecDeque::new(),
            };
            senders.spawn(sender.run());
        }
        Self { shared, senders }
    }

    /// Waits until so many more webhooks were answered 200.
    pub(super) async fn until_answered(&self, more: usize) {
        let before = self.shared.book().ok;
        until("webhooks are answered 200", async || self.shared.book().ok >= before + more).await;
    }

    /// How often there was no answer at all.
    pub(super) fn unanswered(&self) -> usize {
        self.shared.book().unanswered
    }

    /// How many were answered 503.
    pub(super) fn refused(&self) -> usize {
        self.shared.book().refused
    }

    /// Sends nothing new any more, repeats what was not taken until it is, and returns what was sent.
    pub(super) async fn finish(mut self) -> Book {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let all = async {
            while let Some(ended) = self.senders.join_next().await {
                ended.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("what was refused before is taken in the end");
        let book = std::mem::take(&mut *self.shared.book());
        eprintln!("load: {book}");
        book
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// Sends a webhook; returns the status, or `None` if there was no answer.
    async fn deliver(&self, webhook: &Webhook) -> Option<u16> {
        self.book().sent(&webhook.says);
        let request = self.http.post(&self.url).header("x-hub-signature-256", sign(&webhook.body)).body(webhook.body.clone());
        let status = request.send().await.ok().map(|answer| answer.status().as_u16());
        self.book().answered(&webhook.says, status);
        status
    }
}

struct Sender {
    shared: Arc<Shared>,
    chance: Chance,
    name: String,
    made: usize,
    /// Ids of messages that receipts can be about.
    echoes: Vec<String>,
    /// What will be sent again, and not before when.
    later: VecDeque<(Instant, Webhook)>,
}

impl Sender {
    async fn run(mut self) {
        tokio::time::sleep(self.chance.millis(0..80)).await;
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_vain = false;
        loop {
            let stopping = self.shared.stopping.load(Ordering::Relaxed);
            if !stopping || in_vain {
                ticks.tick().await;
            }
            let due = self.later.front().is_some_and(|(at, _)| stopping || *at <= Instant::now());
            let webhook = match self.later.pop_front_if(|_| due) {
                Some((_, webhook)) => webhook,
                None if stopping => return,
                None => self.make(),
            };
            let answer = self.shared.deliver(&webhook).await;
            in_vain = answer != Some(200);
            let again = match answer {
                Some(200) => !stopping && self.chance.percent(10),
                // A provider gives up sometimes.
                None => !self.chance.percent(5),
                Some(_) => true,
            };
            if again {
                self.later.push_back((Instant::now() + self.chance.millis(100..1_000), webhook));
            }
        }
    }

    fn make(&mut self) -> Webhook {
        self.made += 1;
        let id = format!("wamid.{}.{}", self.name, self.made);
        let phone = format!("1555{:07}", self.chance.below(PHONES));
        match self.chance.below(100) {
            0..5 => {
                self.echoes.push(id.clone());
                Webhook { body: echo(&phone, &id), says: Says::Echo { id } }
            }
            5..25 if !self.echoes.is_empty() => {
                let id = self.chance.pick(&self.echoes).clone();
                let progress = *self.chance.pick(&["sent", "delivered", "read", "failed"]);
                Webhook { body: status(&id, progress), says: Says::Receipt { id, progress } }
            }
            _ => {
                let (tenant, channel) = *self.chance.pick(&[(1, PHONE_NUMBER_ID), (2, OTHER_PHONE_NUMBER_ID)]);
                let body = change(
                    channel,
                    &json!({
                        "contacts": [{"profile": {"name": format!("Customer {phone}")}, "wa_id": phone}],
                        "messages": [{"from": phone, "id": id, "timestamp": "1760000000", "type": "text", "text": {"body": format!("from +{phone}")}}]
                    }),
                );
                Webhook { body, says: Says::Text { tenant, id } }
            }
        }
    }
}
