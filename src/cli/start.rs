//! `paas start APP…`.

use super::args;
use super::chosen;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::trash;
use crate::desired::Change;
use crate::folders::DiskFolders;
use crate::model::RunState;

pub(super) async fn run(context: &mut Context, args: &args::Change) -> anyhow::Result<Exit> {
    let Some(apps) = chosen::apps(context, &args.chosen, "start")? else { return Ok(Exit::Failed) };
    let settings = context.settings()?.clone();
    for app in &apps {
        // One that was deleted comes back as it was.
        if let Ok(manifest) = Manifests::new(&settings).manifest(app) {
            let folders = DiskFolders::of(&settings)?;
            if let Some(trashed) = trash::what_comes_back(&folders, app, &manifest.template).await? {
                trash::tell_back(context, &trashed);
            }
        }
    }
    // `keepData` means something only beside `state: deleted`.
    let changes = |_: &mut Context, _: &_| {
        Ok((vec![Change::State(RunState::Running), Change::KeepData(None)], RunState::Running))
    };
    chosen::change(context, apps, args.wait, changes).await
}
