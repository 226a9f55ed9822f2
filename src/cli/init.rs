//! `paas init`.

use std::path::Path;

use anyhow::Context as _;

use super::context::Context;
use super::exit::Exit;
use super::manifests;

pub(super) fn run(context: &mut Context) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    let folders = [
        &settings.manifests_dir,
        &settings.apps_dir,
        &settings.templates_dir,
        &settings.runtime_dir(),
        &settings.trash_dir(),
        &settings.root.join("backups"),
        &settings.root.join("run"),
        &settings.root.join("portal-data"),
    ];
    for folder in folders {
        make(context, folder)?;
    }
    let (instance, made) = manifests::ensure_marker(&settings)?;
    let marker = settings.manifests_dir.join(".minipaas");
    let verb = if made { "made" } else { "kept" };
    context.out.line(format_args!("{verb} {} (installation {instance})", marker.display()))?;
    let env_file = settings.root.join(".env");
    if !env_file.exists() {
        context.out.line(format_args!(
            "settings: all defaults; to change one, write it into {}, for example PAAS_DOMAIN=example.org",
            env_file.display()
        ))?;
    }
    let templates = std::fs::read_dir(&settings.templates_dir).map_or(0, Iterator::count);
    if templates == 0 {
        context.err.warning(format_args!(
            "{} is empty: copy the product's `templates/` there, or no app can be made",
            settings.templates_dir.display()
        ));
    }
    context.out.line("next: `paas doctor`, then `paas serve`")?;
    Ok(Exit::Done)
}

fn make(context: &mut Context, folder: &Path) -> anyhow::Result<()> {
    let existed = folder.is_dir();
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}: check who owns the one above", folder.display()))?;
    if !existed {
        context.out.line(format_args!("made {}", folder.display()))?;
    }
    Ok(())
}
