//! What the reconciler did and why: the rows of the event log.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::AppKey;
use super::units::Timestamp;

/// Why something is done. Shown in plans, spans and events; no logic depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Cause(pub String);

impl Cause {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A step that changed the world.
    Done,
    /// A step that could not be done.
    Failed,
    /// Something seen that a person may want to know.
    Noticed,
    /// Somebody changed an app's manifest; the cause says who.
    Changed,
}

/// One row of the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    pub at: Timestamp,
    /// `None` for the daemon as a whole.
    pub app: Option<AppKey>,
    pub kind: EventKind,
    /// What was done, in the words of the plan, for example `create container paas-app-alice-diary`.
    pub what: String,
    pub cause: Cause,
}
