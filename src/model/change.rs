//! The planned change: what it touches, how it may break, how it rolls out and back.

use jiff::civil::Date;

use super::action::Action;
use super::diff::Diff;
use super::topology::{DomainId, NodeRef, ServiceId, Topology};
use super::units::{Seconds, Share};
use crate::diagnostic::Place;

/// A planned change, checked against a topology.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Kind of change.
    pub kind: Option<ChangeKind>,
    /// Who wrote it.
    pub authored_by: Option<Author>,
    /// Who looked at it; `None` = not said, empty = nobody.
    pub reviewed_by: Option<Vec<String>>,
    /// Sources that the author relied on.
    pub sources: Vec<ReliedOn>,
    /// The change failure rate: the chance that the change breaks at all; `None` = the default of
    /// its kind. A break that was asked for (`--break`) happens with certainty.
    pub failure_probability: Option<Share>,
    /// The things changed; at least one.
    pub targets: Vec<Target>,
    /// Whether each target draws its own failure mode. One change is one cause: otherwise targets with
    /// the same `modes` break in the same way.
    pub independent: bool,
    /// How it reaches users; `None` = everything at once.
    pub rollout: Option<Rollout>,
    /// How a break is noticed.
    pub detection: Option<Detection>,
    /// How it is taken back.
    pub rollback: Option<Rollback>,
    /// A faster way back than the rollback: a flag that is switched off.
    pub kill_switch: Option<KillSwitch>,
    /// How long corrupt data outlives the rollback; `None` = not at all.
    pub repair: Option<Delay>,
    /// Nothing is counted after it; by default the longest window of an objective.
    pub horizon: Seconds,
    /// Actions of operators, in the order written.
    pub actions: Vec<Action>,
    /// Components that are down the whole time, besides; sorted.
    pub during: Vec<Component>,
    /// Changed things that belong to no service, so that nobody knows what they break; `None` = the change
    /// does not say that it names all that is changed.
    pub unmatched: Option<Vec<String>>,
    /// Where some of this is written, for warnings.
    pub places: ChangePlaces,
}

/// Where some keys of a change are written; `None` for those that are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangePlaces {
    /// `repair`.
    pub repair: Option<Place>,
    /// `corrupt` of the detection.
    pub corrupt_detection: Option<Place>,
    /// `rollout`.
    pub rollout: Option<Place>,
    /// `modes`, where every target states them.
    pub modes: Option<Place>,
    /// `severity`, where every target states it.
    pub severity: Option<Place>,
    /// `onset`, where every target states it.
    pub onset: Option<Place>,
    /// `horizon`.
    pub horizon: Option<Place>,
    /// `during`.
    pub during: Option<Place>,
}

word_enums! {
    /// Kind of change.
    #[expect(missing_docs, reason = "the words say it")]
    ChangeKind {
        Code = "code",
        Config = "config",
        Schema = "schema",
        Infrastructure = "infrastructure",
        Data = "data",
        Dependency = "dependency",
        Flag = "flag",
    }

    /// Who wrote a change.
    Author {
        /// People.
        Human = "human",
        /// A machine.
        Ai = "ai",
        /// Both.
        Mixed = "mixed",
    }
}

/// Something the author of a change relied on.
#[derive(Clone, Debug, PartialEq)]
pub struct ReliedOn {
    /// Title of the source.
    pub title: String,
    /// Address of its page, where it has one.
    pub url: Option<String>,
    /// When it was last brought up to date.
    pub updated: Option<Date>,
}

/// A service or a failure domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// A service with all its endpoints.
    Service(ServiceId),
    /// A failure domain with all that is in it.
    Domain(DomainId),
}

/// Service, endpoint, failure domain or dependency that a target points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetRef {
    /// A service with all its endpoints, or one endpoint alone.
    Node(NodeRef),
    /// A failure domain, which can only be down.
    Domain(DomainId),
}

