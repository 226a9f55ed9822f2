//! From the manifests folder to what each app should be.
//!
//! `parse` and `resolve` are pure; `load` reads the folder, `watch` says when to read it again, `edit` changes one key of
//! one file, `changes` tells in words what changed.

pub mod changes;
pub mod draft;
pub mod edit;
pub mod folder;
pub mod load;
pub mod marker;
pub mod parse;
pub mod render;
pub mod resolve;
pub mod schema;
pub mod signature;
mod snapshot;
mod swap;
pub mod templates;
pub mod watch;
mod yaml;

pub use changes::changes;
pub use draft::Draft;
pub use edit::{Change, TextError, edit_text};
pub use folder::{Current, EditError, Edited, LockedDir, ManifestDir};
pub use load::ManifestFolder;
pub use parse::{check, parse};
pub use render::render;
pub use resolve::{
    Desired, Dirs, LacksGate, Resolved, lacks_gate, resolve, sleep_after, sleep_lacks_gateway, visitors,
};
pub use schema::manifest_schema;
pub use snapshot::{CompleteSnapshot, Completeness, Diagnostic, FileEntry, Manifests, Snapshot};
pub use watch::{Changed, WatchPaths, watch};
