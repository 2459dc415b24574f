//! The text of a DOCX file: paragraphs of `word/document.xml`, headings as Markdown
//! (<https://learn.microsoft.com/en-us/office/open-xml/word/working-with-paragraphs>).

use crate::{MOST_CHARS, Unreadable};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::io::{Cursor, Read};

/// More XML than this is not unpacked: an archive may promise terabytes.
const MOST_XML_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) fn text(bytes: &[u8]) -> Result<String, Unreadable> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let part = archive.by_name("word/document.xml").map_err(damaged)?;
    if part.encrypted() {
        return Err(Unreadable::Encrypted);
    }
    let mut xml = Vec::new();
    part.take(MOST_XML_BYTES + 1).read_to_end(&mut xml).map_err(damaged)?;
    if xml.len() as u64 > MOST_XML_BYTES {
        return Err(Unreadable::TooHard);
    }
    let xml = String::from_utf8(xml).map_err(damaged)?;
    paragraphs(&xml)
}

fn damaged(error: impl std::fmt::Display) -> Unreadable {
    Unreadable::Damaged(error.to_string().chars().take(200).collect())
}

fn paragraphs(xml: &str) -> Result<String, Unreadable> {
    let mut reader = Reader::from_str(xml);
    let (mut text, mut paragraph, mut heading, mut in_text) = (String::new(), String::new(), 0_usize, false);
    loop {
        match reader.read_event().map_err(damaged)? {
            Event::Start(start) => match start.local_name().as_ref() {
                "t" => in_text = true,
                "p" => {
                    paragraph.clear();
                    heading = 0;
                }
                "pStyle" => heading = level(&start),
                _ => {}
            },
            Event::Empty(start) => match start.local_name().as_ref() {
                "pStyle" => heading = level(&start),
                "tab" => paragraph.push('\t'),
                "br" | "cr" => paragraph.push('\n'),
                _ => {}
            },
            Event::Text(words) if in_text => paragraph.push_str(&words),
            Event::GeneralRef(name) if in_text => paragraph.push_str(&reference(&name)),
            Event::End(end) => match end.local_name().as_ref() {
                "t" => in_text = false,
                "p" if !paragraph.trim().is_empty() => {
                    if heading > 0 {
                        text.push_str(&"#".repeat(heading));
                        text.push(' ');
                    }
                    text.push_str(paragraph.trim_end());
                    text.push_str("\n\n");
                    paragraph.clear();
                }
                _ => {}
            },
            Event::Eof => return Ok(text),
            _ => {}
        }
        if text.len() + paragraph.len() > MOST_CHARS {
            return Err(Unreadable::TooLong(MOST_CHARS));
        }
    }
}

/// `Heading2` is a heading of the second level.
fn level(style: &BytesStart<'_>) -> usize {
    let value = style.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == "val");
    let value = value.map(|attribute| attribute.value.to_ascii_lowercase()).unwrap_or_default();
    value.strip_prefix("heading").and_then(|level| level.parse().ok()).filter(|level| (1..=6).contains(level)).unwrap_or(0)
}

/// The five of XML, and numbers; others would need a DTD, which is never read.
fn reference(name: &str) -> String {
    let code = name.strip_prefix("#x").map(|hex| u32::from_str_radix(hex, 16)).or_else(|| name.strip_prefix('#').map(str::parse));
    match (name, code) {
        ("amp", _) => "&".to_owned(),
        ("lt", _) => "<".to_owned(),
        ("gt", _) => ">".to_owned(),
        ("quot", _) => "\"".to_owned(),
        ("apos", _) => "'".to_owned(),
        (_, Some(Ok(code))) => char::from_u32(code).map(String::from).unwrap_or_default(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_headings_become_markdown() {
        let xml = r#"<?xml version="1.0"?><w:document xmlns:w="x"><w:body>
            <w:p><w:pPr><w:pStyle w:val="Heading2"/></w:pPr><w:r><w:t>Hours</w:t></w:r></w:p>
            <w:p><w:r><w:t xml:space="preserve">Nine </w:t></w:r><w:r><w:t>to six &amp; later&#33;</w:t><w:br/></w:r></w:p><w:p/></w:body></w:document>"#;
        assert_eq!(paragraphs(xml).unwrap(), "## Hours\n\nNine to six & later!\n\n");
    }

    #[test]
    fn what_is_no_document_is_said_to_be_damaged() {
        assert!(matches!(text(b"PK\x03\x04"), Err(Unreadable::Damaged(_))));
        assert!(matches!(paragraphs("<w:p><w:t>x</w:p>"), Err(Unreadable::Damaged(_))));
    }
}
