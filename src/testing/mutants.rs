//! Planted bugs, each named after a failure that was published about somebody's controller: the proof that the sweep sees
//! what it is meant to see. One is switched on per thread, in tests only; the program contains neither switch nor bug.

use std::cell::Cell;

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A bug that can be switched on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant { $($(#[$doc])* $name,)* }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

mutants! {
    /// A folder that cannot be read is taken for an empty one (kubelet's static pods).
    MissingFolderMeansEmpty,
    /// A list that failed is taken for an empty one.
    FailedListMeansEmpty,
    /// A file that does not parse is taken for a deleted one.
    InvalidMeansDeleted,
    /// A renamed file is a deletion at once.
    NoGrace,
    /// Nobody asks before everything goes.
    NoMassGuard,
    /// What a person confirmed is not remembered.
    ConfirmationForgotten,
    /// Only events count; what was missed is never found.
    NoResync,
    /// An event that comes while its app is worked on is dropped (doco-cd).
    EventDroppedWhileBusy,
    /// A lost answer is taken for a call that did not happen.
    LostAnswerForgotten,
    /// Docker is gone and the status is as of old.
    LossUnreported,
    /// What was made is taken for ready.
    ReadyWhateverHealth,
    /// What was created is taken for started.
    CreatedMeansRunning,
    /// What is frozen is taken for running.
    PausedMeansRunning,
    /// What is stopped is taken for what is wanted.
    StoppedMeansWanted,
    /// A container off its network is left so.
    NetworkIgnored,
    /// A limit that somebody changed stays (Komodo's limit that became 0).
    LimitsNeverRepaired,
    /// The successor keeps its provisional name.
    RenameForgotten,
    /// The old container is stopped before the new one was tried.
    StopBeforeStart,
    /// The old container goes before the new one answers.
    OldGoesFirst,
    /// A new container may take for ever to answer.
    TrialNeverFails,
    /// A version that failed is tried again and again.
    FailureForgotten,
    /// The record goes before what it is a record of.
    ForgetFirst,
    /// `state: stopped` does not stop.
    StopIgnored,
    /// A new image changes nothing.
    ImageIgnored,
    /// Ours by name instead of by label.
    OwnedByName,
    /// An edit of the environment changes nothing.
    EnvIgnored,
}

thread_local! {
    static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Switches a bug on for everything that runs on this thread until it is dropped.
#[derive(Debug)]
pub struct Planted(());

#[must_use]
pub fn plant(mutant: Mutant) -> Planted {
    ON.set(Some(mutant));
    Planted(())
}

impl Drop for Planted {
    fn drop(&mut self) {
        ON.set(None);
    }
}

#[must_use]
pub fn is_on(mutant: Mutant) -> bool {
    ON.get() == Some(mutant)
}
