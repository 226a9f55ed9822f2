//! The task that owns the watch on `.env`.
//!
//! Input: file events about the folder of the file, and a slow timer for those that got lost. Output: a `watch` channel
//! that always holds what is in force. It ends when cancelled.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{SettingProblem, SettingsSource, advice, reload};
use crate::fswatch::{self, Depth, Root};
use crate::model::Settings;

/// How often the file is read without an event: network file systems send none.
const RESCAN: Duration = Duration::from_secs(60);

/// What is in force, and what is wrong with the file.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsState {
    pub settings: Arc<Settings>,
    pub problems: Vec<SettingProblem>,
    pub restart_required: Vec<String>,
}

/// Follows the file, starting from the settings the daemon was started with. The caller spawns the future on its
/// tracker. A value is published only when it differs from the one before.
pub fn follow(
    source: SettingsSource,
    initial: Settings,
    cancel: CancellationToken,
) -> (watch::Receiver<Arc<SettingsState>>, impl Future<Output = ()> + Send + 'static) {
    let state = SettingsState { settings: Arc::new(initial), problems: Vec::new(), restart_required: Vec::new() };
    let (state_tx, state_rx) = watch::channel(Arc::new(state));
    (state_rx, run(source, state_tx, cancel))
}

async fn run(source: SettingsSource, state_tx: watch::Sender<Arc<SettingsState>>, cancel: CancellationToken) {
    let folder = source.file().parent().unwrap_or(source.file()).to_owned();
    let stop = cancel.child_token();
    let (mut hints_rx, watching) =
        fswatch::watch(vec![Root { path: folder, depth: Depth::Flat, kind: () }], stop.clone());
    let following = async {
        let mut filled = !source.is_blank();
        loop {
            // Cancel-safe: a hint that is dropped with this future is followed by a read of the file anyway.
            let _ = tokio::time::timeout(RESCAN, hints_rx.recv()).await;
            let reading = source.clone();
            // A panic of the reader leaves the last state in force; the next event tries again.
            let read = tokio::task::spawn_blocking(move || (reading.is_blank(), reading.read()));
            let Ok((blank, (candidate, mut problems))) = read.await else { continue };
            // Defaults that nobody has asked for would make every app anew.
            if blank && filled {
                problems = vec![source.vanished()];
            }
            filled |= !blank;
            publish(&state_tx, &candidate, problems, source.file());
        }
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = following => {}
        () = watching => {}
    }
    stop.cancel();
}

fn publish(
    state_tx: &watch::Sender<Arc<SettingsState>>,
    candidate: &Settings,
    problems: Vec<SettingProblem>,
    file: &Path,
) {
    let before = state_tx.borrow().clone();
    let after = reload(&before.settings, candidate, problems);
    // Once for each key: the file may be saved a thousand times.
    if before.settings.portal_api_key != after.settings.portal_api_key
        && let Some(advice) = advice(&after.settings, file)
    {
        tracing::warn!("{advice}");
    }
    let settings = if *before.settings == after.settings { before.settings.clone() } else { Arc::new(after.settings) };
    // While the file is refused, what waited for a restart before still does.
    let restart_required =
        if after.problems.is_empty() { after.restart_required } else { before.restart_required.clone() };
    let state = SettingsState { settings, problems: after.problems, restart_required };
    if *before != state {
        state_tx.send_replace(Arc::new(state));
    }
}
