//! Writes the bodies: what each kind of webhook says, word by word.

use super::body::{Body, Metadata, NewReceipt, NewText};
use super::chance::{Chance, Purpose};
use super::{Kind, Workload, names, phone_number_id, profile_name, stage_name, wa_id};

/// The provider's time of the first webhook (2025-06-15), 200 webhooks a second from there.
const FIRST_TIMESTAMP: u64 = 1_750_000_000;
const WEBHOOKS_PER_SECOND: u64 = 200;
#[rustfmt::skip]
const WORDS: [&str; 40] = [
    "could", "you", "tell", "me", "whether", "parcel", "order", "left", "warehouse", "yesterday", "because", "tracking", "page",
    "shows", "nothing", "yet", "and", "our", "anniversary", "is", "on", "Sunday", "größere", "Tasse", "gracias", "por", "todo",
    "merci", "beaucoup", "price", "including", "shipping", "to", "the", "island", "please", "answer", "soon", "it’s", "urgent",
];

impl Workload {
    /// Appends the body of webhook `index`.
    pub fn write_body(&self, index: usize, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let timestamp = FIRST_TIMESTAMP + index as u64 / WEBHOOKS_PER_SECOND;
        match self.kind(index) {
            Kind::Text => self.write_text(index, timestamp, out),
            Kind::Receipt { outbound, stage } => self.write_receipt(index, timestamp, outbound, stage, out),
            Kind::Redelivery { of } => self.write_body(of, out),
        }
    }

    fn write_text(&self, index: usize, timestamp: u64, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let (customer, id, mut chance) = self.sender(index);
        let length = 280 + chance.below(430);
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            text.push_str(WORDS.get(chance.below(WORDS.len())).copied().unwrap_or_default());
            text.push(' ');
        }
        let channel = self.channel_of(customer);
        let metadata = Metadata { display_phone_number: &names::display_phone_number(channel), phone_number_id: &phone_number_id(channel) };
        let new = NewText { from: &wa_id(customer), name: &profile_name(customer), id: &id, timestamp, text: text.trim_end() };
        serde_json::to_writer(out, &Body::text(metadata, &new))
    }

    fn write_receipt(&self, index: usize, timestamp: u64, outbound: usize, stage: usize, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let message = self.outbound_message(outbound, stage_name(stage));
        let display = names::display_phone_number(message.channel);
        let metadata = Metadata { display_phone_number: &display, phone_number_id: &message.phone_number_id };
        let conversation = Chance::new(self.seed, Purpose::Receipt, index).bits();
        let new = NewReceipt { id: &message.wamid, to: &message.wa_id, status: message.last_status, timestamp, conversation };
        serde_json::to_writer(out, &Body::receipt(metadata, &new))
    }
}
