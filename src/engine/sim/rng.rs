//! A small generator (splitmix64) so that a seed means the same run for ever, whatever a crate's next version does.

#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// True in so many of a thousand cases.
    pub(super) fn permille(&mut self, chance: u32) -> bool {
        // A world without quirks draws nothing, so adding a quirk to one place does not reshuffle the others.
        chance > 0 && self.next() % 1000 < u64::from(chance)
    }
}
