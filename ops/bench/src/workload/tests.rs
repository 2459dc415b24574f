//! The workload follows from its seed, keeps its shares, repeats exactly and signs what it sends.

use super::*;
use aws_lc_rs::hmac;
use std::collections::HashSet;

const SECRET: &str = "an app secret";

fn body(workload: &Workload, index: usize) -> Vec<u8> {
    let mut out = Vec::new();
    workload.write_body(index, &mut out).unwrap();
    out
}

fn bodies(workload: &Workload) -> Vec<Vec<u8>> {
    (0..workload.webhooks).map(|index| body(workload, index)).collect()
}

fn target() -> Target {
    Target::new("127.0.0.1:3000".parse().unwrap(), "/api/webhook", SECRET)
}

#[test]
fn the_same_seed_makes_the_same_webhooks_and_another_seed_makes_others() {
    let first = bodies(&Workload::storm(7, 500));
    assert_eq!(first, bodies(&Workload::storm(7, 500)));
    assert_ne!(first, bodies(&Workload::storm(8, 500)));
}

#[test]
fn a_longer_run_begins_like_a_shorter_one() {
    assert_eq!(bodies(&Workload::storm(1, 300)), bodies(&Workload::storm(1, 900))[..300]);
}

#[test]
fn a_storm_is_seven_texts_two_receipts_and_one_redelivery_in_ten() {
    let storm = Workload::storm(3, 20_000);
    let kinds: Vec<Kind> = (0..storm.webhooks).map(|index| storm.kind(index)).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Text).count(), 14_000);
    assert_eq!(kinds.iter().filter(|kind| matches!(kind, Kind::Receipt { .. })).count(), 4_000);
    assert_eq!(kinds.iter().filter(|kind| matches!(kind, Kind::Redelivery { .. })).count(), 2_000);
}

#[test]
fn a_redelivery_repeats_an_earlier_text_byte_for_byte() {
    let storm = Workload::storm(5, 5_000);
    let made = bodies(&storm);
    let (mut close, mut far) = (0, 0);
    for index in 0..storm.webhooks {
        if let Kind::Redelivery { of } = storm.kind(index) {
            assert!(of < index);
            assert_eq!(storm.kind(of), Kind::Text);
            assert_eq!(made[index], made[of]);
            if index - of <= CLOSE_BEHIND { close += 1 } else { far += 1 }
        }
    }
    assert!(close > 200 && far > 200, "{close} close behind, {far} further back");
}

#[test]
fn every_text_has_an_id_of_its_own_and_names_one_of_ten_channels() {
    let storm = Workload::storm(11, 10_000);
    let ids: HashSet<String> = storm.inbound_ids().collect();
    assert_eq!(ids.len(), 7_000);
    let mut channels = HashSet::new();
    for index in (0..storm.webhooks).filter(|index| storm.kind(*index) == Kind::Text) {
        let json: serde_json::Value = serde_json::from_slice(&body(&storm, index)).unwrap();
        let value = &json["entry"][0]["changes"][0]["value"];
        assert_eq!(value["messages"][0]["id"].as_str().unwrap(), storm.inbound_id(index));
        assert_eq!(value["messages"][0]["from"], value["contacts"][0]["wa_id"]);
        channels.insert(value["metadata"]["phone_number_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(channels, storm.phone_number_ids().into_iter().collect());
}

#[test]
fn receipts_go_forward_and_belong_to_seeded_messages() {
    let storm = Workload::storm(2, 3_000);
    let seeded = storm.outbound();
    let mut reached = vec![""; seeded.len()];
    for index in 0..storm.webhooks {
        if let Kind::Receipt { outbound, stage } = storm.kind(index) {
            let json: serde_json::Value = serde_json::from_slice(&body(&storm, index)).unwrap();
            let value = &json["entry"][0]["changes"][0]["value"];
            assert_eq!(value["statuses"][0]["id"], seeded[outbound].wamid);
            assert_eq!(value["statuses"][0]["recipient_id"], seeded[outbound].wa_id);
            assert_eq!(value["metadata"]["phone_number_id"], seeded[outbound].phone_number_id);
            assert_eq!(value["statuses"][0]["status"], stage_name(stage));
            assert_eq!(reached[outbound], if stage == 0 { "" } else { stage_name(stage - 1) });
            reached[outbound] = stage_name(stage);
        }
    }
    assert!(seeded.iter().zip(&reached).all(|(message, status)| message.last_status == *status));
    assert_eq!(seeded.iter().filter(|message| message.last_status == "read").count(), 200);
}

#[test]
fn a_customer_is_one_person_with_one_number() {
    let numbers: HashSet<String> = (0..100_000).map(wa_id).collect();
    assert_eq!(numbers.len(), 100_000);
}

#[test]
fn the_signature_verifies_over_the_body_that_is_sent() {
    let storm = Workload::storm(1, 100);
    let ready = MadeReady::new(&storm, &target()).unwrap();
    let mut scratch = Vec::new();
    for index in 0..ready.count() {
        let request = ready.bytes(index, &mut scratch).unwrap();
        let text = std::str::from_utf8(request).unwrap();
        let (head, sent) = text.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let tag = hex::decode(header("X-Hub-Signature-256: sha256=")).unwrap();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), sent.as_bytes(), &tag).unwrap();
        assert_eq!(header("Content-Length: "), sent.len().to_string());
        assert_eq!(sent.as_bytes(), body(&storm, index));
    }
}

#[test]
fn requests_made_on_demand_are_those_made_ready() {
    let storm = Workload::storm(9, 200);
    let ready = MadeReady::new(&storm, &target()).unwrap();
    let on_demand = MadeOnDemand { workload: storm, target: target() };
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for index in 0..ready.count() {
        assert_eq!(ready.bytes(index, &mut here).unwrap(), on_demand.bytes(index, &mut there).unwrap());
    }
}

#[test]
fn a_body_is_about_900_bytes() {
    let storm = Workload::storm(1, 1_000);
    let mean = bodies(&storm).iter().map(Vec::len).sum::<usize>() / 1_000;
    assert!((800..=1_000).contains(&mean), "{mean} bytes");
}
