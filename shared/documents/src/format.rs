//! What a file is.

use serde::{Deserialize, Serialize};
use std::io::Cursor;

/// A format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Pdf,
    Docx,
    Html,
    /// Also Markdown.
    Text,
}

/// A PDF may begin after some other bytes (<https://www.iso.org/standard/75839.html>, annex H: within the first 1,024).
const PDF_WITHIN: usize = 1_024;

impl Format {
    /// By what is in it. `None`: nothing that can be read.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.get(..bytes.len().min(PDF_WITHIN)).is_some_and(|head| head.windows(5).any(|window| window == b"%PDF-")) {
            return Some(Self::Pdf);
        }
        if bytes.starts_with(b"PK\x03\x04") {
            let archive = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
            return archive.index_for_name("word/document.xml").map(|_| Self::Docx);
        }
        let text = std::str::from_utf8(bytes).ok()?;
        if text.chars().take(4_096).any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}')) {
            return None;
        }
        let start = text.trim_start_matches('\u{feff}').trim_start();
        let start: String = start.chars().take(256).collect::<String>().to_ascii_lowercase();
        let is_html =
            start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<!--") && start.contains("<html");
        Some(if is_html { Self::Html } else { Self::Text })
    }

    /// As it is stored, and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Html => "html",
            Self::Text => "text",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_holds() {
        assert_eq!(Format::of(b"%PDF-1.7\n..."), Some(Format::Pdf));
        assert_eq!(Format::of(b"\n\njunk %PDF-1.4"), Some(Format::Pdf));
        assert_eq!(Format::of(b"# Opening hours\n\nNine to six."), Some(Format::Text));
        assert_eq!(Format::of("\u{feff}  <!DOCTYPE html><p>x".as_bytes()), Some(Format::Html));
        assert_eq!(Format::of(b"<html lang=en>"), Some(Format::Html));
        assert_eq!(Format::of(b"PK\x03\x04 not a zip"), None);
        assert_eq!(Format::of(b"\x89PNG\r\n\x1a\n"), None);
        assert_eq!(Format::of(b"a\x00b"), None);
        assert_eq!(Format::of(b"\xff\xfe\x00"), None);
    }
}
