//! `GET /plan` and `GET /apps/{userid}/{appname}/plan`: what the daemon would do now, and why; what it leaves alone, and why.

use std::future::Future;
use std::pin::Pin;

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::apps::find;
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data, said};
use super::extract::App;
use super::state::PortalState;
use crate::model::AppKey;

/// One thing that would be done, or is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanStep {
    /// Null for what all apps share.
    pub app: Option<AppKey>,
    /// In the words of the plan, for example `create container paas-app-alice-diary`.
    pub action: String,
    pub cause: String,
}

/// What the daemon would do, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    /// Empty when everything is as the manifests say.
    pub steps: Vec<PlanStep>,
    /// What is held or refused, with the reason: nothing is done about it.
    pub notes: Vec<PlanStep>,
}

/// Looks at the world and makes a plan, without doing anything.
pub trait Planner: Send + Sync + 'static {
    /// Of one app and what all share, or of everything.
    ///
    /// # Errors
    /// What could not be looked at, in words for people.
    fn plan(&self, app: Option<AppKey>) -> Pin<Box<dyn Future<Output = Result<PlanView, String>> + Send + '_>>;
}

pub async fn of_all(State(state): State<PortalState>) -> Result<Data<PlanView>, ApiError> {
    plan(&state, None).await
}

pub async fn of_app(State(state): State<PortalState>, App(key): App) -> Result<Data<PlanView>, ApiError> {
    find(&state, &key)?;
    plan(&state, Some(key)).await
}

/// One at a time: it asks Docker of every app.
async fn plan(state: &PortalState, app: Option<AppKey>) -> Result<Data<PlanView>, ApiError> {
    let Some(planner) = &state.planner else { return Ok(Data(PlanView::default())) };
    let busy = || {
        ApiError::new(
            code::BUSY,
            said!(
                "another plan is being made: try again in a moment",
                "다른 계획을 만드는 중입니다: 잠시 뒤에 다시 시도하세요"
            ),
        )
        .retry_after(1)
    };
    let _place = state.plans.try_acquire().map_err(|_| busy())?;
    planner.plan(app).await.map(Data).map_err(|reason| {
        ApiError::new(
            code::ENGINE_UNREACHABLE,
            said!("no plan can be made: {reason}", "계획을 만들 수 없습니다: 서버에서 `paas status`로 까닭을 보세요"),
        )
    })
}

pub(super) fn of_all_described() -> Operation {
    described(Operation::new("daemon", "plan", "What the daemon would do now, and why"))
        .more("As `paas plan`. Nothing is done; a vanished file counts as vanished for good.")
}

pub(super) fn of_app_described() -> Operation {
    described(Operation::new("apps", "planApp", "What the daemon would do about an app now, and why"))
        .more("What it is waiting for. Nothing is done.")
        .refuses(&[code::STARTING])
}

fn described(operation: Operation) -> Operation {
    operation
        .answers::<PlanView>(200, "Steps in order, each with its cause; none when the world is as the manifests say.")
        .refuses(&[code::BUSY, code::ENGINE_UNREACHABLE])
}
