//! The apps that one command is about: one, several, or all of them.

use std::io::{self, BufRead, IsTerminal};

use super::args::{Chosen, Wait};
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::wait::{self, Goal};
use crate::desired::{Change, ManifestDir};
use crate::model::{AppKey, RunState};

/// The apps that were named, all of which have a manifest, or all that there are; `None` when the question was answered no.
/// Nothing was changed by then: one wrong name must not leave half of them changed.
pub(super) fn apps(context: &mut Context, args: &Chosen, verb: &str) -> anyhow::Result<Option<Vec<AppKey>>> {
    let manifests = Manifests::new(context.settings()?);
    if !args.all {
        let mut apps = Vec::new();
        for typed in &args.apps {
            let app = manifests.known(typed)?;
            if !apps.contains(&app) {
                apps.push(app);
            }
        }
        return Ok(Some(apps));
    }
    let mut apps = Vec::new();
    for app in manifests.keys()? {
        // What cannot be read is the daemon's to tell of; what is to go stays on its way.
        if manifests.manifest(&app).is_ok_and(|manifest| manifest.state != RunState::Deleted) && !apps.contains(&app) {
            apps.push(app);
        }
    }
    if apps.is_empty() {
        anyhow::bail!("there are no apps: make one with `paas create USERID-APPNAME --template diary-v1`");
    }
    if args.yes {
        return Ok(Some(apps));
    }
    let names: Vec<String> = apps.iter().map(ToString::to_string).collect();
    let what = format!("{} apps ({})", apps.len(), names.join(", "));
    if !io::stdin().is_terminal() {
        anyhow::bail!(
            "`--all` would {verb} {what}, and there is no terminal to ask on: say so with `paas {verb} --all --yes`"
        );
    }
    context.err.note(format_args!("This would {verb} {what}. Go on? [y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(Some(apps));
    }
    context.err.note("nothing was changed");
    Ok(None)
}

/// Writes the changes into every app's manifest, then waits for each: the daemon works on all of them meanwhile. An app that
/// fails is told, and the others go on.
pub(super) async fn change(
    context: &mut Context,
    apps: Vec<AppKey>,
    wait: Wait,
    changes: impl Fn(&mut Context, &AppKey) -> anyhow::Result<(Vec<Change>, RunState)>,
) -> anyhow::Result<Exit> {
    let manifests = Manifests::new(context.settings()?);
    let dir = ManifestDir::new(context.settings()?.manifests_dir.clone());
    let client = context.client()?;
    let only = apps.len() == 1;
    let (mut goals, mut failed) = (Vec::new(), false);
    for key in apps {
        let written = match changes(context, &key) {
            Ok((changes, state)) => manifests.edit(&client, &key, &changes).await.map(|digest| (digest, state)),
            Err(error) => Err(error),
        };
        match written {
            Ok((digest, state)) => goals.push(Goal { key, digest, state, dir: dir.clone() }),
            Err(error) if only => return Err(error),
            Err(error) => {
                context.err.error(&error);
                failed = true;
            }
        }
    }
    let mut exit = Exit::Done;
    for goal in goals {
        match wait::wait(context, goal, wait).await {
            Ok(Exit::Done) => {}
            Ok(other) => exit = other,
            Err(error) if only => return Err(error),
            Err(error) => {
                context.err.error(&error);
                failed = true;
            }
        }
    }
    Ok(if failed { Exit::Failed } else { exit })
}
