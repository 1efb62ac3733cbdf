//! Arrays in cache lines of their own: no false sharing with data that another thread writes.

use std::alloc::{Layout, handle_alloc_error};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use zerocopy::FromZeros;

/// Two cache lines of 64 bytes, because the adjacent-line prefetcher fetches pairs.
const LINE: usize = 128;
const PAGE: usize = 4096;

/// An array of atomics in cache lines of its own, initially 0.
///
/// A large array takes memory only where it is written: the kernel provides a page at the first write
/// to it. Such a page fault takes about a microsecond, which a worker should not spend. So memory that
/// a worker will surely need is touched in advance ([`Lines::touch`]); memory that it hardly ever needs
/// is not.
pub(crate) struct Lines<T> {
    /// Longer than needed, so that the array can start at a line boundary. (With a larger alignment,
    /// the allocator would write the zeros itself, and so touch every page.)
    all: Box<[T]>,
    /// Index of the first element on a line boundary.
    first: usize,
}

/// An atomic that one thread may touch while another thread writes it.
pub(crate) trait Touch {
    /// Writes to the atomic's page without changing its value.
    fn touch(&self);
}

impl Touch for AtomicU32 {
    fn touch(&self) {
        // Adding 0 would do, but compilers turn that into a load.
        let _ = self.compare_exchange(0, 0, Relaxed, Relaxed);
    }
}

impl Touch for AtomicU64 {
    fn touch(&self) {
        let _ = self.compare_exchange(0, 0, Relaxed, Relaxed);
    }
}

impl<T: FromZeros> Lines<T> {
    const IN_LINE: usize = LINE / size_of::<T>();

    /// An array of at least `len` elements.
    pub(crate) fn new(len: usize) -> Self {
        let room = if len == 0 { 0 } else { len.next_multiple_of(Self::IN_LINE) + Self::IN_LINE };
        let all = <[T]>::new_box_zeroed_with_elems(room).unwrap_or_else(|_| {
            handle_alloc_error(Layout::array::<T>(room).unwrap_or(Layout::new::<T>()))
        });
        let first = if len == 0 { 0 } else { all.as_ptr().align_offset(LINE) };
        Self { all, first }
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.all.get(self.first + index)
    }

    /// The element at `index`, which must be below the length, else this panics.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> &T {
        &self.all[self.first + index]
    }

    /// The elements of `range`, which must be within the length, else this panics.
    #[inline]
    pub(crate) fn range(&self, range: Range<usize>) -> &[T] {
        &self.all[self.first + range.start..self.first + range.end]
    }
}

impl<T: Touch> Lines<T> {
    /// Has the kernel provide the memory of the elements in `range`, as far as they exist. Any thread
    /// may call it.
    pub(crate) fn touch(&self, range: Range<usize>) {
        let end = self.all.len().min(self.first + range.end);
        let pages = (self.first + range.start..end).step_by(PAGE / size_of::<T>());
        pages.for_each(|index| self.all[index].touch());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole() {
        for len in [1, 17, 100_000] {
            let lines = Lines::<AtomicU64>::new(len);
            let address = |index| std::ptr::from_ref(lines.at(index)) as usize;
            assert_eq!(address(0) % LINE, 0);
            assert_eq!(address(len - 1), address(0) + 8 * (len - 1));
            // The allocation reaches to the end of the last line, so nobody else's data is in it.
            let end = std::ptr::from_ref(&lines.all[lines.all.len() - 1]) as usize + 8;
            assert!(end >= (address(len - 1) + 8).next_multiple_of(LINE));
            assert!(lines.range(0..len).iter().all(|word| word.load(Relaxed) == 0));
        }
        assert!(Lines::<AtomicU32>::new(0).get(0).is_none());
    }

    /// Minor page faults of this thread so far.
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let behind_name = stat.rsplit_once(") ").unwrap().1;
        behind_name.split(' ').nth(7).unwrap().parse().unwrap()
    }

    #[test]
    fn memory_is_there_before_it_is_used_and_not_sooner() {
        // Of 512 pages each.
        const HALF: usize = 1 << 18;
        let before = faults();
        let lines = Lines::<AtomicU64>::new(2 * HALF);
        let made = faults();
        lines.touch(0..HALF);
        let touched = faults();
        (0..HALF).for_each(|at| lines.at(at).store(1, Relaxed));
        let written = faults();
        assert!(
            made - before < 100 && written - touched < 100,
            "{before} {made} {touched} {written}"
        );
    }

    #[test]
    fn touching_changes_nothing() {
        let lines = Lines::<AtomicU32>::new(5000);
        lines.at(4096).store(7, Relaxed);
        lines.touch(0..1 << 40);
        lines.touch(4096..4097);
        assert!((0..5000).all(|at| lines.at(at).load(Relaxed) == if at == 4096 { 7 } else { 0 }));
        Lines::<AtomicU64>::new(0).touch(0..10);
    }
}
