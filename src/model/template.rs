//! What a template says about itself (`template.json`, SPEC §6).

use serde::{Deserialize, Serialize};

use super::names::TemplateId;
use super::sleep::Sleep;
use super::units::Seconds;
use super::visitors::Visitors;

/// A template that was found usable: its `template.json` is well-formed and `app/server.js` exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Equal to the folder's name.
    pub id: TemplateId,
    /// For people, in their language.
    pub name: String,
    #[serde(default)]
    pub description: String,
    pub version: String,
    /// Whether `enableApi: true` means anything to this template.
    #[serde(default)]
    pub supports_api: bool,
    #[serde(default = "default_port")]
    pub internal_port: u16,
    /// Path that answers 200 once the app can serve; without one an open port counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
    /// How long its apps may take until they answer; a manifest may say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout: Option<Seconds>,
    /// What becomes of its apps when they stop answering; a manifest may say otherwise.
    #[serde(default, skip_serializing_if = "TemplateRestart::is_default")]
    pub restart: TemplateRestart,
    /// What a new site of it is to say of its visitors, unless whoever makes it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitors: Option<Visitors>,
    /// When its apps sleep; a manifest may say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<Sleep>,
}

/// As `restart` of a manifest, as far as it is a template's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TemplateRestart {
    /// Whether an app that has stopped answering gets a new container.
    #[serde(default)]
    pub on_hang: bool,
}

impl TemplateRestart {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn default_port() -> u16 {
    3000
}
