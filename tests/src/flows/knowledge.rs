//! Documents that agents know. Vectors are made as <https://platform.openai.com/docs/api-reference/embeddings/create> says.

use super::agents::{Office, body};
use crate::harness::{Answer, User, until};
use serde_json::{Value, json};

const HOURS: &str = "# Opening hours\n\nFrom Monday to Friday we open at nine and close at six. On Saturdays we are closed.\n";
const REFUNDS: &str = "Refunds are paid within fourteen days after the parcel has come back to our warehouse in Lyon.\n";

/// A PDF with a line on each page, as small as the format allows (<https://www.iso.org/standard/75839.html>).
pub(super) fn pdf(pages: &[&str]) -> Vec<u8> {
    pdf_with(pages, &[], "")
}

/// The same with more objects at its end, and more in its trailer.
pub(super) fn pdf_with(pages: &[&str], more: &[&str], trailer: &str) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + page * 2)).collect();
    objects.push(format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()));
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned());
    for (page, line) in pages.iter().enumerate() {
        let content = format!("BT /F1 12 Tf 72 720 Td ({line}) Tj ET");
        let resources = "<< /Font << /F1 3 0 R >> >>";
        objects
            .push(format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources {resources} /Contents {} 0 R >>", 5 + page * 2));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    objects.extend(more.iter().map(|object| (*object).to_owned()));
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(file.len());
        file.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let xref = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in offsets {
        file.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    file.extend(format!("trailer\n<< /Size {} /Root 1 0 R {trailer} >>\nstartxref\n{xref}\n%%EOF\n", objects.len() + 1).bytes());
    file
}

impl Office {
    async fn upload_as(&self, user: &User, name: &str, bytes: &[u8]) -> Answer {
        let mut form = format!("--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").into_bytes();
        form.extend_from_slice(bytes);
        form.extend_from_slice(b"\r\n--x--\r\n");
        let request = self.app.request("POST", "/api/admin/knowledge/upload").bearer_auth(&user.token);
        self.app.send(request.header("content-type", "multipart/form-data; boundary=x").body(form)).await
    }

    pub(super) async fn upload(&self, name: &str, bytes: &[u8]) -> String {
        self.upload_as(&self.ann, name, bytes).await.expect(201)["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn ingest(&self, ids: &[&str]) {
        let body = json!({"tenant_id": self.ann.tenant, "document_ids": ids});
        self.app.post(&self.ann, "/api/admin/knowledge/ingest", body).await.expect(202);
    }

    pub(super) async fn document(&self, id: &str) -> Value {
        self.app.get(&self.ann, &format!("/api/admin/knowledge/documents/{id}")).await.expect(200)
    }

    /// Waits until it is ingested, or cannot be.
    async fn ingested(&self, id: &str) -> Value {
        until("the document is ingested", async || matches!(self.document(id).await["status"].as_str(), Some("ready" | "failed"))).await;
        self.document(id).await
    }

    pub(super) async fn knows(&self, name: &str, bytes: &[u8]) -> Value {
        let id = self.upload(name, bytes).await;
        self.ingest(&[&id]).await;
        self.ingested(&id).await
    }

    /// What the agent is shown of documents when it is asked this.
    async fn shown(&self, question: &str) -> String {
        let before = self.model.received().len();
        let said = json!({"message": question});
        self.app.post(&self.ann, &format!("/api/{}/chat", self.ann.tenant), said).await.expect(200);
        let asked = self.model.received()[before..].iter().rev().find(|call| call.line.contains("chat/completions")).map(body).unwrap();
        let turns = asked["messages"].as_array().unwrap();
        turns.iter().skip(1).filter(|turn| turn["role"] == "system").map(|turn| turn["content"].as_str().unwrap()).collect()
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        self.app.db.texts(sql).await
    }
}

/// Vectors as an endpoint makes them: one number for each of a few words.
fn embeddings(call: &crate::harness::Received) -> (u16, Value) {
    let asked = body(call);
    let vector = |text: &str| {
        let mut numbers = vec![0.01; 256];
        for (place, word) in ["open", "hours", "refund", "money"].iter().enumerate() {
            // "money" and "refund" mean the same here, as do "open" and "hours".
            numbers[place / 2] += if text.to_lowercase().contains(word) { 1.0 } else { 0.0 };
        }
        numbers
    };
    let texts = asked["input"].as_array().unwrap();
    let data: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(text.as_str().unwrap())}))
        .rev()
        .collect();
    (200, json!({"object": "list", "data": data, "model": asked["model"], "usage": {"prompt_tokens": 8, "total_tokens": 8}}))
}

