#![doc = include_str!("../README.md")]

mod chunk;
mod docx;
mod format;
mod process;

pub use chunk::{Chunk, chunks};
pub use format::Format;
pub use process::{EXTRACT, extract, serve_extraction};

use serde::{Deserialize, Serialize};

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// Pages of a PDF; of others the whole text as one. Markdown where the format knows headings.
    pub pages: Vec<String>,
}

/// Why a file cannot be read. The text is for whoever uploaded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum Unreadable {
    #[error("the file is neither PDF, DOCX, HTML nor text in UTF-8")]
    Unknown,
    #[error("the file is encrypted: upload it without a password")]
    Encrypted,
    #[error("the file is damaged: {0}")]
    Damaged(String),
    #[error("the file holds no text; pictures of text are not read")]
    Empty,
    #[error("the file needs too much memory or time to be read")]
    TooHard,
    #[error("the file says more than {0} characters")]
    TooLong(usize),
}

/// More text than this is not taken from one file.
pub const MOST_CHARS: usize = 8_000_000;

/// Reads a file, in this process: see [`extract`] for files of others.
fn read(format: Format, bytes: &[u8]) -> Result<Extracted, Unreadable> {
    let pages = match format {
        Format::Pdf => pdf(bytes)?,
        Format::Docx => vec![docx::text(bytes)?],
        Format::Html => vec![html2text::from_read(bytes, 120).map_err(|error| Unreadable::Damaged(error.to_string()))?],
        Format::Text => vec![String::from_utf8_lossy(bytes).into_owned()],
    };
    // Nothing that is stored holds U+0000.
    let pages: Vec<String> = pages.into_iter().map(|page| page.replace('\0', "")).collect();
    if pages.iter().map(String::len).sum::<usize>() > MOST_CHARS {
        return Err(Unreadable::TooLong(MOST_CHARS));
    }
    if pages.iter().all(|page| page.trim().is_empty()) {
        return Err(Unreadable::Empty);
    }
    Ok(Extracted { pages })
}

fn pdf(bytes: &[u8]) -> Result<Vec<String>, Unreadable> {
    pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(|error| {
        let said: String = error.to_string().chars().take(200).collect();
        let about_password = ["password", "encrypt", "decrypt"].iter().any(|word| said.to_ascii_lowercase().contains(word));
        if about_password { Unreadable::Encrypted } else { Unreadable::Damaged(said) }
    })
}
