//! Every disturbance at every call of every script, and pairs of them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use minipaas::engine::ErrorKind;
use minipaas::engine::faulty::{CallFault, CallKind, CallRecord, Gap};
use minipaas::testing::manifests::Unflushed;

use crate::fault::{Down, Fault, Injection, Quirk, When, faults_at};
use crate::scripts::Script;
use crate::world::{Ended, run};

/// Runs per phase of the script with fifty apps: one takes as long as fifteen others, and its apps are all alike. With twelve
/// of them everything is tried.
const CROWD: (&str, usize) = ("fifty", 300);

/// Seeds per kind of chance.
const SEEDS: u64 = 8;

/// Does all jobs on as many threads as there are cores, in order of their numbers; the results keep that order.
pub(crate) fn parallel<T: Send>(jobs: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= jobs {
                        return;
                    }
                    let result = work(job);
                    results.lock().unwrap().insert(job, result);
                }
            });
        }
    });
    results.into_inner().unwrap().into_values().collect()
}

fn writes(calls: &[CallRecord]) -> impl Iterator<Item = &CallRecord> {
    calls.iter().filter(|call| call.kind != CallKind::Read)
}

/// One fault, or one thing an operator does, at each call. Reads far from any write are left out: they are the looks of a daemon at rest, and
/// all alike.
pub(crate) fn single_faults(_: &Script, undisturbed: &Ended) -> Vec<Injection> {
    let calls = &undisturbed.calls;
    let writes: Vec<u64> = writes(calls).map(|call| call.number).collect();
    let near = |call: &CallRecord| writes.iter().any(|write| call.number < *write + 5 && *write < call.number + 9);
    let mut injections = Vec::new();
    for call in calls.iter().filter(|call| call.kind != CallKind::Read || near(call)) {
        injections.extend(faults_at(call).map(|fault| Injection::at(call.number, Fault::Call(fault))));
        if call.kind == CallKind::Write && call.point.starts_with("engine") {
            injections.push(Injection::at(call.number, Fault::OperatorKill));
            injections.push(Injection::at(call.number, Fault::OperatorRemove));
        }
    }
    injections
}

/// A daemon that stays down while people go on, and a machine that loses its power: at each call that changes something. What
/// lies between two of those is looking.
pub(crate) fn outages(_: &Script, undisturbed: &Ended) -> Vec<Injection> {
    const FAULTS: [Fault; 5] = [
        Fault::Down(Down::ForStep),
        Fault::Down(Down::ForRest),
        Fault::Power(Unflushed::Kept),
        Fault::Power(Unflushed::Lost),
        Fault::Power(Unflushed::Torn),
    ];
    writes(&undisturbed.calls).flat_map(|call| FAULTS.map(|fault| Injection::at(call.number, fault))).collect()
}

/// Bad news, all the way.
pub(crate) fn quirks(_: &Script, _: &Ended) -> Vec<Injection> {
    let seeds = |quirk: Quirk| if quirk.is_random() { SEEDS } else { 1 };
    let of = |quirk: Quirk| (1..=seeds(quirk)).map(move |seed| Injection::at(seed, Fault::Quirk(quirk)));
    Quirk::ALL.into_iter().flat_map(of).collect()
}

/// What may come on top of a first fault, within a few calls: also while the daemon recovers from it.
fn second_faults() -> Vec<Injection> {
    const FAULTS: [CallFault; 5] = [
        CallFault::CrashBefore,
        CallFault::CrashAfter,
        CallFault::Fail(ErrorKind::Retryable),
        CallFault::Fail(ErrorKind::Unreachable),
        CallFault::LoseAnswer,
    ];
    const LOOKS: [CallFault; 3] =
        [CallFault::Fail(ErrorKind::Unreachable), CallFault::Fail(ErrorKind::Retryable), CallFault::StaleList];
    let at_writes = (1..=4).flat_map(|n| FAULTS.map(|fault| Injection::later(Gap::Writes(n), fault)));
    let at_calls = (1..=12).flat_map(|n| LOOKS.map(|fault| Injection::later(Gap::Calls(n), fault)));
    at_writes.chain(at_calls).collect()
}

/// What may be tried on a script: first where something is most likely to break, then the rest of it.
pub(crate) struct Choice<S> {
    pub(crate) first: Vec<S>,
    pub(crate) rest: Vec<S>,
}

impl<S> From<Vec<S>> for Choice<S> {
    fn from(rest: Vec<S>) -> Self {
        Self { first: Vec::new(), rest }
    }
}