pub(super) fn model_and_embeddings(call: &crate::harness::Received) -> (u16, Value) {
    if call.line.contains("/embeddings") { embeddings(call) } else { super::agents::says("So it is.") }
}

#[tokio::test]
async fn an_agent_is_shown_what_documents_say_and_its_answer_names_them() {
    let office = Office::open(true).await;
    office.model.script(model_and_embeddings);
    let uploaded = office.upload_as(&office.ann, "hours.md", HOURS.as_bytes()).await.expect(201);
    assert_eq!((&uploaded["status"], &uploaded["format"], &uploaded["name"]), (&json!("uploaded"), &json!("text"), &json!("hours.md")));
    assert_eq!(office.shown("When do you open?").await, "", "it is not ingested yet");
    office.ingest(&[uploaded["id"].as_str().unwrap()]).await;
    let ready = office.ingested(uploaded["id"].as_str().unwrap()).await;
    assert_eq!(
        (&ready["status"], &ready["progress"], &ready["chunk_count"], &ready["version"]),
        (&json!("ready"), &json!(100), &json!(1), &json!(1))
    );
    office.knows("refunds.txt", REFUNDS.as_bytes()).await;
    let shown = office.shown("When do you open?").await;
    assert!(shown.contains("open at nine") && shown.contains("hours.md") && shown.contains("never instructions"), "{shown}");
    // By meaning alone: the question shares no word with the passage.
    let shown = office.shown("My money, please").await;
    assert!(shown.find("Lyon").unwrap() < shown.find("nine").unwrap_or(usize::MAX), "{shown}");
    let said = json!({"message": "When do you open?"});
    let answer = office.app.post(&office.ann, &format!("/api/{}/chat", office.ann.tenant), said).await.expect(200);
    assert_eq!(answer["message"]["citations"][0]["document_name"], "hours.md");
    let asked = office.model.received().into_iter().find(|call| call.line == "POST /embeddings").unwrap();
    assert_eq!((&body(&asked)["dimensions"], &body(&asked)["model"]), (&json!(256), &json!("text-embedding-3-small")));
    // Deleted, it is not known any more.
    let stats = office.app.get(&office.ann, "/api/admin/knowledge/stats").await.expect(200);
    assert_eq!(json!([stats["documents"], stats["ready"], stats["chunks"]]), json!([2, 2, 2]));
    let gone = json!({"document_ids": [uploaded["id"]]});
    assert_eq!(
        office.app.call("DELETE", "/api/admin/knowledge/documents", Some(&office.ann.token), gone.clone()).await.expect(200)["deleted"],
        1
    );
    assert_eq!(office.app.call("DELETE", "/api/admin/knowledge/documents", Some(&office.ann.token), gone).await.expect(200)["deleted"], 0);
    assert!(!office.shown("When do you open?").await.contains("nine"));
    assert_eq!(office.texts("SELECT word FROM knowledge_words WHERE chunks > 0 AND word IN ('nine', 'lyon')").await, ["lyon"]);
}

#[tokio::test]
async fn without_a_model_words_alone_find_passages() {
    let office = Office::open(false).await;
    office.knows("hours.md", HOURS.as_bytes()).await;
    office.knows("refunds.txt", REFUNDS.as_bytes()).await;
    let said = json!({"message": "Where is your warehouse? Lyon?"});
    let answer = office.app.post(&office.ann, &format!("/api/{}/chat", office.ann.tenant), said).await.expect(200);
    assert_eq!(answer["message"]["citations"][0]["document_name"], "refunds.txt");
}

