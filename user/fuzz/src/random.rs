// SPDX-License-Identifier: MIT OR Apache-2.0

//! Numbers that look random and depend on a seed alone.
//!
//! Every step of a stream draws from a sequence of its own, so that a step does
//! the same whatever becomes of the steps before it.

#![forbid(unsafe_code)]

/// A sequence of numbers.
#[derive(Clone, Debug)]
pub struct Rng(u64);

/// Mixes all bits of a number into all others.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Rng {
    /// The sequence of a step of a stream.
    pub fn of_step(seed: u64, step: usize) -> Self {
        Rng(mix(mix(seed).wrapping_add(step as u64 + 1)))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.draw() % end as u64) as usize
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these; none if there is none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        match from.len() {
            0 => None,
            length => Some(from[self.below(length)]),
        }
    }

    /// One of these, which are some.
    pub fn of<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[self.below(N)]
    }

    /// An index, each as often as its weight says.
    pub fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut at = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            match at.checked_sub(*weight) {
                None => return index,
                Some(rest) => at = rest,
            }
        }
        weights.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_does_not_depend_on_others() {
        let (mut a, mut b) = (Rng::of_step(7, 3), Rng::of_step(7, 3));
        assert_eq!(a.draw(), b.draw());
        assert_ne!(Rng::of_step(7, 4).draw(), Rng::of_step(7, 3).draw());
        assert_ne!(Rng::of_step(8, 3).draw(), Rng::of_step(7, 3).draw());
    }

    #[test]
    fn weights_are_kept() {
        let mut rng = Rng::of_step(1, 1);
        let mut seen = [0; 3];
        for _ in 0..4000 {
            seen[rng.weighted(&[1, 0, 3])] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!(seen[2] > 2 * seen[0] && seen[0] > 500);
    }
}
