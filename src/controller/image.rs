//! The runtime image is desired state as well: built when it is missing or its folder changed.
//!
//! An image that the daemon did not build (it lacks our label) is the operator's: used as it is, never rebuilt over.
//! While a build fails an older image stays in use.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::clock::Clock as _;
use crate::engine::{BuildEvent, BuildSpec, Engine as _, EngineError, ErrorKind};
use crate::model::status::ImageStatus;
use crate::model::{Digest, ObservedImage, Settings, labels};

use super::seams::{RuntimeContext, RuntimeSource as _, Seams};

/// Lines of the build log that a failure tells at once.
const LOG_LINES: usize = 20;
/// Lines of it that are kept to be read, the last ones: a good build has some hundreds.
const KEPT_LINES: usize = 2_000;

/// What a look at the image came to.
#[derive(Debug)]
pub struct ImageOutcome {
    /// Id that the reference stands for now, whatever the status says about a newer one.
    pub id: Option<String>,
    pub status: ImageStatus,
    pub next: ImageNext,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageNext {
    Calm,
    /// Try again after this long: a build that failed may have met a network that was down.
    Retry,
    /// Docker did not say: what was known stays in force, and it is asked again soon.
    Unseen,
}

/// How soon a look that failed is repeated. When Docker is gone altogether, its return comes first.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How long a failed build is left alone unless its folder or `.env` changes.
pub const RETRY_AFTER: Duration = Duration::from_secs(300);

/// Makes sure of the image. `progress` gets a status per build step; a full channel drops some, nothing depends on them.
pub async fn ensure<W: Seams>(world: &W, settings: &Settings, progress: mpsc::Sender<ImageStatus>) -> ImageOutcome {
    let reference = &settings.runtime_image;
    let present = match world.engine().image(reference).await {
        Ok(present) => present,
        Err(error) => return ImageOutcome { next: ImageNext::Unseen, ..failed(world, None, &error, Vec::new()) },
    };
    let id = present.as_ref().map(|image| image.id.clone());
    if let Some(image) = present.as_ref().filter(|image| !is_ours(image)) {
        return ready(image.id.clone(), false);
    }
    let context = match world.runtime().context().await {
        Ok(context) => context,
        // Without the folder there is nothing to compare with: what is there is good enough.
        Err(reason) => {
            return match present {
                Some(image) => ready(image.id, true),
                None => {
                    failed(world, None, &EngineError::new(ErrorKind::Terminal, missing(reference, &reason)), vec![])
                }
            };
        }
    };
    let wanted = recipe(&context, settings);
    match &present {
        Some(image) if image.labels.get(labels::RUNTIME_DIGEST).map(String::as_str) == Some(wanted.as_str()) => {
            ready(image.id.clone(), true)
        }
        _ => build(world, settings, context, &wanted, id, progress).await,
    }
}

fn is_ours(image: &ObservedImage) -> bool {
    image.labels.get(labels::TYPE).map(String::as_str) == Some(labels::TYPE_RUNTIME)
}

fn ready(id: String, built: bool) -> ImageOutcome {
    ImageOutcome { id: Some(id.clone()), status: ImageStatus::Ready { id, built }, next: ImageNext::Calm }
}

fn missing(reference: &str, reason: &str) -> String {
    format!("image {reference} is missing and cannot be built: {reason}")
}

/// What an image is made from: the folder and the base.
fn recipe(context: &RuntimeContext, settings: &Settings) -> Digest {
    Digest::of(format!("v1\n{}\n{}\n", context.digest, settings.runtime_base_image).as_bytes())
}

async fn build<W: Seams>(
    world: &W,
    settings: &Settings,
    context: RuntimeContext,
    wanted: &Digest,
    older: Option<String>,
    progress: mpsc::Sender<ImageStatus>,
) -> ImageOutcome {
    let since = world.clock().now();
    let tell = |step: &str| {
        // Nobody waits for progress: a full channel only skips a line.
        let _ = progress.try_send(ImageStatus::Building { step: step.to_owned(), since });
    };
    tell("sending the runtime folder to Docker");
    tracing::info!(image = %settings.runtime_image, base = %settings.runtime_base_image, "building the runtime image");
    let spec = BuildSpec {
        tag: settings.runtime_image.clone(),
        labels: BTreeMap::from([
            (labels::TYPE.to_owned(), labels::TYPE_RUNTIME.to_owned()),
            (labels::RUNTIME_DIGEST.to_owned(), wanted.as_str().to_owned()),
        ]),
        args: BTreeMap::from([("RUNTIME_BASE_IMAGE".to_owned(), settings.runtime_base_image.clone())]),
    };
    let mut stream = match world.engine().build(&spec, context.tar).await {
        Ok(stream) => stream,
        Err(error) => return failed(world, older, &error, Vec::new()),
    };
    let mut log = VecDeque::new();
    let mut built = None;
    let mut broken = None;
    while let Some(event) = stream.next().await {
        match event {
            Ok(BuildEvent::Output(line)) => {
                if line.starts_with("Step ") {
                    tell(&line);
                }
                if log.len() == KEPT_LINES {
                    log.pop_front();
                }
                log.push_back(line);
            }
            Ok(BuildEvent::Built(id)) => built = Some(id),
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    let log = Vec::from(log);
    world.runtime().keep_log(&log).await;
    let log = log[log.len().saturating_sub(LOG_LINES)..].to_vec();
    if let Some(error) = broken {
        return failed(world, older, &error, log);
    }
    // The tag is what counts: look at what it stands for, rather than trusting the stream's last words.
    match world.engine().image(&settings.runtime_image).await {
        Ok(Some(image)) if built.is_some() => {
            tracing::info!(image = %settings.runtime_image, id = %image.id, "the runtime image is ready");
            ready(image.id, true)
        }
        Ok(_) => {
            let message = format!("the build of {} ended without an image", settings.runtime_image);
            failed(world, older, &EngineError::new(ErrorKind::Retryable, message), log)
        }
        Err(error) => ImageOutcome { next: ImageNext::Unseen, ..failed(world, older, &error, log) },
    }
}

fn failed<W: Seams>(world: &W, older: Option<String>, error: &EngineError, log: Vec<String>) -> ImageOutcome {
    tracing::warn!(%error, "the runtime image is not available");
    let next = match error.kind() {
        ErrorKind::Unreachable => ImageNext::Unseen,
        ErrorKind::Retryable | ErrorKind::Terminal | ErrorKind::NotFound | ErrorKind::Conflict => ImageNext::Retry,
    };
    let since = world.clock().now();
    ImageOutcome { id: older, status: ImageStatus::Failed { reason: error.to_string(), log, since }, next }
}