/// One thing changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Component that is changed.
    pub on: TargetRef,
    /// The chance that it breaks, given that the change breaks; default 100%.
    pub probability: Share,
    /// How it breaks.
    pub modes: Modes,
    /// The share of requests served by changed instances that fail: uniform between the two.
    pub severity: (Share, Share),
    /// Whether it is the request that fails on every changed instance, or each attempt anew.
    pub severity_of: SeverityOf,
    /// From first exposure to first failure.
    pub onset: Delay,
    /// It stays dormant below this exposure.
    pub min_exposure: Share,
    /// How it reaches users, where that differs from the rollout of the change.
    pub rollout: Option<Rollout>,
    /// Where it is written.
    pub place: Place,
}

impl Target {
    /// A target that is completely down at once, with certainty.
    pub fn down_with_certainty(on: TargetRef, place: Place) -> Self {
        Self {
            on,
            probability: Share::ONE,
            modes: Modes::default(),
            severity: (Share::ONE, Share::ONE),
            severity_of: SeverityOf::default(),
            onset: Delay::default(),
            min_exposure: Share::ZERO,
            rollout: None,
            place,
        }
    }
}

/// Whole that a severity below 100% is a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeverityOf {
    /// Certain requests fail: a retry of one meets the same bug, and so does another target of the change.
    #[default]
    Requests,
    /// Each attempt may fail, whatever became of the one before.
    Attempts,
}

impl SeverityOf {
    /// Returns what is meant where it is not stated: a bug of a program or of its data is triggered by
    /// what a request asks for, and trouble of machines is not.
    pub fn usual_for(kind: Option<ChangeKind>) -> Self {
        match kind {
            None | Some(ChangeKind::Code | ChangeKind::Schema | ChangeKind::Data) => Self::Requests,
            Some(
                ChangeKind::Config
                | ChangeKind::Infrastructure
                | ChangeKind::Dependency
                | ChangeKind::Flag,
            ) => Self::Attempts,
        }
    }
}

/// How likely a broken target is to break in each way; the four shares sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Modes {
    /// Fails fast.
    pub down: Share,
    /// Hangs.
    pub slow: Share,
    /// Gives wrong answers that are taken for right.
    pub corrupt: Share,
    /// Works, but calls its dependencies more often.
    pub surge: Share,
    /// How much more often: calls are multiplied by this, at least 1.
    pub surge_factor: f64,
    /// How much later answers come where it is slow; `None` = never.
    pub slowness: Option<Slowness>,
}

/// How much later the answers of a slow target come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slowness {
    /// By so much.
    Adds(Seconds),
    /// They take this many times as long, at least 1.
    Factor(f64),
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            down: Share::ONE,
            slow: Share::ZERO,
            corrupt: Share::ZERO,
            surge: Share::ZERO,
            surge_factor: 1.0,
            slowness: None,
        }
    }
}

/// A lognormal delay; a median of 0 is always 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delay {
    /// Half of the delays are shorter.
    pub median: Seconds,
    /// 19 of 20 are shorter; at least the median.
    pub p95: Seconds,
}

impl Delay {
    /// A standard normal number is below this in 19 of 20 cases.
    pub(crate) const Z95: f64 = 1.644_853_626_951_472_2;

    /// Returns the standard deviation of the logarithm.
    pub(crate) fn sigma(self) -> f64 {
        let (median, p95) = (self.median.get(), self.p95.get());
        // A p95 at or below the median is a delay that does not vary.
        if median > 0.0 && p95 > median { libm::log(p95 / median) / Self::Z95 } else { 0.0 }
    }

    /// Returns the mean in seconds, `median exp(sigma^2 / 2)`: above the median where delays differ.
    pub(crate) fn mean(self) -> f64 {
        let sigma = self.sigma();
        self.median.get() * libm::exp(sigma * sigma / 2.0)
    }
}

