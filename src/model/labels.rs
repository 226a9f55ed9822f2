//! Labels on what the PaaS creates, and the question they answer: is this ours?

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::domain_name::DomainName;
use super::names::{AppKey, AppName, UserId};
use super::preview::{PreviewId, PreviewRecord};
use super::spec::Identity;
use super::version::VersionId;

pub const TYPE: &str = "paas.type";
pub const TYPE_APP: &str = "user-app";
pub const TYPE_NETWORK: &str = "app-network";
/// The container that shows other code of an app than its visitors see: no container of the app.
pub const TYPE_PREVIEW: &str = "preview";
/// The container with which `paas doctor` tries out the firewall.
pub const TYPE_DOCTOR: &str = "doctor";
pub const TYPE_RUNTIME: &str = "runtime-image";
pub const INSTANCE: &str = "paas.instance";
pub const USER: &str = "paas.userid";
pub const APP: &str = "paas.appname";
pub const DOMAIN: &str = "paas.domain";
/// Further host names, with commas in between; missing without any. As they were when the container was made: what the gateway
/// does with them is no part of a container, so none is replaced for their sake.
pub const DOMAINS: &str = "paas.domains";
pub const IDENTITY: &str = "paas.identity";
/// The version of the code that a container mounts; missing on one that mounts the working copy.
pub const VERSION: &str = "paas.version";
/// Which preview of its app a container is.
pub const PREVIEW: &str = "paas.preview";
/// On the app network: the range whose addresses the daemon gives out itself.
pub const SUBNET: &str = "paas.subnet";
/// Digest of the runtime folder and the base image that an image was built from.
pub const RUNTIME_DIGEST: &str = "paas.runtime";

/// This installation's id: 16 lower-case hex digits, kept in the `.minipaas` marker of the manifests folder. Two
/// installations on one engine tell their containers apart by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(String);

impl InstanceId {
    /// `None` unless the text is 16 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        valid.then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a container's labels say about whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Ours, and made for this app.
    Owned(AppKey),
    /// Anything else, however similar its name: never touched.
    Foreign,
}

impl Ownership {
    /// Owned means `paas.type=user-app` **and** our `paas.instance` **and** a readable app key. Names play no part.
    #[must_use]
    pub fn of(labels: &BTreeMap<String, String>, instance: &InstanceId) -> Self {
        key_of(labels, TYPE_APP, instance).map_or(Self::Foreign, Self::Owned)
    }
}

/// The app that a container of ours of this type is about.
fn key_of(labels: &BTreeMap<String, String>, kind: &str, instance: &InstanceId) -> Option<AppKey> {
    let get = |name: &str| labels.get(name).map(String::as_str);
    if get(TYPE) != Some(kind) || get(INSTANCE) != Some(instance.as_str()) {
        return None;
    }
    let user = get(USER).and_then(|text| UserId::parse(text).ok())?;
    let app = get(APP).and_then(|text| AppName::parse(text).ok())?;
    Some(AppKey::new(user, app))
}

/// The app that a container of ours is a preview of, and which one it is. Names play no part.
#[must_use]
pub fn preview_of(labels: &BTreeMap<String, String>, instance: &InstanceId) -> Option<(AppKey, PreviewId)> {
    let key = key_of(labels, TYPE_PREVIEW, instance)?;
    Some((key, PreviewId::parse(labels.get(PREVIEW)?)?))
}

/// All labels of a preview's container.
#[must_use]
pub fn for_preview(
    key: &AppKey,
    host: &str,
    instance: &InstanceId,
    record: &PreviewRecord,
) -> BTreeMap<String, String> {
    let kind = if planted!(PreviewTakenForApp) { TYPE_APP } else { TYPE_PREVIEW };
    [
        (TYPE, kind),
        (INSTANCE, instance.as_str()),
        (USER, key.user.as_str()),
        (APP, key.app.as_str()),
        (DOMAIN, host),
        (PREVIEW, record.id.as_str()),
        (VERSION, record.source.version().as_str()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// All labels of an app's container.
#[must_use]
pub fn for_app(
    key: &AppKey,
    (host, domains): (&str, &[DomainName]),
    instance: &InstanceId,
    identity: &Identity,
    version: Option<&VersionId>,
) -> BTreeMap<String, String> {
    let domains = domains.iter().map(DomainName::as_str).collect::<Vec<_>>().join(",");
    [
        (TYPE, TYPE_APP),
        (INSTANCE, instance.as_str()),
        (USER, key.user.as_str()),
        (APP, key.app.as_str()),
        (DOMAIN, host),
        (IDENTITY, identity.as_str()),
    ]
    .into_iter()
    .chain(version.map(|version| (VERSION, version.as_str())))
    .chain((!domains.is_empty()).then_some((DOMAINS, domains.as_str())))
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ownership_needs_type_and_instance_and_ignores_names() {
        let ours = InstanceId::parse("0123456789abcdef").unwrap();
        let theirs = InstanceId::parse("fedcba9876543210").unwrap();
        let key = AppKey::parse("alice-diary").unwrap();
        let labels = for_app(&key, ("alice-diary.localhost", &[]), &ours, &Identity::from_label("v1:x"), None);
        assert_eq!(Ownership::of(&labels, &ours), Ownership::Owned(key));
        assert_eq!(Ownership::of(&labels, &theirs), Ownership::Foreign);
        for missing in [TYPE, INSTANCE, USER, APP] {
            let mut partial = labels.clone();
            partial.remove(missing);
            assert_eq!(Ownership::of(&partial, &ours), Ownership::Foreign, "without {missing}");
        }
    }
}
