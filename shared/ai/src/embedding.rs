//! Texts as vectors, so that texts of one meaning are near each other. From an OpenAI-compatible endpoint
//! (<https://platform.openai.com/docs/api-reference/embeddings/create>), or, where there is none, made here of the words themselves.

use crate::{AiError, Model, read, retry_after, unreachable};
use serde_json::{Value, json};

/// Numbers in a vector.
pub const DIMENSIONS: usize = 256;
/// Texts that are asked about at once.
pub const MOST_TEXTS: usize = 64;
/// Bytes of a [`Vector`] as it is stored: its scale, and a byte for each number.
pub const STORED_BYTES: usize = 4 + DIMENSIONS;

/// A vector of length 1, in signed bytes: of its numbers each is `byte * scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    pub scale: f32,
    pub bytes: Vec<i8>,
}

impl Vector {
    /// `None`: it has no direction, or another length.
    pub fn of(numbers: &[f32]) -> Option<Self> {
        let length = numbers.iter().map(|n| n * n).sum::<f32>().sqrt();
        let most = numbers.iter().fold(0.0_f32, |most, n| most.max(n.abs()));
        if numbers.len() != DIMENSIONS || !length.is_normal() || !most.is_normal() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "within -127 and 127")]
        let bytes = numbers.iter().map(|n| (n / most * 127.0).round() as i8).collect();
        Some(Self { scale: most / length / 127.0, bytes })
    }

    /// As it is stored: the scale (little endian), then the bytes.
    pub fn store(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.scale.to_le_bytes());
        into.extend(self.bytes.iter().map(|byte| byte.cast_unsigned()));
    }
}

impl Model {
    /// The vectors of up to [`MOST_TEXTS`] texts, in their order.
    pub async fn embed(&self, http: &reqwest::Client, model: &str, texts: &[&str]) -> Result<Vec<Vector>, AiError> {
        let body = json!({"model": model, "input": texts, "dimensions": DIMENSIONS, "encoding_format": "float"});
        let request = http.post(format!("{}/embeddings", self.base_url)).timeout(self.patience).bearer_auth(self.key.expose());
        let mut response = request.json(&body).send().await.map_err(unreachable)?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(&response));
        let bytes = read(&mut response).await?;
        if !(200..300).contains(&status) {
            return Err(crate::answer::refused(status, retry_after, &bytes));
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let mut rows: Vec<(u64, Option<Vector>)> = answer.get("data").and_then(Value::as_array).into_iter().flatten().map(row).collect();
        rows.sort_unstable_by_key(|(index, _)| *index);
        let vectors: Option<Vec<Vector>> = rows.into_iter().map(|(_, vector)| vector).collect();
        vectors
            .filter(|vectors| vectors.len() == texts.len())
            .ok_or_else(|| AiError::Unusable(format!("it is not {} vectors of {DIMENSIONS} numbers", texts.len())))
    }
}

fn row(row: &Value) -> (u64, Option<Vector>) {
    let numbers: Option<Vec<f32>> = row.get("embedding").and_then(Value::as_array).and_then(|numbers| {
        #[expect(clippy::cast_possible_truncation, reason = "models compute in less than f32")]
        numbers.iter().map(|number| Some(number.as_f64()? as f32)).collect()
    });
    (row.get("index").and_then(Value::as_u64).unwrap_or(0), numbers.and_then(|numbers| Vector::of(&numbers)))
}

/// A vector of the words of a text and their parts: texts that share words are near each other, whatever they mean. Always the same for a text.
pub fn of_words(text: &str) -> Vector {
    let mut numbers = [0.0_f32; DIMENSIONS];
    let mut add = |feature: &str, weight: f32| {
        let hash = fnv(feature.as_bytes());
        let place = usize::try_from(hash % DIMENSIONS as u64).unwrap_or(0);
        if let Some(number) = numbers.get_mut(place) {
            *number += if hash >> 63 == 0 { weight } else { -weight };
        }
    };
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        // Short words are in every text.
        let weight = if word.chars().count() < 4 { 0.3 } else { 1.0 };
        add(&word, weight);
        let letters: Vec<char> = word.chars().collect();
        for part in letters.windows(4) {
            add(&part.iter().collect::<String>(), 0.3 * weight);
        }
    }
    // A text without words is like no other.
    Vector::of(&numbers).unwrap_or_else(|| Vector { scale: 0.0, bytes: vec![0; DIMENSIONS] })
}

/// FNV-1a: the same on every machine and in every version.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearness(a: &Vector, b: &Vector) -> f32 {
        let dot: i32 = a.bytes.iter().zip(&b.bytes).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^24")]
        let dot = dot as f32;
        dot * a.scale * b.scale
    }

    #[test]
    fn a_vector_keeps_its_direction_in_bytes() {
        let numbers: Vec<f32> = (0_u16..).map(|n| f32::from(n).sin()).take(DIMENSIONS).collect();
        let vector = Vector::of(&numbers).unwrap();
        assert!((nearness(&vector, &vector) - 1.0).abs() < 0.01);
        let opposite: Vec<f32> = numbers.iter().map(|n| -n * 7.0).collect();
        assert!((nearness(&vector, &Vector::of(&opposite).unwrap()) + 1.0).abs() < 0.01);
        let mut stored = Vec::new();
        vector.store(&mut stored);
        assert_eq!(stored.len(), STORED_BYTES);
        for bad in [vec![0.0; DIMENSIONS], vec![1.0; 7], vec![f32::NAN; DIMENSIONS], vec![f32::INFINITY; DIMENSIONS]] {
            assert_eq!(Vector::of(&bad), None);
        }
    }

    #[test]
    fn texts_that_share_words_are_near_each_other() {
        let hours = of_words("Our opening hours are nine to six from Monday to Friday.");
        let refunds = of_words("Refunds are paid within fourteen days after the parcel came back.");
        let question = of_words("What are your opening hours on friday?");
        assert!(nearness(&question, &hours) > nearness(&question, &refunds) + 0.2);
        assert_eq!(of_words("same"), of_words("same"));
        assert!(nearness(&of_words(""), &hours).abs() < f32::EPSILON);
    }
}
