//! The heart: from what should be and what is, to the steps between them. Pure functions of values.
//!
//! - [`view`]: everything that is known about one app at one moment
//! - [`roles`]: which of its containers is which
//! - [`diff`]: view → [`Plan`]
//! - [`motion`]: whether it is on its way to another network
//! - [`assess`]: view → what to tell people, and when to look again
//! - [`preview`]: the same for what an owner looks at besides
//! - [`guard`]: which removals must wait for a person
//!
//! **Architecture invariant:** nothing here performs I/O, reads a clock or knows an engine. Whether a step worked is
//! learned by looking again, never assumed.

pub mod assess;
pub mod diff;
pub mod guard;
pub mod motion;
pub mod preview;
pub mod roles;
pub mod step;
#[cfg(test)]
mod tests;
pub mod view;

pub use assess::{Assessment, assess};
pub use diff::{asks_history, diff};
pub use guard::{Guard, RemovalGuard};
pub use motion::Motion;
pub use step::{Plan, Step, Target};
pub use view::{AppView, Goal, Readiness};
