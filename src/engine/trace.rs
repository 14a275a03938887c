//! One trial, moment by moment, for those who want to see how it went.

use super::outcome::{DetectedBy, WaitReason};
use crate::compile::interventions::InterventionKind;
use crate::compile::plan::{ServiceId, TargetId};

/// A trial from beginning to end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Its moments in order of time.
    pub steps: Vec<TraceStep>,
}

/// State of everything from one time to the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceStep {
    /// From when, in seconds from the start of the rollout.
    pub from: f64,
    /// Until when.
    pub until: f64,
    /// The share that has the change.
    pub exposure: f64,
    /// Events at `from`.
    pub events: Vec<Event>,
    /// Units (as in [`super::outcome::Outcome::units`]) that are not completely ok.
    pub units: Vec<(u32, State)>,
    /// Services with more load than normal capacity allows: load and capacity as multiples of
    /// normal load, and the share lost to it.
    pub overloads: Vec<(ServiceId, f64, f64, f64)>,
    /// Orders lost in it, over all flows with a rate.
    pub lost: f64,
    /// Orders that are late in it because of the change, over all flows with a rate.
    pub late: f64,
}

/// Shares of requests by how they end; what is left is ok.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// Hang.
    pub slow: f64,
    /// Fail fast.
    pub down: f64,
    /// Are wrong, and taken for right.
    pub corrupt: f64,
    /// Have something missing.
    pub degraded: f64,
    /// Are answered, but late: of a flow, later than it promises; of a service, later than usual.
    pub late: f64,
}

impl State {
    /// Slow, down or corrupt.
    pub fn failing_share(&self) -> f64 {
        self.slow + self.down + self.corrupt
    }
}

/// Something that happens in a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The rollout reaches this stage.
    Stage(u32),
    /// A gate saw nothing, or let the change pass.
    GatePassed(u32),
    /// This target begins to fail: down, slow, corrupt or surging (0 to 3).
    TargetFails(TargetId, u8),
    /// Slow and failed orders start the clock; it will have run at this time.
    AlertStarts(f64),
    /// Wrong orders start their clock.
    WrongAnswersStart(f64),
    /// Somebody knows.
    Detected(DetectedBy),
    /// The rollback will be done at this time; infinite if it will not work.
    RollbackStarts(f64),
    /// The rollback made it worse.
    RollbackWorsened,
    /// The cause is gone: by the rollback, or by the kill switch.
    CauseEnds {
        /// Whether it was the kill switch.
        by_switch: bool,
    },
    /// This service will serve again at this time; infinite for never.
    Restarts(ServiceId, f64),
    /// This service serves again.
    Restarted(ServiceId),
    /// Corrupt data are repaired.
    Repaired,
    /// Requests begin to wait in vain for this reason.
    WaitBegins(WaitReason),
    /// They no longer do.
    WaitEnds(WaitReason),
    /// Operators or an automation do something.
    Acted {
        /// The service whose automation it is; `None` for operators.
        by: Option<ServiceId>,
        /// Kind of intervention.
        kind: InterventionKind,
        /// To which service; `None` for all orders, or all that is broken.
        service: Option<ServiceId>,
        /// To which share.
        share: f64,
    },
}
