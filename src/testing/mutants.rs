//! Planted bugs, each named after a failure that was published about somebody's controller: the proof that the sweep sees
//! what it is meant to see. The project is named where the failure is known by it; "Sieve" and "Acto" stand for the classes of
//! bugs that those tools found in operators. One bug is switched on per thread, in tests only; the program contains neither
//! switch nor bug.

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
    // --- deletion: what is not seen is taken for what is not wanted ---
    /// A folder that cannot be read is taken for an empty one (kubelet's static pods).
    MissingFolderMeansEmpty,
    /// A listing that broke off is taken for the whole (delete on partial listing).
    PartialListingTrusted,
    /// A list of containers that failed is taken for an empty one (Sieve: stale and empty views of Kubernetes operators).
    FailedListMeansEmpty,
    /// A file that does not parse is taken for a deleted one (the file watcher that skips what is broken).
    InvalidMeansDeleted,
    /// The rename trap: a renamed file is a deletion at once.
    NoGrace,
    /// What was absent once is removed without a second look (Sieve: stale views).
    AbsenceTakenOnTrust,
    /// Nobody asks before everything goes (pruning without a guard).
    NoMassGuard,
    /// What a person confirmed is not remembered.
    ConfirmationForgotten,
    /// What a person confirmed is not remembered by the daemon's next life.
    ConfirmationUnwritten,
    /// That many vanished together is not remembered by the daemon's next life, so what is still gone by then goes at once
    /// (kubelet's static pods: an empty directory is a wish).
    HoldUnwritten,
    /// A write that failed is taken for one that was not made: a confirmation that landed all the same is never struck off
    /// (Sieve: an update that timed out and happened).
    FailedWriteForgotten,
    /// Deleting an app takes its data along (Sieve: volume claims of a live cluster).
    DeletionTakesData,
    /// Ours by a prefix of the name instead of by label (match by prefix).
    OwnedByName,
    // --- news: what came unseen stays unseen ---
    /// Only events count; what was missed is never found (edge-triggered controllers; Sieve's unobserved states).
    NoResync,
    /// An event that comes while its app is worked on is dropped (doco-cd: "another job is still in progress",
    /// its issue 856).
    EventDroppedWhileBusy,
    /// Docker is gone and the status is as of old.
    LossUnreported,
    // --- answers: a call that failed may have happened ---
    /// A lost answer is taken for a call that did not happen.
    LostAnswerForgotten,
    /// A lost answer is made up for by a second call under another name (ack lost = duplicate).
    LostAnswerTwice,
    // --- status: what is hoped is said ---
    /// What was made is taken for ready.
    ReadyWhateverHealth,
    /// The status says that a change is in force before it is made (`observedGeneration` written first).
    StatusBeforeAction,
    /// What was created is taken for started (created means running).
    CreatedMeansRunning,
    /// What is frozen is taken for running.
    PausedMeansRunning,
    /// What is stopped is taken for what is wanted.
    StoppedMeansWanted,
    // --- addresses: who is found where another was ---
    /// An address that was given back goes to the next container at once (Kubernetes: a pod's address is given to another while
    /// proxies still send it the first one's visitors).
    AddressHandedOn,
    /// A successor is told of under its predecessor's address (a proxy that looked a name up once).
    AddressKept,
    // --- visitors: who is let in where nobody may ---
    /// A file that cannot be used says nothing of visitors, so everybody is let in (an access list that fails open).
    BrokenFileOpens,
    /// What the settings say for all does not count.
    DefaultVisitorsIgnored,
    /// With direct routing a private app runs as any other (a proxy's access list that is passed by asking the backend).
    UnguardedInDirect,
    // --- names: who answers to which ---
    /// Whoever asks for a host name has it, whoever has it already (two virtual hosts with one name: the one that nginx read first).
    NameOfTwo,
    // --- drift that is not seen ---
    /// A container off its network is left so.
    NetworkIgnored,
    /// A limit that somebody changed stays.
    LimitsNeverRepaired,
    /// A limit arrives as 0, which Docker takes for "as it was" (Komodo's limit that became 0).
    LimitBecomesZero,
    /// `state: stopped` does not stop.
    StopIgnored,
    /// A new image changes nothing.
    ImageIgnored,
    /// An edit of the environment changes nothing.
    EnvIgnored,
    // --- deploys ---
    /// The successor keeps its provisional name.
    RenameForgotten,
    /// The old container is stopped before the new one was tried.
    StopBeforeStart,
    /// The old container goes before the new one answers.
    OldGoesFirst,
    /// A new container may take for ever to answer.
    TrialNeverFails,
    /// Every new container gets as long as any other.
    StartTimeoutIgnored,
    /// A version that failed is tried again and again.
    FailureForgotten,
    /// A change of the network moves as many apps at a time as there are workers.
    TurnIgnored,
    // --- apps that hang ---
    /// An app that hangs stays so (a liveness probe that nobody acts on).
    HangsLeftAlone,
    /// It gets new containers without a pause while they hang as well (a liveness probe that kills a slow database for ever).
    HangsReplacedAtOnce,
    /// It gets a new one although its manifest wants it told only.
    HangsReplacedUnasked,
    // --- versions ---
    /// What runs is the working copy, whatever the label says (a failed deploy, then a reboot into the broken code).
    VersionIsLive,
    /// A checkout is dropped as soon as the newest version is another one, also while a container mounts it.
    CheckoutDroppedEarly,
    /// A checkout goes although the history has not recorded it yet.
    CheckoutDroppedUnrecorded,
    /// What is in `app/` is not kept before another version takes its place.
    EditsUnsaved,
    /// What was written into `app/` meanwhile is overwritten by the version that was asked for before.
    EditsOverwritten,
    /// `app/` follows before anybody knows whether the version runs.
    CodeBroughtEarly,
    /// What is checked out is something else than what was recorded (a ref that moved).
    OtherCodeCheckedOut,
    /// `app/` that vanished comes back as the template it once was made from.
    CodeBackFromTemplate,
    /// What goes to trash is not marked as what it is, so an app that is made again begins with its template and not with its
    /// own code.
    TrashWithoutTemplate,
    // --- previews ---
    /// A preview has the app's own data.
    PreviewOnRealData,
    /// It outlives its time.
    PreviewNeverEnds,
    /// It is open to everybody, as an app may be.
    PreviewForEveryone,
    /// Its container counts as one of the app's.
    PreviewTakenForApp,
    /// Nobody looks at an app while it is looked at besides.
    PreviewHoldsApp,
    // --- order ---
    /// The record goes before what it is a record of (Acto: finalizers dropped before the clean-up).
    ForgetFirst,
    /// The record is written after what it is a record of (Sieve: a crash in between leaks what was made).
    RecordLast,
    // --- sleep: nobody is left outside ---
    /// An app is stopped for the night although requests still go there (Sablier, fly-proxy: a stop that races with a request).
    SleepsAmidVisitors,
    /// Who came after the decision and before the stop is not asked about.
    VisitorsOverlooked,
    /// The time counts from when an app began to serve, whoever has come since.
    VisitsUncounted,
    /// Whoever reads a stream that has not ended does not count (an autostop that looks at finished requests only).
    StreamsUncounted,
    // --- memory: the kernel never has to choose ---
    /// Nobody sleeps early, however short memory runs (an autoscaler that knows requests only).
    PressureIgnored,
    // --- sleep: what is wanted comes back ---
    /// A process that was stopped for the night and ended well is taken for one that has done its work.
    SleepTakenForEnd,
    /// That an app is awake is written down before it is started: a crash in between leaves it stopped, and nobody knows why.
    AwakeNotedEarly,
    // --- restore: the old data or the new, and the old can be had again ---
    /// Data changes places while the app goes on writing (restores over a live database).
    SwapsAmidWriting,
    /// What was started just before the exchange goes on with what was there before, where nobody looks any more.
    SwapMissed,
    /// What is there is taken away before what comes is in its place: a crash in between leaves neither.
    SwapsInTwoSteps,
    /// What was there before is thrown away once the new data is in its place.
    OldDataDropped,
    // --- isolation ---
    /// One failure aborts the pass: nobody else is looked at while an app fails.
    FailureAbortsAll,
}

thread_local! {
    static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
}

impl Mutant {
    /// The one property that sees it, where that is what it is planted for.
    #[must_use]
    pub fn seen_only_by(self) -> Option<&'static str> {
        match self {
            Self::SleepsAmidVisitors | Self::VisitorsOverlooked | Self::VisitsUncounted | Self::StreamsUncounted => {
                Some("P23")
            }
            Self::PressureIgnored => Some("P22"),
            _ => None,
        }
    }
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
