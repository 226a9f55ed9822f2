//! What the C library and the kernel can tell and do about the program's memory. Calling them takes `unsafe`, which the
//! product forbids itself; so it is done here, and nothing else is.
//!
//! With another C library than glibc (musl gives freed memory back by itself) nothing is ever free and nothing is given back.

/// Bytes that were freed and that the allocator keeps for later; those given back by [`give_back`] are still counted. Takes
/// microseconds, or up to a millisecond where much lies free in small pieces.
#[must_use]
pub fn kept() -> usize {
    imp::kept()
}

/// Gives whole free pages back to the system, also from between those in use, which the allocator does only at its ends.
/// Other threads that allocate wait meanwhile: about a millisecond for fifty megabytes.
pub fn give_back() {
    imp::give_back();
}

/// From now on all threads together allocate from so many arenas at most, instead of up to eight for each core: what one thread
/// has freed another can use, and free pages do not lie about in sixteen places. Threads keep a small cache of their own
/// either way. To be called before there are any.
pub fn share_arenas(most: u8) {
    imp::share_arenas(most);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod imp {
    use std::ffi::c_int;

    /// `struct mallinfo` of `malloc.h`. There is a wider one, but not in every glibc that is in use.
    #[repr(C)]
    struct Mallinfo {
        arena: c_int,
        ordblks: c_int,
        smblks: c_int,
        hblks: c_int,
        hblkhd: c_int,
        usmblks: c_int,
        fsmblks: c_int,
        uordblks: c_int,
        fordblks: c_int,
        keepcost: c_int,
    }

    /// `M_ARENA_MAX` of `malloc.h`.
    const ARENA_MAX: c_int = -8;

    // SAFETY: all have exactly these signatures, may be called at any time from any thread and touch nothing but the
    // allocator's own books and free pages.
    unsafe extern "C" {
        safe fn mallinfo() -> Mallinfo;
        safe fn malloc_trim(pad: usize) -> c_int;
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }

    pub(crate) fn kept() -> usize {
        // It wraps around; four gigabytes are far.
        mallinfo().fordblks.cast_unsigned() as usize
    }

    pub(crate) fn give_back() {
        malloc_trim(0);
    }

    pub(crate) fn share_arenas(most: u8) {
        // It refuses nothing above zero, and without it there are only more of them.
        mallopt(ARENA_MAX, most.max(1).into());
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod imp {
    pub(crate) fn kept() -> usize {
        0
    }

    pub(crate) fn give_back() {}

    pub(crate) fn share_arenas(_: u8) {}
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    /// A figure of this process, in bytes.
    fn resident(field: &str) -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
    }

    #[test]
    fn what_lies_free_between_what_is_used_is_seen_and_given_back() {
        const SIZE: usize = 16 << 10;
        const COUNT: usize = 2_000;
        let blocks: Vec<_> = (0..COUNT).map(|_| vec![1_u8; SIZE]).collect();
        // Every tenth stays, so that the allocator cannot give anything back by itself.
        let stay: Vec<_> =
            blocks.into_iter().enumerate().filter(|(n, _)| n % 10 == 0).map(|(_, block)| block).collect();
        let before = resident("RssAnon:");
        assert!(super::kept() > COUNT * SIZE / 2, "{}", super::kept());
        super::give_back();
        let given = before.saturating_sub(resident("RssAnon:"));
        assert!(given > COUNT * SIZE / 2, "only {given} bytes of {} were given back", COUNT * SIZE);
        assert_eq!(stay.len(), COUNT / 10);
    }

    /// Arenas are seen by their reservation: 64 MB each, of which a thread's first allocation makes the beginning usable.
    #[test]
    fn threads_share_the_arenas() {
        super::share_arenas(2);
        let barrier = std::sync::Barrier::new(16);
        let arenas: std::collections::BTreeSet<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        let block = vec![1_u8; 4 << 10];
                        barrier.wait();
                        block.as_ptr().expose_provenance() >> 26
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // Other tests of this process may have brought one each before; alone, sixteen threads would have sixteen.
        assert!(arenas.len() <= 6, "{arenas:x?}");
    }
}
