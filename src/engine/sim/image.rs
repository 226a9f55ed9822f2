//! Simulated images: ids, the tags that point at them, and builds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::container::Container;
use super::journal::{Actor, Upshot};
use super::process::Behaviour;
use super::world::{Witness, World, error};
use crate::engine::{BuildSpec, Effect, ErrorKind, Result};
use crate::model::{ContainerId, Digest, ObservedImage};

/// How builds go from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildScript {
    /// So many steps, each taking so long, then an image whose containers behave so.
    Succeeds { steps: u32, each: Duration, behaviour: Option<Behaviour> },
    /// After so many steps the error.
    Fails { steps: u32, each: Duration, text: String },
    /// One line of output, then nothing for ever.
    Hangs,
}

impl Default for BuildScript {
    fn default() -> Self {
        Self::Succeeds { steps: 3, each: Duration::from_millis(200), behaviour: None }
    }
}

#[derive(Debug, Clone, Default)]
struct Image {
    labels: BTreeMap<String, String>,
    behaviour: Option<Behaviour>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Images {
    by_id: BTreeMap<String, Image>,
    tags: BTreeMap<String, String>,
    pub(super) script: BuildScript,
    pub(super) builds_started: u32,
}

/// `name` means `name:latest`.
fn full_reference(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains(':') { reference.to_owned() } else { format!("{reference}:latest") }
}

impl Images {
    /// The id behind a tag or an id.
    pub(super) fn resolve(&self, reference: &str) -> Option<String> {
        let by_id = [reference.to_owned(), format!("sha256:{reference}")];
        by_id
            .into_iter()
            .find(|id| self.by_id.contains_key(id))
            .or_else(|| self.tags.get(&full_reference(reference)).cloned())
    }

    pub(super) fn observed(&self, reference: &str) -> Option<ObservedImage> {
        let id = self.resolve(reference)?;
        let labels = self.by_id.get(&id)?.labels.clone();
        Some(ObservedImage { id, labels })
    }

    pub(super) fn behaviour(&self, id: &str) -> Option<Behaviour> {
        self.by_id.get(id)?.behaviour
    }

    pub(super) fn set_behaviour(&mut self, id: &str, behaviour: Option<Behaviour>) {
        if let Some(image) = self.by_id.get_mut(id) {
            image.behaviour = behaviour;
        }
    }

    fn is_tagged(&self, id: &str) -> bool {
        self.tags.values().any(|tagged| tagged == id)
    }

    /// An image that only its last container kept goes with it. (Docker keeps it until a prune; nobody can tell.)
    pub(super) fn drop_if_unused(&mut self, id: &str, containers: &BTreeMap<ContainerId, Container>) {
        if !self.is_tagged(id) && !containers.values().any(|container| container.image_id == id) {
            self.by_id.remove(id);
        }
    }
}

impl World {
    /// Puts an image there and points the tag at it. The same content has the same id, as with Docker's build cache.
    pub(super) fn add_image(
        &mut self,
        tag: &str,
        labels: &BTreeMap<String, String>,
        content: &[u8],
        behaviour: Option<Behaviour>,
    ) -> String {
        let mut hashed = format!("{labels:?}\n").into_bytes();
        hashed.extend_from_slice(content);
        let id = format!("sha256:{}", Digest::of(&hashed));
        self.images.by_id.insert(id.clone(), Image { labels: labels.clone(), behaviour });
        self.point_tag(tag, &id);
        id
    }

    fn point_tag(&mut self, tag: &str, id: &str) {
        let previous = self.images.tags.insert(full_reference(tag), id.to_owned());
        if let Some(previous) = previous.filter(|previous| previous != id) {
            self.images.drop_if_unused(&previous, &self.containers);
        }
        self.emit("image", "tag", id, [("name".to_owned(), full_reference(tag))].into());
    }

    pub(super) fn finish_build(&mut self, spec: &BuildSpec, context: &[u8], behaviour: Option<Behaviour>) -> String {
        let mut hashed = format!("{:?}\n", spec.args).into_bytes();
        hashed.extend_from_slice(context);
        let id = self.add_image(&spec.tag, &spec.labels, &hashed, behaviour);
        self.record(Actor::Daemon, "build", Witness::of_object(&spec.tag, &spec.labels), Upshot::Changed);
        id
    }

    pub(super) fn tag(&mut self, actor: Actor, source: &str, target: &str) -> Result<()> {
        let result = match self.images.resolve(source) {
            None => Err(error(ErrorKind::NotFound, format!("No such image: {source}"))),
            Some(id) => {
                self.point_tag(target, &id);
                Ok(())
            }
        };
        self.record_change(actor, "tag", Witness::of_object(target, &BTreeMap::new()), &result);
        result
    }

    /// `docker rmi --force`: the tag goes; the image stays as long as a container uses it.
    pub(super) fn untag(&mut self, actor: Actor, reference: &str) -> Result<Effect> {
        let reference = full_reference(reference);
        let result = match self.images.tags.remove(&reference) {
            None => Ok(Effect::Already),
            Some(id) => {
                self.emit("image", "untag", &id, [("name".to_owned(), reference.clone())].into());
                self.images.drop_if_unused(&id, &self.containers);
                if !self.images.by_id.contains_key(&id) {
                    self.emit("image", "delete", &id, [("name".to_owned(), id.clone())].into());
                }
                Ok(Effect::Done)
            }
        };
        self.record_effect(actor, "untag", Witness::of_object(&reference, &BTreeMap::new()), &result);
        result
    }
}
