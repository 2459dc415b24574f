//! What odd JSON is read as.

use super::readable::{storable, without_huge_numbers};
use super::*;
use crate::ParseError;
use chrono::DateTime;
use std::borrow::Cow;

wire_object!(Person<'a> {
    "id" => id: Raw<'a>,
    "tags" => tags: List<Raw<'a>>,
});

fn raw(json: &str) -> Raw<'_> {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_value_of_another_type_is_absent_and_its_neighbours_are_read() {
    for wrong in ["null", "true", "-1", "1.5", "\"x\"", "{\"id\":\"y\",\"deep\":[{}]}"] {
        let json = format!(r#"{{"tags":{wrong},"id":"7"}}"#);
        let person: Person<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!((person.tags.len(), person.id.id()), (0, Some("7".to_owned())), "{wrong}");
    }
    for wrong in ["null", "true", "-1", "1.5", "\"x\"", "[{\"id\":\"y\"}]"] {
        let person: Person<'_> = serde_json::from_str(wrong).unwrap();
        assert_eq!(person.id, Raw::default(), "{wrong}");
    }
}

#[test]
fn of_a_key_given_twice_the_last_one_stays() {
    let person: Person<'_> = serde_json::from_str(r#"{"id":"1","id":"2"}"#).unwrap();
    assert_eq!(person.id.id().as_deref(), Some("2"));
}

#[test]
fn a_key_written_with_escapes_is_the_same_key() {
    let person: Person<'_> = serde_json::from_str(r#"{"\u0069d":"1"}"#).unwrap();
    assert_eq!(person.id.id().as_deref(), Some("1"));
}

#[test]
fn an_id_is_a_string_or_a_whole_number_and_never_empty_or_endless() {
    assert_eq!(raw(r#""wamid.A\/B""#).id().as_deref(), Some("wamid.A/B"));
    assert_eq!(raw("1122334455667788990").id().as_deref(), Some("1122334455667788990"));
    for wrong in [r#""""#, "null", "1.5", "-4", "1e3", "[]", "{}", "true"] {
        assert_eq!(raw(wrong).id(), None, "{wrong}");
    }
    assert!(raw(&format!("\"{}\"", "x".repeat(MAX_ID_BYTES))).id().is_some());
    assert!(raw(&format!("\"{}\"", "x".repeat(MAX_ID_BYTES + 1))).id().is_none());
}

#[test]
fn a_time_is_whole_seconds_in_a_number_or_a_string() {
    let expected = DateTime::from_timestamp(1_697_043_223, 0);
    for good in ["1697043223", r#""1697043223""#, "1697043223.9", r#""1697043223.0""#] {
        assert_eq!(raw(good).time(), expected, "{good}");
    }
}

#[test]
fn an_implausible_time_is_none() {
    for bad in [
        "0",
        "-1",
        "1230767999",
        "7258118400",
        "1697043223000",
        "1e300",
        "null",
        "true",
        "[1697043223]",
        r#""""#,
        r#""soon""#,
        r#""NaN""#,
        r#""inf""#,
        r#""-1697043223""#,
        r#""16970432231697043223""#,
    ] {
        assert_eq!(raw(bad).time(), None, "{bad}");
    }
    assert!(raw("1230768000").time().is_some());
    assert!(raw("7258118399").time().is_some());
}

#[test]
fn nul_and_lone_surrogates_become_replacement_characters() {
    for (json, expected) in [
        (r#""a\u0000b""#, "a\u{fffd}b"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\uDE00x""#, "\u{fffd}x"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ud83d\\ude00""#, "\u{fffd}\\ude00"),
        (r#""\ud83d\u0000\ude00""#, "\u{fffd}\u{fffd}\u{fffd}"),
    ] {
        assert_eq!(serde_json::from_str::<String>(&storable(json)).unwrap(), expected, "{json}");
    }
}

#[test]
fn text_that_can_be_stored_is_left_alone() {
    for json in [r#""\ud83d\ude00""#, r#""C:\\u0000""#, r#""\\ud800""#, r#""\n\u0001é""#, r#""\u00""#, r#""\ud8"#, "\"\\"] {
        assert!(matches!(storable(json), Cow::Borrowed(same) if same == json), "{json}");
    }
}

#[test]
fn a_number_that_no_float_holds_reads_as_null_and_strings_keep_theirs() {
    assert_eq!(
        without_huge_numbers(r#"{"1e999":[1e999,-1e999,12.5e3,"\"1e999",0e999]}"#),
        r#"{"1e999":[null,null,12.5e3,"\"1e999",0e999]}"#
    );
    assert_eq!(raw(r#"{"big":1e999,"small":1}"#).value(), Some(serde_json::json!({"big": null, "small": 1})));
}

#[test]
fn a_huge_number_where_an_object_belongs_does_not_spoil_the_body() {
    let body = Readable::new(br#"{"tags":1e999,"id":"7"}"#).unwrap();
    let person: Person<'_> = body.read().unwrap();
    assert_eq!(person.id.id().as_deref(), Some("7"));
}

#[test]
fn nesting_without_end_is_skipped_where_nobody_reads_it_and_dropped_where_it_would_be_kept() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let json = format!(r#"{{"other":{deep},"tags":[{deep}],"id":"7"}}"#);
    let person: Person<'_> = serde_json::from_str(&json).unwrap();
    assert_eq!(person.id.id().as_deref(), Some("7"));
    assert_eq!(person.tags.first().unwrap().value(), None);
}

#[test]
fn only_what_is_no_json_object_is_an_error() {
    for body in [&b""[..], b"  ", b"[]", b"null", b"7", b"\"{}\"", b"\xef\xbb\xbf{}"] {
        assert_eq!(Readable::new(body).err(), Some(ParseError::NotAnObject), "{body:?}");
    }
    assert_eq!(Readable::new(b"{\"id\":\"\xff\"}").err(), Some(ParseError::NotUtf8 { valid_bytes: 7 }));
    for body in
        ["{", "{}{}", "{} x", "{\"id\":}", "{\"id\":\"a\u{0}b\"}", "{\"tags\":[1,]}", "{\"other\":[1}", "{\"other\":01}", "{'id':1}"]
    {
        let readable = Readable::new(body.as_bytes()).unwrap();
        assert!(matches!(readable.read::<Person<'_>>(), Err(ParseError::NotJson { line: 1, .. })), "{body}");
    }
    assert!(Readable::new(b" \n{}\t").unwrap().read::<Person<'_>>().is_ok());
}
