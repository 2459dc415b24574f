//! The runbook, so that what to do is where it is seen that something must be done.

use super::{
    gate::Viewer,
    layout::{Html, Page},
};
use maud::{PreEscaped, html};
use pulldown_cmark::{Event, Options, Parser, Tag, html::push_html};
use salvo::{Request, Response, Writer, handler};

const TEXT: &str = include_str!("../../../ops/runbook.md");

/// The page.
#[handler]
pub(super) async fn page(req: &mut Request, res: &mut Response, viewer: Viewer) -> Html {
    let body = html! { article class="doc" { (PreEscaped(rendered(TEXT))) } };
    Page { title: "Runbook", viewer: &viewer, body }.show(req, res)
}

/// Headings get the ids that links name. The page has a title of its own, and the text is ours, so nothing in it has to be escaped.
fn rendered(text: &str) -> String {
    let text = text.split_once('\n').map_or(text, |(_, rest)| rest);
    let events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    let mut with_ids = Vec::with_capacity(events.len());
    for (place, event) in events.iter().enumerate() {
        if let Event::Start(Tag::Heading { level, .. }) = event {
            let words: String =
                events.iter().skip(place + 1).take_while(|event| !matches!(event, Event::End(_))).filter_map(words).collect();
            with_ids.push(Event::Html(format!("<{level} id=\"{}\">", slug(&words)).into()));
        } else if let Event::End(pulldown_cmark::TagEnd::Heading(level)) = event {
            with_ids.push(Event::Html(format!("</{level}>").into()));
        } else {
            with_ids.push(event.clone());
        }
    }
    let mut html = String::with_capacity(text.len() * 2);
    push_html(&mut html, with_ids.into_iter());
    html
}

fn words(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Text(text) | Event::Code(text) => Some(text.to_string()),
        _ => None,
    }
}

/// `A queue grows` becomes `a-queue-grows`.
fn slug(words: &str) -> String {
    let mut slug = String::new();
    for part in words.to_lowercase().split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(part);
    }
    slug
}

/// Is there an entry of this name?
#[cfg(test)]
pub(super) fn has_entry(name: &str) -> bool {
    rendered(TEXT).contains(&format!("id=\"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_can_be_linked_to() {
        assert!(
            rendered("# Title\n\n## A `queue` grows, fast!\n\ntext\n")
                .contains("<h2 id=\"a-queue-grows-fast\">A <code>queue</code> grows, fast!</h2>")
        );
        for name in [
            "a-queue-grows",
            "dead-letters",
            "messages-do-not-go-out",
            "a-worker-or-an-api-process-dies",
            "a-new-version",
            "postgres-is-down",
            "webhooks-are-refused",
        ] {
            assert!(has_entry(name), "the runbook has no entry {name}");
        }
    }
}