/// How a change reaches users.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Who meets a changed instance.
    pub routing: Routing,
    /// At least one; exposures never go down.
    pub stages: Vec<Stage>,
    /// The shorthand it was written as, if it was.
    pub strategy: Option<Strategy>,
    /// Instances that are away while others are replaced; `None` = not stated, which means none.
    pub replacing: Option<Replacing>,
}

/// Instances that a rolling update takes away while it goes on, whether the change is good or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replacing {
    /// The share of instances that may be away at once.
    pub unavailable: Share,
    /// The share of instances that may be there beyond the usual number.
    pub surge: Share,
    /// How long it goes on.
    pub lasts: Seconds,
}

impl Replacing {
    /// Returns the share of instances that is away where there are so many: a whole number, rounded down, but
    /// something has to give way.
    pub fn away(&self, instances: Option<u32>) -> f64 {
        let unavailable = self.unavailable.get();
        let Some(instances) = instances.map(f64::from) else { return unavailable };
        let away = (unavailable * instances + 1e-9).floor();
        if away < 1.0 && self.surge.is_zero() { 1.0 / instances } else { away / instances }
    }
}

/// Who meets a changed instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// Each call may.
    #[default]
    Random,
    /// A fixed share of users always does, the others never.
    Sticky,
}

/// A step of a rollout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// The share of instances, or of users, that have the change.
    pub exposure: Share,
    /// How long it stays there; `None` = not at all, or for ever if it is the last.
    pub bake: Option<Seconds>,
    /// The chance that the check at the end of the bake sees a failing target; default 0.
    pub catch_probability: Share,
}

/// Shorthands for usual rollouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Everything in one moment.
    AllAtOnce,
    /// A small share first, then more.
    Canary,
    /// A second fleet that takes all traffic at once, and gives it back quickly.
    BlueGreen,
    /// Instance by instance.
    Rolling,
    /// Cell by cell, each with its own users.
    Cells,
}

/// How a break is noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The failing share of what is watched from which on the clock runs, or failed requests count;
    /// `None` = not stated.
    pub alert_threshold: Option<Share>,
    /// How many failed requests start the clock; `None` = not stated.
    pub failures: Option<u32>,
    /// Sources that are watched; `None` = not stated, which means everything.
    pub watches: Option<Watches>,
    /// From then until someone knows; `None` = the documented default.
    pub delay: Option<Delay>,
    /// The same for wrong answers; `None` = `delay`.
    pub corrupt: Option<Delay>,
    /// Services without which it takes longer.
    pub depends_on: Vec<ServiceId>,
    /// By which factor; default 2.
    pub needs_factor: f64,
}

impl Default for Detection {
    /// Returns a detection of which nothing is stated.
    fn default() -> Self {
        Self {
            alert_threshold: None,
            failures: None,
            watches: None,
            delay: None,
            corrupt: None,
            depends_on: Vec::new(),
            needs_factor: NEEDS_FACTOR,
        }
    }
}

/// Sources of evidence for those who detect a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watches {
    /// Failing orders.
    pub flows: bool,
    /// Failing requests to what is changed, compared with what is not.
    pub target: bool,
}

impl Default for Watches {
    /// Returns everything that can be watched.
    fn default() -> Self {
        Self { flows: true, target: true }
    }
}

/// By which factor something takes longer while a service is failed that it depends on, unless stated.
pub(crate) const NEEDS_FACTOR: f64 = 2.0;

/// How a change is taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollback {
    /// From detection until the cause is gone; `None` = the documented default.
    pub delay: Option<Delay>,
    /// Services without which it takes longer.
    pub depends_on: Vec<ServiceId>,
    /// By which factor; default 2.
    pub needs_factor: f64,
    /// The chance that it works; default 100%.
    pub works: Share,
    /// The chance that it leaves every broken target completely down instead; default 0.
    pub worsens: Share,
    /// How long it then takes until no instance has the change any more; exposure falls linearly.
    pub takes: Seconds,
}

