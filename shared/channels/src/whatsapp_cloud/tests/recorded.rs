//! Bodies that Meta really sent, from a folder beside the repository; skipped where there is none.

use super::*;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/payloads/whatsapp_cloud");

/// How the words of a recorded file's events must begin, by the beginning of its name.
fn expected(name: &str) -> &'static [&'static str] {
    const BY_PREFIX: [(&str, &[&str]); 24] = [
        ("message__reaction", &["reaction"]),
        ("message__unreaction", &["reaction:taken_back"]),
        ("message__unsupported", &["message:unsupported"]),
        ("message__interactive", &["message:interactive"]),
        ("message__contacts", &["message:contacts"]),
        ("message__order", &["message:order"]),
        ("message__", &["message"]),
        ("message_status__failed", &["status:failed"]),
        ("message_status__sent", &["status:sent"]),
        ("message_status__delivered", &["status:delivered"]),
        ("message_status__with_tracker", &["status:sent"]),
        ("message_status__", &["status:read"]),
        ("callback_button__button", &["message:interactive"]),
        ("callback_button__", &["message:button"]),
        ("callback_selection__", &["message:interactive"]),
        ("flow_completion__", &["message:interactive"]),
        ("call_permission_update__", &["message:interactive"]),
        ("edited_message__", &["edit"]),
        ("deleted_message__", &["revoke"]),
        ("outgoing_message__text", &["echo:text"]),
        ("outgoing_message__edit", &["edit"]),
        ("outgoing_message__delete", &["revoke"]),
        ("template_status_update__", &["template:"]),
        ("template_category_update__", &["template:"]),
    ];
    match name {
        "system__phone_number_change" => &["system", "person_changed"],
        "system__identity_change" => &["system"],
        _ => BY_PREFIX.iter().find(|(prefix, _)| name.starts_with(prefix)).map_or(&["other"], |(_, events)| *events),
    }
}

fn word(event: &EventBody) -> String {
    match event {
        EventBody::Message(message) => match (message.direction.as_str(), message.from_business_phone) {
            ("inbound", false) => format!("message:{}", message.message_type),
            ("outbound", true) => format!("echo:{}", message.message_type),
            (direction, _) => direction.to_owned(),
        },
        EventBody::Status(status) => format!("status:{}", status.status.as_str()),
        EventBody::SeenUpTo(_) => "seen_up_to".to_owned(),
        EventBody::Edit(_) => "edit".to_owned(),
        EventBody::Revoke(_) => "revoke".to_owned(),
        EventBody::Reaction(reaction) if reaction.emoji.is_none() => "reaction:taken_back".to_owned(),
        EventBody::Reaction(_) => "reaction".to_owned(),
        EventBody::PersonChanged(_) => "person_changed".to_owned(),
        EventBody::Template(update) => format!("template:{:?}", update.status),
        EventBody::Other { .. } => "other".to_owned(),
    }
}

#[test]
fn every_recorded_payload_becomes_the_events_its_name_promises() {
    let Ok(files) = std::fs::read_dir(Path::new(FOLDER)) else {
        println!("skipped: {FOLDER} is not there");
        return;
    };
    let mut count = 0;
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let name = stem.split_once('_').unwrap().1;
        let words: Vec<String> = bodies(&std::fs::read_to_string(&file).unwrap()).iter().map(word).collect();
        let expected = expected(name);
        let fits = words.len() == expected.len() && words.iter().zip(expected).all(|(word, start)| word.starts_with(start));
        assert!(fits, "{name} became {words:?}, not {expected:?}");
        if expected == ["message"] {
            assert!(!words[0].ends_with("unsupported"), "{name} was not understood");
        }
        count += 1;
    }
    assert!(count > 0, "{FOLDER} holds no payloads");
}
