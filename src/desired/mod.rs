//! From the manifests folder to what each app should be.
//!
//! `parse` and `resolve` are pure; `load` reads the folder, `watch` says when to read it again, `edit` changes one key of
//! one file.

pub mod resolve;
pub mod snapshot;

pub use resolve::{Desired, Resolved, resolve};
pub use snapshot::{CompleteSnapshot, Completeness, Diagnostic, FileEntry, Manifests, Snapshot};
