//! Memory that one thread writes and no other one's shares a cache line with.

/// A value in cache lines of its own: two, for the prefetcher that fetches the one beside.
#[repr(align(128))]
#[derive(Default)]
pub(crate) struct Line<T>(pub(crate) T);

/// An array of atomics in cache lines of its own; `N` of them fill 128 bytes.
pub(crate) struct Lines<T, const N: usize>(Box<[Line<[T; N]>]>);

impl<T: Default, const N: usize> Lines<T, N> {
    const FILLED: () = assert!(size_of::<[T; N]>() == align_of::<Line<()>>());

    /// At least `len` of them.
    pub(crate) fn new(len: usize) -> Self {
        let () = Self::FILLED;
        let line = || Line(std::array::from_fn(|_| T::default()));
        Self((0..len.div_ceil(N)).map(|_| line()).collect())
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index / N).map(|line| &line.0[index % N])
    }

    /// That of an index below the length, or a panic.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> &T {
        &self.0[index / N].0[index % N]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|line| &line.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, AtomicU64};

    #[test]
    fn lines_are_whole() {
        let lines = Lines::<AtomicU64, 16>::new(17);
        assert_eq!(lines.iter().count(), 32);
        assert!(lines.get(31).is_some() && lines.get(32).is_none());
        let address = |index| std::ptr::from_ref(lines.get(index).unwrap()) as usize;
        assert_eq!(address(0) % 128, 0);
        assert!((1..32).all(|index| address(index) == address(0) + 8 * index));
        assert!(Lines::<AtomicU32, 32>::new(0).get(0).is_none());
    }
}
