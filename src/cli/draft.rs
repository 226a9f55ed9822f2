//! `paas draft APP`: what this account has changed of an app in the studio and not published, and who else has.

use serde_json::json;

use super::args::{Draft, Format};
use super::client::app_path;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::output;
use crate::model::AppKey;
use crate::model::content::changed;
use crate::portal::answer::Followed;
use crate::portal::drafts::{Discarded, Studio};

pub(super) async fn run(context: &mut Context, args: &Draft) -> anyhow::Result<Exit> {
    let key = Manifests::new(context.settings()?).or_parsed(&args.app)?;
    if args.discard {
        let _: Discarded = context.client()?.delete(&app_path(&key, "/draft"), &json!({})).await?;
        context.out.line(format!("this account has no draft of {key} any more"))?;
        return Ok(Exit::Done);
    }
    if args.publish {
        return publish(context, &key).await;
    }
    let found: Studio = context.client()?.get(&app_path(&key, "/draft")).await?;
    match context.format(Format::Table) {
        Format::Table => {
            for line in told(&key, &found) {
                context.out.line(output::harmless(&line))?;
            }
        }
        other => context.out.value(other, &found)?,
    }
    Ok(Exit::Done)
}

async fn publish(context: &mut Context, key: &AppKey) -> anyhow::Result<Exit> {
    // The daemon goes on by itself; `paas status` tells how.
    let done: Followed = context.client()?.post(&app_path(key, "/draft/publish?wait=0"), &json!({})).await?;
    context.out.line(format!("{} changes over to what was published", done.app.status.app))?;
    Ok(Exit::Done)
}

fn told(key: &AppKey, found: &Studio) -> Vec<String> {
    let mut lines = Vec::new();
    match &found.draft {
        None => lines.push(format!("this account has changed nothing of {key}")),
        Some(draft) => {
            lines.push(format!("changed last {}, from version {}", output::local(draft.at), draft.base));
            let fields = draft.content.iter().flat_map(|content| changed(&found.content, content));
            lines.extend(fields.map(|name| format!("~ {name}")));
            lines.extend(
                draft
                    .files
                    .iter()
                    .map(|file| format!("{} {}", if file.content.is_some() { '~' } else { '-' }, file.path)),
            );
            lines.extend(draft.uploads.keys().map(|path| format!("+ {path}")));
        }
    }
    lines.extend(found.problems.iter().map(|problem| format!("! {problem}")));
    lines.extend(found.others.iter().map(|at| format!("somebody else has changed it, last {}", output::local(*at))));
    lines
}
