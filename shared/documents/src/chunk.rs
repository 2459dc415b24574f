//! Pieces of a text, small enough to be found and read by a model.

use std::ops::Range;
use text_splitter::{ChunkConfig, MarkdownSplitter};

/// A piece grows to the first of these if it can, and never beyond the second: about 250 tokens, of which a model reads several.
const SIZE: Range<usize> = 600..1_200;
/// More pieces are not kept of one document.
const MOST_CHUNKS: usize = 20_000;

/// A piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// From 1; of formats without pages always 1.
    pub page: u32,
    pub text: String,
}

/// The pieces of a document's pages, in order.
pub fn chunks(pages: &[String]) -> Vec<Chunk> {
    let splitter = MarkdownSplitter::new(ChunkConfig::new(SIZE).with_trim(true));
    let numbered = (1..).zip(pages);
    let pieces = numbered.flat_map(|(page, text)| splitter.chunks(text).map(move |text| (page, text)));
    let kept = pieces.filter(|(_, text)| text.chars().any(char::is_alphanumeric));
    kept.map(|(page, text)| Chunk { page, text: text.to_owned() }).take(MOST_CHUNKS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_complete_and_know_their_page() {
        let sentence = |n: usize| format!("Sentence {n} says that we open at nine and close at six. ");
        let long: String = (0..200).map(sentence).collect();
        let pages = ["# Hours\n\nNine to six.".to_owned(), long.clone(), " \n - \n".to_owned()];
        let chunks = chunks(&pages);
        assert_eq!(chunks[0], Chunk { page: 1, text: "# Hours\n\nNine to six.".to_owned() });
        assert!(chunks.iter().skip(1).all(|chunk| chunk.page == 2 && chunk.text.chars().count() <= 1_200));
        let together: String = chunks.iter().skip(1).map(|chunk| chunk.text.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!(together.split_whitespace().collect::<Vec<_>>(), long.split_whitespace().collect::<Vec<_>>(), "nothing is lost");
    }

    #[test]
    fn a_text_without_any_place_to_cut_is_cut_all_the_same() {
        let chunks = chunks(&["x".repeat(10_000)]);
        assert!(chunks.len() >= 8 && chunks.iter().all(|chunk| chunk.text.len() <= 1_200));
    }
}