impl<S> Choice<S> {
    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// At most so many, always the same.
    fn cut(self, most: usize) -> Vec<S> {
        let mut chosen = even(self.first, most);
        let left = most - chosen.len();
        if left > 0 {
            chosen.extend(even(self.rest, left));
        }
        chosen
    }
}

/// Two faults close together. The first is one of the kinds that leave something half-done. Before all others come those that
/// hit a writing call and the one right after it, where that one is of another seam: what the first left behind is what the
/// second relies on.
pub(crate) fn pairs(_: &Script, undisturbed: &Ended) -> Choice<[Injection; 2]> {
    let first = |call: &CallRecord| {
        let mut faults = vec![Fault::Call(CallFault::CrashAfter)];
        if call.kind == CallKind::Write {
            faults.extend([Fault::Call(CallFault::LoseAnswer), Fault::Call(CallFault::Fail(ErrorKind::Retryable))]);
            faults.push(Fault::Down(Down::ForStep));
            if call.point.starts_with("engine") {
                faults.push(Fault::OperatorRemove);
            }
        }
        faults
    };
    let second = second_faults();
    let mut choice = Choice { first: Vec::new(), rest: Vec::new() };
    let calls: Vec<&CallRecord> = writes(&undisturbed.calls).collect();
    for (place, call) in calls.iter().enumerate() {
        let meets_another_seam = calls.get(place + 1).is_some_and(|next| next.seam() != call.seam());
        for first in first(call) {
            for second in &second {
                let pair = [Injection::at(call.number, first), *second];
                if meets_another_seam && second.when == When::Later(Gap::Writes(1)) {
                    choice.first.push(pair);
                } else {
                    choice.rest.push(pair);
                }
            }
        }
    }
    choice
}

/// An even choice of at most so many, always the same; every kind and every call gets its turn.
fn even<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let mut stride = all.len().div_ceil(most.max(1)).max(1);
    // Prime to the lengths of what repeats within, or the same kinds would be met every time.
    while stride > 1 && [2, 3, 5, 7].iter().any(|prime| stride.is_multiple_of(*prime)) {
        stride += 1;
    }
    all.into_iter().step_by(stride).collect()
}

pub(crate) fn replay_line(script: &Script, injections: &[Injection]) -> String {
    let words: Vec<String> = injections.iter().map(ToString::to_string).collect();
    format!("REPLAY=\"script={} {}\" cargo test --test convergence -- replay --nocapture", script.name, words.join(" "))
}

/// One line per phase: how much of it was run, and how long that took. `scripts/test` repeats them all at its end.
pub(crate) fn tell(phase: &str, lives: usize, share: &str, began: Instant) {
    println!("\nswept {phase}: {lives} lives, {share}, {:.1} s", began.elapsed().as_secs_f64());
}

/// How much of what is possible was chosen, by script.
fn share(chosen: &[(&str, usize, usize)]) -> String {
    let (lives, possible) = chosen.iter().fold((0, 0), |sum, (_, lives, all)| (sum.0 + lives, sum.1 + all));
    let cut: Vec<_> = chosen.iter().filter(|(_, lives, all)| lives < all).collect();
    match cut[..] {
        [] => "whole".to_owned(),
        [(name, lives, all)] => format!("whole but for `{name}` ({lives} of {all}, always the same)"),
        _ => {
            let percent =
                100.0 * f64::from(u32::try_from(lives).unwrap()) / f64::from(u32::try_from(possible).unwrap());
            format!("{percent:.1} % of {possible}, an even choice per script, always the same")
        }
    }
}

/// What is tried on each script, and how many runs of one script at most.
pub(crate) struct Batch<'s> {
    pub(crate) name: &'static str,
    pub(crate) scripts: &'s [Script],
    pub(crate) most: usize,
    /// A person asked for it.
    pub(crate) is_unlimited: bool,
}

