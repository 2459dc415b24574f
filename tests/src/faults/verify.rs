//! What was sent, compared with what is stored.

use crate::harness::{App, Database};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a webhook says.
#[derive(Clone, Debug)]
pub(super) enum Says {
    Text {
        tenant: i32,
        id: String,
    },
    /// A message that the first tenant sent from its own phone.
    Echo {
        id: String,
    },
    /// About a message of the first tenant.
    Receipt {
        id: String,
        progress: &'static str,
    },
}

/// Everything that was sent, and how it was answered.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// True: it was answered 200 at least once.
    texts: BTreeMap<String, bool>,
    echoes: BTreeMap<String, bool>,
    /// The furthest receipt that was answered 200 (0: none), and the furthest that was sent.
    receipts: HashMap<String, (u8, u8)>,
    pub(super) ok: usize,
    pub(super) refused: usize,
    pub(super) unanswered: usize,
    /// Answers that no provider should get.
    others: BTreeSet<u16>,
}

/// A message's progress, in the order in which it may only grow.
const PROGRESS: [&str; 4] = ["sent", "failed", "delivered", "read"];

fn rank(progress: &str) -> u8 {
    u8::try_from(1 + PROGRESS.iter().position(|known| *known == progress).unwrap_or_else(|| panic!("status {progress}"))).unwrap()
}

impl std::fmt::Display for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (texts, echoes, receipts) = (self.texts.len(), self.echoes.len(), self.receipts.len());
        let (ok, refused, unanswered) = (self.ok, self.refused, self.unanswered);
        write!(f, "{texts} texts, {echoes} echoes, receipts for {receipts}; answered {ok} with 200, {refused} with 503, {unanswered} not")
    }
}

impl Book {
    pub(super) fn sent(&mut self, says: &Says) {
        match says {
            Says::Text { tenant, id } => _ = self.texts.entry(format!("{tenant} {id}")).or_default(),
            Says::Echo { id } => _ = self.echoes.entry(format!("1 {id}")).or_default(),
            Says::Receipt { id, progress } => {
                let (_, sent) = self.receipts.entry(format!("1 {id}")).or_default();
                *sent = rank(progress).max(*sent);
            }
        }
    }

    pub(super) fn answered(&mut self, says: &Says, status: Option<u16>) {
        match status {
            Some(200) => self.ok += 1,
            Some(503) => self.refused += 1,
            Some(other) => _ = self.others.insert(other),
            None => self.unanswered += 1,
        }
        if status != Some(200) {
            return;
        }
        match says {
            Says::Text { tenant, id } => *self.texts.get_mut(&format!("{tenant} {id}")).unwrap() = true,
            Says::Echo { id } => *self.echoes.get_mut(&format!("1 {id}")).unwrap() = true,
            Says::Receipt { id, progress } => {
                let (taken, _) = self.receipts.get_mut(&format!("1 {id}")).unwrap();
                *taken = rank(progress).max(*taken);
            }
        }
    }

    /// Waits until everything is processed, then fails if anything is missing, doubled, or not what was sent.
    pub(super) async fn verify(&self, app: &App) {
        app.drain().await;
        let wrong = self.discrepancies(&app.db).await;
        assert!(wrong.is_empty(), "{} discrepancies: {:#?}", wrong.len(), wrong.iter().take(30).collect::<Vec<_>>());
        let panicked = app.log_lines("panicked");
        assert!(panicked.is_empty(), "{panicked:#?}");
    }

    pub(super) async fn discrepancies(&self, db: &Database) -> Vec<String> {
        let mut wrong: Vec<String> = self.others.iter().map(|status| format!("a webhook was answered {status}")).collect();
        let stored = db.texts("SELECT tenant_id || ' ' || external_id FROM chat_messages WHERE direction = 'inbound'").await;
        compare("text", &self.texts, &stored, &mut wrong);
        let stored = db
            .texts("SELECT tenant_id || ' ' || external_id FROM chat_messages WHERE direction = 'outbound' AND conversation_id IS NOT NULL")
            .await;
        compare("echo", &self.echoes, &stored, &mut wrong);
        self.compare_progress(db, &mut wrong).await;
        let taken = i64::try_from(self.ok).unwrap();
        if db.count("SELECT count(*) FROM raw_webhook_events").await < taken {
            wrong.push(format!("fewer raw events than the {taken} webhooks that were answered 200"));
        }
        for (what, rows) in INVARIANTS {
            wrong.extend(db.texts(rows).await.into_iter().map(|row| format!("{what}: {row}")));
        }
        wrong
    }

    async fn compare_progress(&self, db: &Database, wrong: &mut Vec<String>) {
        let rows =
            db.texts("SELECT tenant_id || ' ' || external_id || ' ' || status FROM chat_messages WHERE direction = 'outbound'").await;
        let mut stored: HashMap<&str, u8> =
            rows.iter().filter_map(|row| row.rsplit_once(' ')).map(|(id, status)| (id, rank(status))).collect();
        for (id, (taken, sent)) in &self.receipts {
            // A receipt that was never taken may have made no row.
            match stored.remove(id.as_str()) {
                Some(progress) if (*taken..=*sent).contains(&progress) => {}
                None if *taken == 0 => {}
                other => wrong.push(format!("progress of {id} is {other:?}, sent up to {sent}, taken up to {taken}")),
            }
        }
        wrong.extend(
            stored
                .iter()
                .filter(|(_, progress)| **progress > 1)
                .map(|(id, progress)| format!("progress of {id} is {progress}, but no receipt was sent")),
        );
    }
}

