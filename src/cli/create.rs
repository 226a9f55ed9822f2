//! `paas create USERID-APPNAME --template T`.

use super::args;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::names;
use super::trash;
use super::wait::{self, Goal};
use crate::desired::resolve::suggested_visitors;
use crate::desired::{ManifestDir, templates};
use crate::folders::{DiskFolders, Folders as _};
use crate::model::manifest::{Manifest, RESERVED_ENV, Restart, RunState};
use crate::model::{Settings, Template, TemplateId};

pub(super) async fn run(context: &mut Context, args: &args::Create) -> anyhow::Result<Exit> {
    args.app.allowed_for_new()?;
    let settings = context.settings()?.clone();
    let Some(template) = &args.template else {
        let app = &args.app;
        context.err.note(super::templates::listed(&settings)?);
        context.err.note(format_args!("\nsay which one: `paas create {app} --template TEMPLATE`"));
        return Ok(Exit::Usage);
    };
    let visitors = suggested_visitors(&check_template(&settings, template)?, &settings);
    if let Some((name, _)) = args.env.iter().find(|(name, _)| RESERVED_ENV.contains(&name.as_str())) {
        anyhow::bail!("the variable {name} is set by the platform: choose another name");
    }
    let manifest = Manifest {
        enable_api: args.enable_api,
        memory: args.memory,
        cpus: args.cpus,
        pids: args.pids,
        restart: args.restart.map(Restart::from),
        env: args.env.iter().cloned().collect(),
        disk: args.disk,
        visitors,
        ..Manifest::of(template.clone())
    };
    let key = args.app.clone();
    let client = context.client()?;
    // Looked at before the daemon may have made the app's folder.
    let folders = DiskFolders::of(&settings)?;
    let had_none = !folders.code_dir(&key).exists();
    let newest = if had_none { trash::newest_code(&folders, &key).await? } else { None };
    let own = if had_none && !args.fresh { trash::what_comes_back(&folders, &key, template).await? } else { None };
    let fresh = || {
        if !args.fresh {
            return Ok(());
        }
        // Known only now that nobody else changes the manifest: an app that is on its way out keeps its code until the end.
        let code = folders.code_dir(&key);
        anyhow::ensure!(
            !code.exists(),
            "the code of `{key}` is still in {}, so it would not begin with the template's: while it is being removed, wait until \
             `paas status {key}` says `Deleted` or knows it no more; else move that folder away. Then say it again",
            code.display()
        );
        Ok(folders.pass_over(&key)?)
    };
    let (path, digest) = Manifests::new(&settings).create(&client, &key, &manifest, fresh).await?;
    context.err.note(format_args!("wrote {}", path.display()));
    if let Some(trashed) = &own {
        trash::tell_back(context, trashed);
    } else if let Some(trashed) = &newest {
        context.err.note(format_args!(
            "{key} had code before: `paas stop {key}`, then `paas trash restore {}` brings it back",
            trashed.entry
        ));
    }
    let dir = ManifestDir::new(context.settings()?.manifests_dir.clone());
    wait::wait(context, Goal { key, digest, state: RunState::Running, dir }, args.wait).await
}

/// The daemon would say the same, but only after the file is written.
fn check_template(settings: &Settings, wanted: &TemplateId) -> anyhow::Result<Template> {
    let folder = &settings.templates_dir;
    let mut known = templates::load(folder).unwrap_or_default();
    match known.remove(wanted) {
        Some(Ok(template)) => return Ok(template),
        Some(Err(problem)) => anyhow::bail!("{problem}"),
        None => {}
    }
    known.retain(|_, template| template.is_ok());
    let folder = folder.display();
    if let Some(meant) = names::closest(wanted.as_str(), known.keys().map(TemplateId::as_str)) {
        anyhow::bail!("there is no template `{wanted}` in {folder}: did you mean `{meant}`?");
    }
    if known.is_empty() {
        anyhow::bail!(
            "there is no template `{wanted}`: {folder} has none that can be used; copy the product's `templates/` there"
        );
    }
    let there: Vec<&str> = known.keys().map(TemplateId::as_str).collect();
    anyhow::bail!("there is no template `{wanted}` in {folder}: choose one of {}", there.join(", "))
}
