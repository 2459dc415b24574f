//! Repeatable chance: a value depends only on (seed, purpose, index), so any webhook can be made again by itself.

/// What a draw is for; two purposes never share values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Order = 1,
    Redelivery = 2,
    Text = 3,
    Outbound = 4,
    Receipt = 5,
    Document = 6,
}

/// A short stream of pseudo-random values (wyrand's step: add, multiply to 128 bits, fold).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64, purpose: Purpose, index: usize) -> Self {
        let mut start = Self(fold(seed ^ 0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9 ^ (purpose as u64)));
        let mixed = start.bits();
        Self(fold(mixed ^ 0x4b33_a62e_d433_d4a3, (index as u64) ^ 0x4d5a_2da5_1de1_aa47))
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        fold(self.0, self.0 ^ 0xe703_7ed1_a0b4_28db)
    }

    /// A value in `0..limit`; 0 if `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from((u128::from(self.bits()) * (limit as u128)) >> 64).unwrap_or(0)
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "both halves of the product are meant")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}
