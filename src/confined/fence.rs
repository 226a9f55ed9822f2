//! What the child gives up before it reads its first byte of what an app has written.

use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::job::Bounds;
use crate::folders::stop::{Outcome, refuse};

/// Far more than copying and compressing takes; a crafted file that asks for more ends the child.
const MEMORY: u64 = 256 << 20;
const ADDRESSES: u64 = 2 << 30;
/// Levels of folders, and some.
const OPEN_FILES: u64 = 512;

/// Whether the kernel keeps this process away from all but its folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    Closed,
    /// The kernel is older than 5.13, or does without it.
    None,
}

/// # Errors
/// What could not be given up: then nothing is read.
pub(super) fn close(bounds: Bounds, descriptors: &[OwnedFd]) -> Outcome<Fence> {
    let io = |what: &str, error: rustix::io::Errno| refuse(format!("{what}: {}", std::io::Error::from(error)));
    rustix::thread::set_no_new_privs(true).map_err(|error| io("privileges cannot be given up", error))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(|error| io("capabilities cannot be given up", error))?;
    // A tar file with a header for each entry, at most.
    let largest = bounds.bytes.saturating_add(bounds.entries.saturating_mul(4 << 10)).saturating_add(64 << 20);
    let limits = [
        (Resource::Data, MEMORY),
        (Resource::As, ADDRESSES),
        (Resource::Nofile, OPEN_FILES),
        (Resource::Core, 0),
        // It starts nobody, and needs no thread.
        (Resource::Nproc, 0),
        (Resource::Cpu, bounds.time.as_secs().max(1)),
        (Resource::Fsize, largest),
    ];
    for (resource, most) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|error| io("a limit cannot be set", error))?;
    }
    // Visitors come first. Without it, it is only less polite.
    let _ = rustix::process::nice(10);
    Ok(landlock(descriptors).unwrap_or(Fence::None))
}

/// All that is allowed is below the folders that were handed in; files that are open stay open.
fn landlock(descriptors: &[OwnedFd]) -> Result<Fence, RulesetError> {
    let all = AccessFs::from_all(ABI::V5);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(ABI::V6))?
        .create()?;
    for descriptor in descriptors {
        // What is no folder needs no rule.
        let is_folder = rustix::fs::fstat(descriptor)
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory);
        if is_folder {
            rules = rules.add_rule(PathBeneath::new(descriptor, all))?;
        }
    }
    match rules.restrict_self()?.ruleset {
        RulesetStatus::NotEnforced => Ok(Fence::None),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(Fence::Closed),
    }
}
