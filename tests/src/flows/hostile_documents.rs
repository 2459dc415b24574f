//! Documents that are damaged, locked, huge, or made to hurt: the worker lives, and each says what is wrong with it.

use super::agents::Office;
use super::knowledge::{pdf, pdf_with};
use serde_json::json;
use std::io::{Cursor, Write};
use zip::{ZipWriter, write::SimpleFileOptions};

const PARAGRAPHS: &str = "<w:p><w:r><w:t>We open at nine.</w:t></w:r></w:p><w:p><w:r><w:t>We close at six.</w:t></w:r></w:p>";

/// A DOCX file with this text (<https://learn.microsoft.com/en-us/office/open-xml/word/structure-of-a-wordprocessingml-document>).
fn docx(body: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
    archive.write_all(b"<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>").unwrap();
    archive.write_all(body).unwrap();
    archive.write_all(b"</w:body></w:document>").unwrap();
    archive.finish().unwrap().into_inner()
}

#[tokio::test]
async fn bombs_and_locked_files_are_refused_with_their_reason() {
    let office = Office::open(false).await;
    // 100 MiB in a hundred KiB.
    let bomb = docx(&vec![b' '; 100 << 20]);
    assert!(bomb.len() < 1 << 20);
    let failed = office.knows("bomb.docx", &bomb).await;
    assert_eq!((&failed["status"], failed["error"].as_str().unwrap().contains("too")), (&json!("failed"), true), "{failed}");
    // Locked with a password that nobody gave (ISO 32000-1, 7.6.3).
    let lock = "<< /Filter /Standard /V 1 /R 2 /P -4 /O <0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20> \
                /U <2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40> >>";
    let id = "<00112233445566778899aabbccddeeff>";
    let locked = pdf_with(&["We open at nine."], &[lock], &format!("/Encrypt 6 0 R /ID [{id} {id}]"));
    let failed = office.knows("locked.pdf", &locked).await;
    assert_eq!((&failed["status"], failed["error"].as_str().unwrap().contains("encrypted")), (&json!("failed"), true), "{failed}");
    assert_eq!(office.count("knowledge_chunks").await, 0);
    assert_eq!(office.knows("again.docx", &docx(PARAGRAPHS.as_bytes())).await["status"], "ready");
}

#[tokio::test]
async fn a_docx_with_flipped_bits_is_read_or_refused_and_the_next_one_is_read() {
    let office = Office::open(false).await;
    let good = docx(PARAGRAPHS.as_bytes());
    let ready = office.knows("good.docx", &good).await;
    assert_eq!((&ready["status"], &ready["format"]), (&json!("ready"), &json!("docx")), "{ready}");
    let text = office.app.db.text("SELECT content FROM knowledge_chunks").await;
    assert!(text.contains("We open at nine.") && text.contains("We close at six."), "{text}");
    let mut refused = 0;
    for step in [5, 11, 23, 47, 97] {
        let mut flipped = good.clone();
        // Its first bytes and its directory say what it is: what has lost them is no document, and is not taken.
        let directory = good.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        flipped[60..directory].iter_mut().step_by(step).for_each(|byte| *byte ^= 0x10);
        let outcome = office.knows(&format!("flipped{step}.docx"), &flipped).await;
        match outcome["status"].as_str() {
            Some("failed") => {
                assert!(outcome["error"].as_str().unwrap().starts_with("the file"), "{outcome}");
                refused += 1;
            }
            other => assert_eq!(other, Some("ready"), "{outcome}"),
        }
    }
    assert!(refused > 0, "no flip did any harm");
    assert_eq!(office.knows("again.docx", &good).await["status"], "ready");
}

#[tokio::test]
async fn a_book_of_500_pages_is_known_to_its_last_page() {
    let office = Office::open(false).await;
    let lines: Vec<String> = (1..=500).map(|page| format!("Article {page} is kept in shelf number {}.", page * 7)).collect();
    let pages: Vec<&str> = lines.iter().map(String::as_str).collect();
    let ready = office.knows("book.pdf", &pdf(&pages)).await;
    assert_eq!((&ready["status"], &ready["page_count"]), (&json!("ready"), &json!(500)), "{ready}");
    let last = office.app.db.text("SELECT content FROM knowledge_chunks WHERE page = 500").await;
    assert!(last.contains("Article 500 is kept in shelf number 3500."), "{last}");
}
