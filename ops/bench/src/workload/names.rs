//! Invented people, numbers and message ids in the shapes that WhatsApp uses.

use super::chance::Chance;

const GIVEN: [&str; 12] = ["Amara", "Björn", "Chiara", "Daniel", "Esra", "Farah", "Gül", "Henrik", "Ifeoma", "José", "Kirsten", "Łukasz"];
const FAMILY: [&str; 14] = [
    "Abebe", "Brandt", "Castillo", "Demir", "Eriksen", "Fontaine", "García", "Haddad", "Ivanova", "Jansen", "Kowalski", "Okafor",
    "Pereira", "Tanaka",
];

/// The `n`-th channel's `phone_number_id`.
pub fn phone_number_id(n: usize) -> String {
    format!("{}", 410_277_000_100_000_u64 + n as u64)
}

pub(super) fn display_phone_number(n: usize) -> String {
    format!("4930555{n:05}")
}

/// The `n`-th customer's `wa_id`: digits of a phone number. Distinct below 900,000.
pub fn wa_id(n: usize) -> String {
    format!("49151{:08}", 10_000_000 + n * 97)
}

pub fn profile_name(n: usize) -> String {
    let given = GIVEN.get(n % GIVEN.len()).copied().unwrap_or_default();
    let family = FAMILY.get(n / GIVEN.len() % FAMILY.len()).copied().unwrap_or_default();
    format!("{given} {family}")
}

/// A message id as Meta makes them: `wamid.` and the base64 of a small record with the phone and random hex digits.
pub(super) fn wamid(wa_id: &str, outbound: bool, chance: &mut Chance) -> String {
    let mut record = vec![0x1c, 0x18, u8::try_from(wa_id.len()).unwrap_or(u8::MAX)];
    record.extend_from_slice(wa_id.as_bytes());
    record.extend_from_slice(&[0x15, 0x02, 0x00, if outbound { 0x11 } else { 0x12 }, 0x18, 0x14]);
    record.extend_from_slice(format!("{:016X}{:04X}", chance.bits(), chance.bits() & 0xffff).as_bytes());
    record.push(0);
    format!("wamid.{}", base64(&record))
}

/// Standard base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS.get(word >> (18 - 6 * place) & 63).filter(|_| place <= group.len());
            text.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_gives_the_examples_of_rfc_4648() {
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