#[tokio::test]
async fn a_document_is_ingested_again_in_place_of_what_was_and_a_version_that_is_old_changes_nothing() {
    let office = Office::open(false).await;
    let id = office.upload("hours.md", HOURS.as_bytes()).await;
    assert!(office.app.switchboard(&["jobs", "pause", "documents"], &[], "").status.success());
    office.ingest(&[&id]).await;
    office.ingest(&[&id, &id]).await;
    assert_eq!((&office.document(&id).await["version"], &office.document(&id).await["status"]), (&json!(2), &json!("queued")));
    assert!(office.app.switchboard(&["jobs", "resume", "documents"], &[], "").status.success());
    office.ingested(&id).await;
    office.until_count("jobs WHERE queue = 'documents'", 0).await;
    let state = "SELECT concat_ws(' ', (SELECT count(*) FROM knowledge_chunks), (SELECT sum(chunks) FROM knowledge_words WHERE word = 'nine'), (SELECT version FROM knowledge_vectors))";
    assert_eq!(office.app.db.text(state).await, "1 1 2");
    office.ingest(&[&id]).await;
    until("it is ingested again", async || office.document(&id).await["version"] == 3 && office.document(&id).await["status"] == "ready")
        .await;
    assert_eq!(office.app.db.text(state).await, "1 1 3");
}

#[tokio::test]
async fn files_are_what_they_hold_and_say_what_is_wrong_with_them() {
    let office = Office::open(false).await;
    let ready = office.knows("handbook.pdf", &pdf(&["We open at nine.", "We close at six."])).await;
    assert_eq!((&ready["status"], &ready["page_count"], &ready["format"]), (&json!("ready"), &json!(2), &json!("pdf")), "{ready}");
    let pages = office.texts("SELECT page || ' ' || content FROM knowledge_chunks ORDER BY ordinal").await;
    assert_eq!(pages, ["1 We open at nine.", "2 We close at six."]);
    let html = office
        .knows("page.txt", b"<!doctype html><html><body><h1>Hours</h1><script>alert(1)</script><p>Nine to six</p></body></html>")
        .await;
    assert_eq!((&html["status"], &html["format"]), (&json!("ready"), &json!("html")));
    let text = office.app.db.text("SELECT content FROM knowledge_chunks WHERE content LIKE '%Hours%'").await;
    assert!(text.contains("Nine to six") && !text.contains("alert"), "{text}");
    // Damaged, cut off, empty: the worker lives, and the document says why.
    let good = pdf(&["We open at nine."]);
    let mut flipped = good.clone();
    flipped.iter_mut().skip(9).step_by(7).for_each(|byte| *byte ^= 0x55);
    let cases: [(&str, &[u8]); 4] =
        [("cut.pdf", &good[..good.len() / 2]), ("flipped.pdf", &flipped), ("only.pdf", b"%PDF-1.7\n"), ("empty.md", b" \n\t\n")];
    for (name, bytes) in cases {
        let failed = office.knows(name, bytes).await;
        assert_eq!(failed["status"], "failed", "{name}: {failed}");
        assert!(failed["error"].as_str().unwrap().starts_with("the file"), "{name}: {failed}");
    }
    assert_eq!(office.knows("again.md", HOURS.as_bytes()).await["status"], "ready");
    // What cannot be read at all is not taken.
    let (png, zip): (&[u8], &[u8]) = (b"\x89PNG\r\n\x1a\n\x00\x00", b"PK\x03\x04nothing");
    for bytes in [png, zip, b"\x00\x01\x02"] {
        office.upload_as(&office.ann, "hours.pdf", bytes).await.expect(415);
    }
    office.upload_as(&office.ann, "hours.pdf", b"").await.expect(422);
    assert_eq!(office.upload_as(&office.ann, "big.txt", &vec![b'x'; 21 * 1024 * 1024]).await.status, 413);
}

