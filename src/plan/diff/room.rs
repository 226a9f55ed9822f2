//! What finds no room in memory is not started.

use super::super::step::{Action, Plan};
use super::super::view::AppView;

/// Takes out of the plan what would start something, and all that comes with it. What only prepares stays: it takes no memory. Where the
/// predecessor is stopped first, that one makes the room.
pub(super) fn hold_back(view: &AppView, plan: &mut Plan) {
    let Some(shortage) = view.shortage else { return };
    let mut actions = plan.steps.iter().map(|step| &step.action);
    let Some(start) = actions.position(|action| matches!(action, Action::Start(_))) else { return };
    if plan.steps[..start].iter().any(|step| matches!(step.action, Action::Stop(_))) {
        return;
    }
    plan.steps.retain(|step| only_prepares(&step.action));
    plan.waits_for = Some(shortage);
}

fn only_prepares(action: &Action) -> bool {
    match action {
        Action::Record(_)
        | Action::EnsureFolder { .. }
        | Action::TakeVersion { .. }
        | Action::SaveEdits { .. }
        | Action::CheckOut { .. }
        | Action::WriteCompose { .. }
        | Action::Update { .. }
        | Action::SwapData
        | Action::RecordFailure { .. } => true,
        Action::BringCode { .. }
        | Action::KeepVersions { .. }
        | Action::Create(_)
        | Action::Start(_)
        | Action::Unpause(_)
        | Action::Connect { .. }
        | Action::Stop(_)
        | Action::Rename { .. }
        | Action::Remove(_)
        | Action::TellFailure { .. }
        | Action::TrashCode
        | Action::TrashData(_)
        | Action::Forget => false,
    }
}