impl Default for Rollback {
    /// Returns a rollback of which nothing is stated.
    fn default() -> Self {
        Self {
            delay: None,
            depends_on: Vec::new(),
            needs_factor: NEEDS_FACTOR,
            works: Share::ONE,
            worsens: Share::ZERO,
            takes: Seconds::ZERO,
        }
    }
}

/// A flag that takes the change out of service without a rollback.
#[derive(Clone, Debug, PartialEq)]
pub struct KillSwitch {
    /// From detection until the cause is gone.
    pub delay: Delay,
    /// Services without which it takes longer.
    pub depends_on: Vec<ServiceId>,
    /// By which factor; default 2.
    pub needs_factor: f64,
    /// The chance that it works; default 100%.
    pub works: Share,
}

impl Change {
    /// The target whose drawn mode is that of all services that the change hits; `None` where each
    /// draws its own.
    pub fn mode_drawn_for(&self) -> Option<&Target> {
        // Domains can only be down, so no mode is drawn for them.
        let mut of_services =
            self.targets.iter().filter(|target| matches!(target.on, TargetRef::Node(_)));
        let first = of_services.next()?;
        let is_one_cause =
            // Targets with modes of their own cannot share one draw.
            !self.independent && of_services.all(|of_service| of_service.modes == first.modes);
        is_one_cause.then_some(first)
    }

    /// A break that happens completely and with certainty, in a single moment.
    pub fn from_targets(name: impl Into<String>, targets: Vec<Target>) -> Self {
        Self {
            name: name.into(),
            kind: None,
            authored_by: None,
            reviewed_by: None,
            sources: Vec::new(),
            failure_probability: None,
            targets,
            independent: false,
            rollout: None,
            detection: None,
            rollback: None,
            kill_switch: None,
            repair: None,
            horizon: Self::DEFAULT_HORIZON,
            actions: Vec::new(),
            during: Vec::new(),
            unmatched: None,
            places: ChangePlaces::default(),
        }
    }

    /// Horizon of a change that does not state one: one day.
    pub const DEFAULT_HORIZON: Seconds = Seconds::hours(24);

    /// Sets the horizon to the longest window of an objective, unless it is stated: what is lost after
    /// that no longer counts against any budget.
    #[must_use]
    pub fn with_default_horizon(mut self, topology: &Topology) -> Self {
        // A horizon that was stated is kept, even where it is shorter.
        if self.places.horizon.is_none() {
            self.horizon = topology.longest_window();
        }
        self
    }

    /// Whether nothing is changed, so that only background failures occur: the steady state.
    pub fn is_steady(&self) -> bool {
        // A change that names all that is changed, and names nothing, is still a change.
        self.targets.is_empty()
            && self.during.is_empty()
            && self.actions.is_empty()
            && self.unmatched.is_none()
    }

    /// Whether it is known that it touches no service at all.
    pub fn touches_nothing(&self) -> bool {
        self.targets.is_empty()
            && self.actions.is_empty()
            && self.unmatched.as_ref().is_some_and(Vec::is_empty)
    }

    /// Returns whether rules can be asked about it: not where a diff, or a change that names all it touches,
    /// touches no service.
    pub fn is_judged_by_rules(&self, diff: Option<&Diff>) -> bool {
        !self.targets.is_empty()
            || !self.actions.is_empty()
            || (diff.is_none() && self.unmatched.is_none())
    }

    /// Whether it is a single moment: it says nothing of rollout, detection, rollback or
    /// what operators do.
    pub fn is_moment(&self) -> bool {
        // Whatever takes time makes it more than a moment.
        self.rollout.is_none()
            && self.detection.is_none()
            && self.rollback.is_none()
            && self.kill_switch.is_none()
            && self.actions.is_empty()
            && self.targets.iter().all(|target| target.rollout.is_none())
    }
}