impl Batch<'_> {
    /// Runs what `injections` lists for each script; returns the failures' text.
    pub(crate) fn run<S: AsRef<[Injection]> + Send + Sync, C: Into<Choice<S>>>(
        &self,
        injections: impl Fn(&Script, &Ended) -> C,
    ) -> Result<(), String> {
        let began = Instant::now();
        let scripts = self.scripts;
        let undisturbed: Vec<Ended> = parallel(scripts.len(), |number| run(&scripts[number], &[], None));
        let mut failures = String::new();
        let mut jobs: Vec<(usize, S)> = Vec::new();
        let mut chosen = Vec::new();
        for (number, ended) in undisturbed.iter().enumerate() {
            if !ended.violations.is_empty() {
                let text = ended.violations.join("\n    ");
                failures.push_str(&format!("{} undisturbed:\n    {text}\n{}\n", scripts[number].name, ended.trace));
                continue;
            }
            let all: Choice<S> = injections(&scripts[number], ended).into();
            let possible = all.len();
            let crowd = CROWD.0 == scripts[number].name;
            let most = if crowd && !self.is_unlimited { self.most.min(CROWD.1) } else { self.most };
            let all = all.cut(most);
            chosen.push((scripts[number].name, all.len(), possible));
            jobs.extend(all.into_iter().map(|injections| (number, injections)));
        }
        let results = parallel(jobs.len(), |job| {
            let (script, injections) = &jobs[job];
            let began = Instant::now();
            let ended = run(&scripts[*script], injections.as_ref(), Some(&undisturbed[*script]));
            (ended, began.elapsed())
        });
        let mut report = Report::default();
        for ((number, injections), (ended, took)) in jobs.iter().zip(&results) {
            report.take(&scripts[*number], injections.as_ref(), ended, *took, &undisturbed[*number]);
        }
        tell(self.name, jobs.len(), &share(&chosen), began);
        println!("    {} with violations, {} faults never came", report.broken, report.missed);
        report.print();
        failures.push_str(&report.failures);
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }
}

#[derive(Default)]
struct Report {
    broken: usize,
    missed: usize,
    kinds: BTreeMap<String, usize>,
    spent: BTreeMap<&'static str, (usize, Duration)>,
    /// By kind of fault: the most it took beyond the undisturbed run, in time and in changes.
    worst: BTreeMap<String, (Duration, usize)>,
    failures: String,
}

impl Report {
    fn take(&mut self, script: &Script, injections: &[Injection], ended: &Ended, took: Duration, undisturbed: &Ended) {
        self.missed += ended.missed;
        let entry = self.spent.entry(script.name).or_default();
        *entry = (entry.0 + 1, entry.1 + took);
        let faults: Vec<String> = injections.iter().map(|injection| injection.fault.to_string()).collect();
        let worst = self.worst.entry(faults[0].clone()).or_default();
        worst.0 = worst.0.max(ended.late.saturating_sub(undisturbed.late));
        worst.1 = worst.1.max(ended.changes.saturating_sub(undisturbed.changes));
        if ended.violations.is_empty() {
            return;
        }
        self.broken += 1;
        let first = ended.violations[0].lines().next().unwrap_or_default();
        let kind = self.kinds.entry(format!("{} {} {first}", script.name, faults.join(", "))).or_default();
        *kind += 1;
        if *kind == 1 {
            let text = ended.violations.join("\n    ");
            self.failures.push_str(&format!("{}\n    {text}\n{}\n", replay_line(script, injections), ended.trace));
        }
    }

    fn print(&self) {
        if std::env::var_os("VERBOSE").is_some() {
            for (name, (runs, took)) in &self.spent {
                println!("{name:>24} {runs:>5} runs {:>8.2} s", took.as_secs_f64());
            }
            for (fault, (time, changes)) in &self.worst {
                println!("{fault:>24} up to {:>7.1} s and {changes:>3} changes more", time.as_secs_f64());
            }
        }
        for (kind, count) in &self.kinds {
            println!("{count:>5} × {kind}");
        }
    }
}

impl AsRef<[Injection]> for Injection {
    fn as_ref(&self) -> &[Injection] {
        std::slice::from_ref(self)
    }
}

#[test]
fn the_pairs_that_meet_two_seams_come_first() {
    let call =
        |number, point| CallRecord { number, point, object: String::new(), kind: CallKind::Write, injected: None };
    let calls = vec![call(3, "store.put"), call(4, "store.append"), call(9, "engine.create"), call(10, "engine.start")];
    let undisturbed = Ended { calls, ..Ended::default() };
    let script = &crate::scripts::all()[0];
    let Choice { first, rest } = pairs(script, &undisturbed);
    // Four kinds of first faults in the store, five of second ones, at the one place where the next write is the engine's.
    assert_eq!(first.len(), 4 * 5);
    assert!(first.iter().all(|[first, second]| (first.call(), second.when) == (Some(4), When::Later(Gap::Writes(1)))));
    assert_eq!(Choice { first: first.clone(), rest: rest.clone() }.cut(20), first);
    let more = Choice { first: first.clone(), rest }.cut(60);
    assert!(more.len() > 40 && more.len() <= 60 && more.starts_with(&first), "{}", more.len());
}
