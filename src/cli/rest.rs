//! `paas sleep APP…` and `paas wake APP…`: asked of the daemon, since no manifest says it. `paas sleep APP… --after TIME` says when
//! apps do so by themselves: that is written into their manifests.

use anyhow::bail;
use serde_json::json;

use super::args::{SleepArgs, SomeApps};
use super::chosen;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::desired::{Change, sleep_lacks_gateway};
use crate::model::{AppKey, Manifest, RunState, Sleep};
use crate::portal::rest::Resting;

pub(super) async fn sleep(context: &mut Context, args: &SleepArgs) -> anyhow::Result<Exit> {
    let Some(sleep) = args.after else {
        return ask(
            context,
            &args.apps,
            "sleep",
            "falls asleep when nobody is there any more; the next request wakes it",
        )
        .await;
    };
    let apps = named(context, &args.apps)?;
    let changes = |context: &mut Context, key: &AppKey| write(context, key, sleep);
    chosen::change(context, apps, args.wait, changes).await
}

pub(super) async fn wake(context: &mut Context, args: &SomeApps) -> anyhow::Result<Exit> {
    ask(context, args, "wake", "is awake, or wakes now").await
}

fn write(context: &mut Context, key: &AppKey, sleep: Sleep) -> anyhow::Result<(Vec<Change>, RunState)> {
    let settings = context.settings()?;
    let manifest = Manifests::new(settings).manifest(key)?;
    if manifest.state == RunState::Deleted {
        bail!("`{key}` is deleted: `paas start {key}` takes it back, or create it again");
    }
    let edited = Manifest { sleep: Some(sleep), ..manifest };
    if let Some((problem, remedy)) = sleep_lacks_gateway(&edited, settings) {
        bail!("nothing was written, because {problem}: {remedy}");
    }
    Ok((vec![Change::Sleep(Some(sleep))], edited.state))
}

/// One wrong name must not leave half of them changed.
fn named(context: &mut Context, args: &SomeApps) -> anyhow::Result<Vec<AppKey>> {
    let manifests = Manifests::new(context.settings()?);
    args.apps.iter().map(|typed| manifests.known(typed)).collect()
}

async fn ask(context: &mut Context, args: &SomeApps, word: &str, follows: &str) -> anyhow::Result<Exit> {
    let apps = named(context, args)?;
    let client = context.client()?;
    for app in apps {
        let path = format!("/apps/{}/{}/{word}", app.user, app.app);
        let _: Resting = client.post(&path, &json!({})).await?;
        context.out.line(format_args!("{app} {follows}"))?;
    }
    Ok(Exit::Done)
}
