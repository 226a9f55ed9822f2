//! `paas init`: what the daemon needs before its first start. Repeating it changes nothing.

use std::path::Path;

use anyhow::Context as _;

use super::context::Context;
use super::exit::Exit;
use crate::desired::marker::{self, MarkerError};
use crate::model::InstanceId;
use crate::model::units::hex;

pub(super) fn run(context: &mut Context) -> anyhow::Result<Exit> {
    let settings = context.settings()?.clone();
    let folders = [
        &settings.manifests_dir,
        &settings.apps_dir,
        &settings.templates_dir,
        &settings.runtime_dir(),
        &settings.trash_dir(),
        &settings.root.join("backups"),
        &settings.root.join("portal-data"),
    ];
    for folder in folders {
        make(context, folder)?;
    }
    let (verb, instance) = mark(&settings.manifests_dir)?;
    let path = settings.manifests_dir.join(marker::FILE);
    context.out.line(format_args!("{verb} {} (installation {instance})", path.display()))?;
    let env_file = settings.root.join(".env");
    if !env_file.exists() {
        let file = env_file.display();
        context.out.line(format_args!(
            "settings: all defaults; to change one, write it into {file}, for example PAAS_DOMAIN=example.org"
        ))?;
    }
    if std::fs::read_dir(&settings.templates_dir).map_or(0, Iterator::count) == 0 {
        let folder = settings.templates_dir.display();
        context
            .err
            .warning(format_args!("{folder} is empty: copy the product's `templates/` there, or no app can be made"));
    }
    context.out.line("next: `paas doctor`, then `paas serve`")?;
    Ok(Exit::Done)
}

fn make(context: &mut Context, folder: &Path) -> anyhow::Result<()> {
    let existed = folder.is_dir();
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}: check who owns the one above it", folder.display()))?;
    if !existed {
        context.out.line(format_args!("made {}", folder.display()))?;
    }
    Ok(())
}

/// A marker that is there stays: another id would make every container of this installation a stranger's.
fn mark(folder: &Path) -> anyhow::Result<(&'static str, InstanceId)> {
    match marker::read(folder) {
        Ok(instance) => Ok(("kept", instance)),
        Err(MarkerError::Missing { .. }) => {
            let instance = new_instance().context("the system gives no random numbers: try again")?;
            marker::write(folder, &instance)?;
            Ok(("made", instance))
        }
        Err(error @ (MarkerError::Damaged { .. } | MarkerError::Io { .. })) => Err(error.into()),
    }
}

fn new_instance() -> anyhow::Result<InstanceId> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    InstanceId::parse(&hex(&bytes)).context("16 hex digits are an installation's id")
}
