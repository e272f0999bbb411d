//! Random numbers that are the same for ever: a plan that failed must be repeatable after any upgrade.

/// SplitMix64, by Sebastiano Vigna.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// One that depends on these three alone: what it draws for a request needs no memory of the request.
    pub(super) fn of(seed: u64, purpose: u64, number: u64) -> Self {
        let mut of_purpose = Self(seed ^ purpose.wrapping_mul(GOLDEN));
        let mut of_number = Self(of_purpose.next() ^ number.wrapping_mul(GOLDEN));
        Self(of_number.next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 on, below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(end);
        u64::try_from(product >> 64).expect("the high half of a product of two halves")
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let index = usize::try_from(self.below(of.len() as u64)).expect("an index of a slice");
        of[index].clone()
    }
}