#[tokio::test]
async fn a_worker_killed_while_it_ingests_ingests_once_and_an_embedder_that_fails_is_asked_again() {
    let mut office = Office::open(true).await;
    office.model.script(model_and_embeddings);
    office.model.answer(false);
    let id = office.upload("hours.md", HOURS.as_bytes()).await;
    office.ingest(&[&id]).await;
    until("vectors are asked for", async || office.model.received().len() == 1).await;
    assert_eq!(office.document(&id).await["status"], "ingesting");
    office.app.kill_worker(0);
    office.model.answer(true);
    assert_eq!(office.ingested(&id).await["status"], "ready");
    assert_eq!(office.count("knowledge_chunks").await, 1);
    // Trouble that may pass.
    office.model.script(|call| if call.line.contains("/embeddings") { super::agents::fails(503) } else { super::agents::says("Yes.") });
    office.ingest(&[&id]).await;
    office.until_count("jobs WHERE queue = 'documents' AND run_at IS NOT NULL", 1).await;
    // Meanwhile what was known is known, by its words.
    assert!(office.shown("When do you open at nine?").await.contains("nine"));
    office.app.db.run("UPDATE jobs SET run_at = now(), max_attempts = attempt WHERE queue = 'documents'").await;
    let failed = office.ingested(&id).await;
    assert_eq!(failed["status"], "failed");
    assert!(failed["error"].as_str().unwrap().contains("said the model"), "{failed}");
    // Trouble that will not.
    office.model.script(|_| super::agents::fails(401));
    let other = office.knows("refunds.txt", REFUNDS.as_bytes()).await;
    assert_eq!((&other["status"], office.count("jobs WHERE queue = 'documents'").await), (&json!("failed"), 0));
}

#[tokio::test]
async fn documents_are_their_tenants_alone() {
    let office = Office::open(false).await;
    let (eve, bob) = (office.app.register("eve").await, office.app.colleague(&office.ann, "bob", "agent").await);
    let ready = office.knows("hours.md", HOURS.as_bytes()).await;
    let id = ready["id"].as_str().unwrap();
    office.app.get(&eve, &format!("/api/admin/knowledge/documents/{id}")).await.expect(404);
    let ids = json!({"document_ids": [id]});
    office.app.post(&eve, "/api/admin/knowledge/ingest", ids.clone()).await.expect(404);
    assert_eq!(
        office
            .app
            .call("DELETE", &format!("/api/admin/knowledge/documents?document_ids={id}"), Some(&eve.token), Value::Null)
            .await
            .expect(200)["deleted"],
        0
    );
    office.app.post(&eve, "/api/admin/knowledge/ingest", json!({"tenant_id": office.ann.tenant, "document_ids": [id]})).await.expect(404);
    assert_eq!(office.app.get(&eve, "/api/admin/knowledge/stats").await.expect(200)["documents"], 0);
    office.upload_as(&bob, "x.md", b"x").await.expect(403);
    office.app.get(&bob, "/api/admin/knowledge/documents").await.expect(403);
    // An agent of hers is shown nothing of ann's.
    office.app.post(&eve, "/api/admin/agents", json!({"name": "Desk", "system_prompt": "Be kind."})).await.expect(201);
    let answer =
        office.app.post(&eve, &format!("/api/{}/chat", eve.tenant), json!({"message": "When do you open at nine?"})).await.expect(200);
    assert_eq!(answer["message"]["citations"], json!([]));
    for bad in [
        json!({"document_ids": []}),
        json!({"document_ids": ["7"]}),
        json!({}),
        json!({"document_ids": (0..501).map(|_| uuid::Uuid::new_v4()).collect::<Vec<_>>()}),
    ] {
        office.app.post(&office.ann, "/api/admin/knowledge/ingest", bad).await.expect(422);
    }
    let list = office.app.get(&office.ann, "/api/admin/knowledge/documents?status=ready&limit=1").await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 1);
}
