//! `paas sleep APP…` and `paas wake APP…`: asked of the daemon, since no manifest says it.

use serde_json::json;

use super::args::SomeApps;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use crate::portal::rest::Resting;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask {
    Sleep,
    Wake,
}

pub(super) async fn run(context: &mut Context, args: &SomeApps, ask: Ask) -> anyhow::Result<Exit> {
    let manifests = Manifests::new(context.settings()?);
    // One wrong name must not leave half of them changed.
    let apps = args.apps.iter().map(|typed| manifests.known(typed)).collect::<anyhow::Result<Vec<_>>>()?;
    let client = context.client()?;
    let (word, follows) = match ask {
        Ask::Sleep => ("sleep", "falls asleep when nobody is there any more; the next request wakes it"),
        Ask::Wake => ("wake", "is awake, or wakes now"),
    };
    for app in apps {
        let path = format!("/apps/{}/{}/{word}", app.user, app.app);
        let _: Resting = client.post(&path, &json!({})).await?;
        context.out.line(format_args!("{app} {follows}"))?;
    }
    Ok(Exit::Done)
}