/// Each acknowledged one once, each other one at most once, and nothing else.
fn compare(what: &str, sent: &BTreeMap<String, bool>, stored: &[String], wrong: &mut Vec<String>) {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for id in stored {
        *times.entry(id).or_default() += 1;
    }
    for (id, acknowledged) in sent {
        match times.remove(id.as_str()).unwrap_or(0) {
            0 if *acknowledged => wrong.push(format!("{what} {id} is lost")),
            0 | 1 => {}
            more => wrong.push(format!("{what} {id} is there {more} times")),
        }
    }
    wrong.extend(times.keys().map(|id| format!("{what} {id} was never sent")));
}

/// Each query returns what contradicts it.
const INVARIANTS: [(&str, &str); 9] = [
    ("running", "SELECT id::text FROM jobs WHERE state = 'running'"),
    ("done twice", "SELECT id::text FROM jobs_done GROUP BY id HAVING count(*) > 1"),
    ("done and dead", "SELECT id::text FROM jobs_done JOIN jobs_dead USING (id)"),
    ("done and live", "SELECT id::text FROM jobs_done JOIN jobs USING (id)"),
    (
        "unread_count",
        "SELECT c.id || ' has ' || c.unread_count || ', messages ' || count(m.id)
         FROM chat_conversations c LEFT JOIN chat_messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id AND m.direction = 'inbound'
         GROUP BY c.tenant_id, c.id HAVING c.unread_count <> count(m.id)",
    ),
    (
        "human_epoch",
        "SELECT c.id || ' has ' || c.human_epoch || ', interventions ' || count(m.id)
         FROM chat_conversations c LEFT JOIN chat_messages m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.id AND m.human_override
         GROUP BY c.tenant_id, c.id HAVING c.human_epoch <> count(m.id)",
    ),
    (
        "live conversations",
        "SELECT customer_id::text FROM chat_conversations WHERE status <> 'closed' GROUP BY tenant_id, channel_instance_id, customer_id HAVING count(*) > 1",
    ),
    ("customers", "SELECT phone_number FROM customers GROUP BY tenant_id, phone_number HAVING count(*) > 1"),
    (
        "somebody else's conversation",
        "SELECT m.external_id FROM chat_messages m
         LEFT JOIN chat_conversations v ON v.tenant_id = m.tenant_id AND v.id = m.conversation_id
         LEFT JOIN customers c ON c.tenant_id = v.tenant_id AND c.id = v.customer_id
         WHERE m.direction = 'inbound' AND m.content LIKE 'from %' AND m.content IS DISTINCT FROM 'from ' || c.phone_number",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_comparison_notices_what_is_lost_doubled_or_wrong() {
    let (app, load) = super::under_load(&mut super::Chance::new()).await;
    let book = load.finish().await;
    book.verify(&app).await;
    app.db.run("DROP INDEX chat_messages_external; DROP INDEX chat_conversations_live").await;
    for (harm, noticed) in [
        ("DELETE FROM chat_messages WHERE id = (SELECT id FROM chat_messages WHERE direction = 'inbound' LIMIT 1)", "is lost"),
        (
            "INSERT INTO chat_messages SELECT tenant_id, gen_random_uuid(), conversation_id, channel_instance_id, external_id, direction, message_type, status, human_override, channel_source, content, NULL, NULL, NULL, NULL, NULL, sent_at
             FROM chat_messages WHERE direction = 'inbound' LIMIT 1",
            "is there 2 times",
        ),
        ("UPDATE chat_messages SET external_id = 'another' WHERE id = (SELECT id FROM chat_messages WHERE direction = 'inbound' LIMIT 1)", "was never sent"),
        ("UPDATE chat_conversations SET unread_count = unread_count + 1 WHERE id = (SELECT id FROM chat_conversations LIMIT 1)", "unread_count: "),
        ("UPDATE chat_conversations SET human_epoch = human_epoch + 1 WHERE id = (SELECT id FROM chat_conversations LIMIT 1)", "human_epoch: "),
        (
            "UPDATE chat_messages SET direction = 'outbound', status = 'read' WHERE id = (SELECT id FROM chat_messages WHERE direction = 'inbound' LIMIT 1)",
            "progress of ",
        ),
        ("INSERT INTO jobs_done SELECT * FROM jobs_done LIMIT 1", "done twice: "),
        ("DELETE FROM raw_webhook_events", "fewer raw events"),
        (
            "INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, channel_source)
             SELECT tenant_id, gen_random_uuid(), channel_instance_id, customer_id, channel_source FROM chat_conversations LIMIT 1",
            "live conversations: ",
        ),
    ] {
        app.db.run(harm).await;
        let wrong = book.discrepancies(&app.db).await;
        assert!(wrong.iter().any(|line| line.contains(noticed)), "{harm}: {wrong:?}");
    }
}
