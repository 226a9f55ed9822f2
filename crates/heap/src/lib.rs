//! What the C library and the kernel can tell and do about the program's memory. Calling them takes `unsafe`, which the
//! product forbids itself; so it is done here, and nothing else is.
//!
//! With another C library than glibc (musl gives freed memory back by itself) nothing is ever free and nothing is given back.

use std::io;

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

/// Takes the program's own code and constants out of its resident memory, how many bytes of them it returns. What is needed
/// next is mapped again from the file's pages, which the kernel goes on keeping as long as it has memory to spare; what only
/// the start needed stays away. Threads may run on meanwhile. Libraries are let be.
///
/// # Errors
/// When `/proc` cannot be read, or the kernel refuses. The program is none the worse for it.
pub fn unmap_code() -> io::Result<usize> {
    let program = std::fs::read_link("/proc/self/exe")?;
    code::unmap(&std::fs::read_to_string("/proc/self/smaps")?, &program.to_string_lossy())
}

#[cfg(target_os = "linux")]
mod code {
    use std::ffi::{c_int, c_void};
    use std::io;

    /// The same on every architecture but Alpha.
    const MADV_DONTNEED: c_int = 4;

    unsafe extern "C" {
        fn madvise(start: *mut c_void, length: usize, advice: c_int) -> c_int;
    }

    pub(crate) fn unmap(smaps: &str, program: &str) -> io::Result<usize> {
        let mut unmapped = 0;
        for (start, end, resident) in untouched(smaps, program) {
            let length = end - start;
            // SAFETY: the range is a whole mapping of the program's own file (`smaps` tells), which lasts as long as the process,
            // cannot be written to, and has no page that differs from the file, resident or swapped out. So every page comes
            // back as it is.
            if unsafe { madvise(std::ptr::with_exposed_provenance_mut(start), length, MADV_DONTNEED) } != 0 {
                return Err(io::Error::last_os_error());
            }
            unmapped += resident;
        }
        Ok(unmapped)
    }

    /// Start, end and resident bytes of the private mappings of this file that are not writable and of which no page was ever
    /// written: relocated constants, for one, are not what is in the file any more, wherever they are now (`Anonymous` counts
    /// resident pages only). See `proc_pid_smaps(5)`.
    pub(crate) fn untouched(smaps: &str, file: &str) -> Vec<(usize, usize, usize)> {
        let (mut found, mut at, mut resident) = (Vec::new(), None, 0);
        for line in smaps.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["Rss:", size, "kB"] => resident = size.parse().unwrap_or(0) << 10,
                ["Anonymous:", "0", "kB"] => {}
                // After the other two. A kernel that does not tell is asked for nothing.
                ["Swap:", "0", "kB"] => found.extend(at.take().map(|(start, end)| (start, end, resident))),
                ["Anonymous:" | "Swap:", ..] => at = None,
                [range, permissions, _, device, _, ..] if device.contains(':') => {
                    let ours = matches!(*permissions, "r-xp" | "r--p") && line.ends_with(&format!(" {file}"));
                    at = if ours { parse(range) } else { None };
                }
                _ => {}
            }
        }
        found
    }

    fn parse(range: &str) -> Option<(usize, usize)> {
        let (start, end) = range.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        Some((address(start)?, address(end)?)).filter(|(start, end)| start < end)
    }
}

#[cfg(not(target_os = "linux"))]
mod code {
    pub(crate) fn unmap(_: &str, _: &str) -> std::io::Result<usize> {
        Ok(0)
    }
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

    // SAFETY: both have exactly these signatures, may be called at any time from any thread and touch nothing but the
    // allocator's own books and free pages.
    unsafe extern "C" {
        safe fn mallinfo() -> Mallinfo;
        safe fn malloc_trim(pad: usize) -> c_int;
    }

    pub(crate) fn kept() -> usize {
        // It wraps around; four gigabytes are far.
        mallinfo().fordblks.cast_unsigned() as usize
    }

    pub(crate) fn give_back() {
        malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod imp {
    pub(crate) fn kept() -> usize {
        0
    }

    pub(crate) fn give_back() {}
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

    #[test]
    fn code_that_is_not_needed_leaves_and_what_is_comes_back() {
        let before = resident("RssFile:");
        let unmapped = super::unmap_code().unwrap();
        let after = resident("RssFile:");
        assert!(unmapped > 0 && after < before, "{unmapped} of {before}, {after} after it");
        // Still works.
        assert_eq!(format!("{:?}", std::time::Duration::from_millis(1500)), "1.5s");
    }

    #[test]
    fn nothing_that_was_written_to_is_unmapped() {
        let smaps = "\
            1000-3000 r--p 00000000 fe:00 7 /bin/paas\nRss: 8 kB\nAnonymous: 0 kB\nSwap: 0 kB\nSwapPss: 0 kB\n\
            3000-9000 r-xp 00002000 fe:00 7 /bin/paas\nRss: 20 kB\nAnonymous: 0 kB\nSwap: 0 kB\n\
            9000-a000 r--p 00008000 fe:00 7 /bin/paas\nRss: 4 kB\nAnonymous: 4 kB\nSwap: 0 kB\n\
            a000-b000 r--p 00009000 fe:00 7 /bin/paas\nRss: 4 kB\nAnonymous: 0 kB\nSwap: 4 kB\n\
            b000-c000 r-xp 0000a000 fe:00 7 /bin/paas\nRss: 4 kB\nAnonymous: 0 kB\n\
            c000-d000 rw-p 0000b000 fe:00 7 /bin/paas\nRss: 0 kB\nAnonymous: 0 kB\nSwap: 0 kB\n\
            d000-e000 r--s 00000000 fe:00 7 /bin/paas\nRss: 0 kB\nAnonymous: 0 kB\nSwap: 0 kB\n\
            e000-f000 r-xp 00000000 00:00 0 [vdso]\nRss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB\n\
            f000-10000 r-xp 00000000 fe:00 9 /lib/libc.so.6\nRss: 0 kB\nAnonymous: 0 kB\nSwap: 0 kB\n";
        assert_eq!(super::code::untouched(smaps, "/bin/paas"), [(0x1000, 0x3000, 8 << 10), (0x3000, 0x9000, 20 << 10)]);
        assert_eq!(super::code::untouched(&smaps.replace("paas", "paas (deleted)"), "/bin/paas (deleted)").len(), 2);
    }
}
