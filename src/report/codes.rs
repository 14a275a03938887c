//! The closed sets of words in reports, one enum for each, so that a forgotten word does not compile.

use crate::engine::outcome::DetectedBy;
use crate::engine::{self, Simulator};
use crate::model::incident::ObservedState;
use crate::model::{action, change};
use crate::policy::expression::Operator;

word_enums! {
    /// An engine that runs trials.
    EngineName {
        /// Computes shares of requests in time.
        Fluid = "fluid",
        /// Computes 64 and more trials at once, in which each thing is ok or not.
        Boolean = "boolean",
    }

    /// Whether time passes in a simulation.
    #[derive(Default)]
    TimelineMode {
        /// The change is rolled out, detected and rolled back: there are times and lost orders.
        Rollout = "rollout",
        /// One moment while the break lasts.
        #[default]
        Snapshot = "snapshot",
    }

    /// How requests are spread over the exposed and the other instances.
    RoutingMode {
        /// Each request anew.
        Random = "random",
        /// Each user once.
        Sticky = "sticky",
    }

    /// The shorthand as which a rollout was declared.
    RolloutStrategy {
        /// Everything in one step.
        AllAtOnce = "all-at-once",
        /// A small share first.
        Canary = "canary",
        /// A second fleet, then all traffic at once.
        BlueGreen = "blue-green",
        /// Instance by instance.
        Rolling = "rolling",
        /// Cell by cell.
        Cells = "cells",
    }

    /// How something breaks.
    // In the order of the alphabet: maps keyed by it are written in this order.
    FailureMode {
        /// Returns wrong answers that are taken for right ones.
        Corrupt = "corrupt",
        /// Fails fast.
        Down = "down",
        /// Hangs.
        Slow = "slow",
        /// Calls its dependencies more often than normal.
        Surge = "surge",
    }

    /// Means by which a broken change is noticed.
    Detector {
        /// An alert on failing orders.
        Alert = "alert",
        /// The check at the end of a stage.
        Gate = "gate",
        /// Nothing, before the horizon.
        Nobody = "nobody",
        /// People who find wrong results.
        WrongAnswers = "wrong_answers",
    }

    /// Protection that keeps failure at a dependency from its caller.
    Protection {
        /// Messages wait in a buffer.
        Buffer = "buffer",
        /// Answers come from a cache.
        Cache = "cache",
        /// Too few requests make the call: its `call_probability` is below 1.
        CallProbability = "call_probability",
        /// A fallback answers.
        Fallback = "fallback",
        /// Failure does not reach the caller: its `propagation` is below 1.
        Propagation = "propagation",
        /// Another member of an `any_of` answers.
        Redundancy = "redundancy",
        /// Another attempt succeeds.
        Retry = "retry",
        /// The caller does without.
        Soft = "soft",
        /// The caller gives up in time.
        Timeout = "timeout",
        /// The caller refuses wrong answers.
        Validation = "validation",
    }

    /// Whether to ship, the best first.
    Decision {
        /// Ship it.
        Proceed = "proceed",
        /// A person must look at it first.
        Caution = "caution",
        /// Do not ship it.
        Stop = "stop",
    }

    /// An input of a change that may turn its verdict.
    DeciderInput {
        /// The chance that the change breaks.
        FailureProbability = "failure-probability",
        /// The median time until a rollback is done.
        Rollback = "rollback",
        /// The median time until a break is noticed.
        Detection = "detection",
        /// The share of requests to a changed instance that fail.
        Severity = "severity",
        /// The share that the first stage exposes.
        Exposure = "exposure",
        /// The probability that the gate of the first stage catches a failing target.
        CatchProbability = "catch-probability",
        /// Everything that is not stated.
        Unknowns = "unknowns",
    }

    /// Outcome of a rule.
    RuleOutcome {
        /// Its condition is true.
        Fired = "fired",
        /// Its condition is false.
        Held = "held",
        /// Trials or information are missing.
        Undecided = "undecided",
    }

    /// Outcome of a waiver.
    WaiverOutcome {
        /// Its rule asks for caution where it would stop.
        Applied = "applied",
        /// Its rule does not stop this change.
        NotNeeded = "not-needed",
        /// It is for other changes.
        OutOfScope = "out-of-scope",
        /// Its last day is over.
        Expired = "expired",
        /// The time is unknown, so it does not count.
        NotChecked = "not-checked",
        /// The policy has no rule of that name.
        UnknownRule = "unknown-rule",
        /// It covers every change, so it does not count.
        TooBroad = "too-broad",
        /// It lasts longer than a waiver may, so it does not count.
        TooLong = "too-long",
        /// It is no longer on the branch that waivers are read from, so it does not count.
        Withdrawn = "withdrawn",
    }

    /// Outcome of a limit.
    LimitOutcome {
        /// The figure is above the limit.
        Exceeded = "exceeded",
        /// The figure is not above the limit.
        Held = "held",
        /// Trials or information are missing.
        Undecided = "undecided",
    }

    /// Operator by which a figure is compared with a limit, the figure to its left.
    ComparisonOperator {
        /// Greater than.
        Greater = ">",
        /// Greater than or equal to.
        GreaterOrEqual = ">=",
        /// Less than.
        Less = "<",
        /// Less than or equal to.
        LessOrEqual = "<=",
        /// Equal to.
        Equal = "==",
        /// Not equal to.
        NotEqual = "!=",
    }

    /// Kind of action of operators during an incident.
    ActionKind {
        /// Calls are led around a service.
        Bypass = "bypass",
        /// A share of the requests is turned away.
        Shed = "shed",
        /// A service is started anew.
        Restart = "restart",
        /// A service gets more capacity.
        AddCapacity = "add-capacity",
        /// Instances of a service are taken away.
        Remove = "remove",
        /// A service is switched off, or the change.
        Disable = "disable",
        /// The change is taken back.
        Rollback = "rollback",
        /// The break is fixed.
        Fix = "fix",
    }

    /// Trial that stands as an example.
    TrialLabel {
        /// Trial whose loss is the median.
        Median = "median",
        /// Trial whose loss 1 in 20 exceeds.
        OneInTwenty = "1 in 20",
        /// Trial that was asked for by its number.
        Requested = "as asked for",
    }

    /// Outcome of a comparison.
    ComparisonOutcome {
        /// It is true.
        True = "true",
        /// It is false.
        False = "false",
        /// The interval of the figure holds values of both kinds.
        Undecided = "undecided",
    }

    /// How protections and capacities that are not declared are taken.
    #[derive(Default)]
    Assumption {
        /// At their best, for all rules.
        Best = "best",
        /// As the simulation takes them: no timeout, no fallback, no limit of capacity.
        Stated = "stated",
        /// At their worst for rules and limits that stop; as stated for the others.
        #[default]
        Worst = "worst",
    }

    /// Unit in which a difference is measured.
    Metric {
        /// Orders lost.
        OrdersLost = "orders_lost",
        /// The mean over flows of the peak share of requests that fail.
        FailingShare = "failing_share",
    }

    /// A kind of component.
    ComponentKind {
        /// A service.
        Service = "service",
        /// A failure domain.
        Domain = "domain",
        /// A flow.
        Flow = "flow",
    }

    /// A kind of thing whose failure is ranked.
    #[derive(Default)]
    OriginKind {
        /// Services.
        #[default]
        Service = "service",
        /// Endpoints of services.
        Endpoint = "endpoint",
        /// Failure domains.
        Domain = "domain",
        /// Dependencies: the called service fails for one caller only.
        Dependency = "dependency",
    }

    /// A kind of event in a minimal cut set.
    CutEventKind {
        /// A service fails.
        Service = "service",
        /// An endpoint of a service fails.
        Endpoint = "endpoint",
        /// A failure domain fails.
        Domain = "domain",
        /// One replica of a service fails.
        Replica = "replica",
        /// Failure passes through a dependency.
        Dependency = "dependency",
        /// A fallback does not work.
        Fallback = "fallback",
    }

    /// A kind of part whose importance is known.
    PartKind {
        /// A service.
        Service = "service",
        /// An endpoint of a service.
        Endpoint = "endpoint",
        /// A failure domain.
        Domain = "domain",
        /// A target of the change.
        Target = "target",
        /// A dependency, by its `propagation`.
        Dependency = "dependency",
        /// A fallback, by how often it works.
        Fallback = "fallback",
        /// All replicas of a service.
        Replicas = "replicas",
    }

    /// How a figure was computed.
    EstimationMethod {
        /// Summed directly.
        Exact = "exact",
        /// From pairs of trials with the same draws.
        Trials = "trials",
    }

    /// Which events minimal cut sets are made of.
    #[derive(Default)]
    EventScope {
        /// Events that can happen in this scenario.
        #[default]
        Possible = "possible",
        /// Every service and failure domain, however unlikely its failure.
        Structural = "structural",
    }

    /// Where failure began.
    FailureOrigin {
        /// At a target of the change.
        Target = "target",
        /// At something that is down for its own reasons.
        Background = "background",
        /// At a service with more load than it can serve.
        Overload = "overload",
    }

    /// The state of a component, the best first.
    ComponentState {
        /// Neither degraded nor failed.
        Unaffected = "unaffected",
        /// Answers everything, but later than it should.
        Late = "late",
        /// Answers with something missing.
        Degraded = "degraded",
        /// Does not answer, or answers wrongly.
        Failed = "failed",
    }

    /// How the steps of a histogram are spaced.
    HistogramScale {
        /// All equally wide.
        Linear = "linear",
        /// Each a constant factor wider than the one before.
        Logarithmic = "logarithmic",
    }

    /// Kind of the sides of a comparison.
    ComparedKind {
        /// Topologies under one change.
        Topologies = "topologies",
        /// Changes to one topology.
        Changes = "changes",
    }

    /// A kind of fact that a topology does not declare.
    UnknownKind {
        /// Whether the dependency is there at all.
        Dependency = "dependency",
        /// Whether the dependency is needed only to start.
        Phase = "phase",
        /// The timeout of a dependency.
        Timeout = "timeout",
        /// The fallback of a dependency.
        Fallback = "fallback",
        /// The capacity of a service.
        Capacity = "capacity",
        /// How much of a pool is in use in normal times: rates or latencies are not stated.
        PoolUse = "pool-use",
    }

    /// A reason why requests wait in vain, or are refused.
    WaitingReason {
        /// The queue of a service is full.
        QueueFull = "queue-full",
        /// Requests wait in the queue of a service longer than its most impatient caller does.
        QueueWait = "queue-wait",
        /// A service has more load than it serves, and nothing waits there.
        Overload = "overload",
        /// All threads of a service are busy.
        Threads = "threads",
        /// As many calls of a dependency are in progress as its caller allows (`max_in_flight`).
        CallLimit = "call-limit",
        /// Answers come after the timeout of the caller.
        LateAnswers = "late-answers",
        /// All entries of the caller's cache have expired.
        CacheExpired = "cache-expired",
        /// The service that holds the caller's cache fails.
        CacheLost = "cache-lost",
        /// The caller's cache was lost and fills again: what is missing is called for.
        CacheCold = "cache-cold",
    }

    /// A file that advice edits.
    EditedFile {
        /// The topology.
        Topology = "topology",
        /// The change.
        Change = "change",
    }

    /// Prior before anything is observed.
    #[derive(Default)]
    PriorKind {
        /// All components alike.
        #[default]
        Equal = "equal",
        /// The share of time for which a component is down by its declared availability. Components
        /// that declare none get the mean of the others.
        Stated = "stated",
    }

    /// How bad a problem in a file is.
    ProblemSeverity {
        /// The file cannot be used.
        Error = "error",
        /// The file can be used, but probably means something else.
        Warning = "warning",
    }

    /// Kind of change that the names of its files suggest.
    GuessedKind {
        /// Code.
        Code = "code",
        /// Configuration.
        Config = "config",
        /// A database schema.
        Schema = "schema",
        /// Dependencies of the build: vendored or lock files.
        Dependency = "dependency",
    }

    /// Why changed files change no behaviour.
    LeftOutReason {
        /// Only comments, or white space that the language ignores.
        Comments = "comments",
        /// Made by a program.
        Generated = "generated",
        /// Tests.
        Test = "test",
        /// Documentation.
        Documentation = "documentation",
        /// They do change behaviour.
        None = "none",
    }

    /// How badly a box of a cascade is hit, worst first.
    BoxState {
        /// It breaks itself.
        Origin = "origin",
        /// It fails in at least half of the trials.
        Fails = "fails",
        /// It fails in fewer trials, but at least in the threshold's share.
        MayFail = "may_fail",
        /// It is degraded, and hardly ever fails.
        Degrades = "degrades",
        /// A protection keeps it working.
        Holds = "holds",
    }

    /// How two boxes of a cascade are connected.
    EdgeKind {
        /// Failure of a dependency reaches its caller.
        Call = "call",
        /// A dependency is only degraded, and degrades its caller.
        Degraded = "degraded",
        /// A service runs in a failure domain that breaks.
        RunsIn = "runs_in",
        /// A surge, or a lost cache, overloads what is called.
        Load = "load",
    }

    /// An element of the model that an ablation leaves out.
    ModelElement {
        /// Dependencies whose caller does without.
        Softness = "soft dependencies",
        /// Caches.
        Caches = "caches",
        /// Buffers of messages.
        Buffers = "buffers",
        /// Fallbacks.
        Fallbacks = "fallbacks",
        /// Callers that give up, and calls that nobody waits for.
        Timeouts = "time-outs and calls that are not waited for",
        /// Further attempts.
        Retries = "retries",
        /// Dependencies needed only to start.
        StartPhase = "dependencies needed only to start",
        /// Utilization and capacity.
        Loads = "load and capacity",
        /// Work that waits: what is beyond the capacity is refused at once.
        Backlogs = "queues and their backlog",
        /// Limits on requests in progress.
        Pools = "pools and limits on calls",
        /// Entries of a cache that expire while what is behind it fails.
        Expiry = "expiry of cached entries",
        /// Wrong values that replace the copies of subscribers.
        Push = "pushed values",
        /// Calls that only some requests make.
        CallShares = "shares of requests that make a call",
        /// Bad requests that fail at every attempt.
        BadRequests = "bad requests rather than bad attempts",
        /// Failed requests that must be seen before anybody knows.
        EvidenceOfFailure = "evidence before detection",
        /// Replicas and members of an `any_of`.
        Redundancy = "replicas and alternatives",
        /// Targets that fail only a part of their requests.
        Severity = "partial severity",
        /// Breaks that begin later than their stage, and stages.
        Onset = "onset and staged rollout",
        /// Slow and corrupt answers, and surges.
        Modes = "failure modes other than down",
        /// Restarts and warm-ups.
        Recovery = "restart and warm-up",
        /// Automations of services.
        Automations = "automations",
        /// Actions of operators.
        Actions = "what operators did",
    }
}

impl EngineName {
    /// Returns the engine that runs a simulation.
    pub fn of_simulation(simulation: &Simulator<'_>) -> Self {
        if simulation.is_boolean() { Self::Boolean } else { Self::Fluid }
    }
}

impl From<change::Routing> for RoutingMode {
    fn from(routing: change::Routing) -> Self {
        match routing {
            change::Routing::Random => Self::Random,
            change::Routing::Sticky => Self::Sticky,
        }
    }
}

impl From<change::Strategy> for RolloutStrategy {
    fn from(strategy: change::Strategy) -> Self {
        match strategy {
            change::Strategy::AllAtOnce => Self::AllAtOnce,
            change::Strategy::Canary => Self::Canary,
            change::Strategy::BlueGreen => Self::BlueGreen,
            change::Strategy::Rolling => Self::Rolling,
            change::Strategy::Cells => Self::Cells,
        }
    }
}

impl From<action::ActionKind> for ActionKind {
    fn from(kind: action::ActionKind) -> Self {
        match kind {
            action::ActionKind::Bypass => Self::Bypass,
            action::ActionKind::Shed => Self::Shed,
            action::ActionKind::Restart => Self::Restart,
            action::ActionKind::AddCapacity => Self::AddCapacity,
            action::ActionKind::Remove => Self::Remove,
            action::ActionKind::Disable => Self::Disable,
            action::ActionKind::Rollback => Self::Rollback,
            action::ActionKind::Fix => Self::Fix,
        }
    }
}

impl From<Operator> for ComparisonOperator {
    /// Returns the operator of a comparison of numbers; every other operator that compares is `!=`.
    fn from(operator: Operator) -> Self {
        match operator {
            Operator::Gt => Self::Greater,
            Operator::Ge => Self::GreaterOrEqual,
            Operator::Lt => Self::Less,
            Operator::Le => Self::LessOrEqual,
            Operator::Eq => Self::Equal,
            _ => Self::NotEqual,
        }
    }
}

impl From<DetectedBy> for Detector {
    fn from(by: DetectedBy) -> Self {
        match by {
            DetectedBy::Nobody => Self::Nobody,
            DetectedBy::Alert => Self::Alert,
            DetectedBy::WrongAnswers => Self::WrongAnswers,
            DetectedBy::Gate => Self::Gate,
        }
    }
}

impl From<engine::Protection> for Protection {
    fn from(protection: engine::Protection) -> Self {
        match protection {
            engine::Protection::Redundancy => Self::Redundancy,
            engine::Protection::Retry => Self::Retry,
            engine::Protection::Cache => Self::Cache,
            engine::Protection::Buffer => Self::Buffer,
            engine::Protection::Fallback => Self::Fallback,
            engine::Protection::Soft => Self::Soft,
            engine::Protection::Timeout => Self::Timeout,
            engine::Protection::Validation => Self::Validation,
            engine::Protection::CallProbability => Self::CallProbability,
            engine::Protection::Propagation => Self::Propagation,
        }
    }
}

impl From<ObservedState> for ComponentState {
    fn from(state: ObservedState) -> Self {
        match state {
            ObservedState::Failed => Self::Failed,
            ObservedState::Degraded => Self::Degraded,
            ObservedState::Late => Self::Late,
            ObservedState::Unaffected => Self::Unaffected,
        }
    }
}

impl From<change::ChangeKind> for GuessedKind {
    /// Returns the kind that file names can suggest; all others count as code.
    fn from(kind: change::ChangeKind) -> Self {
        match kind {
            change::ChangeKind::Schema => Self::Schema,
            change::ChangeKind::Config => Self::Config,
            change::ChangeKind::Dependency => Self::Dependency,
            _ => Self::Code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_word_as_the_text() {
        for kind in UnknownKind::ALL {
            let json = serde_json::to_string(kind).expect("a word is written");
            assert_eq!(json, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<UnknownKind>(&json).expect("and read"), *kind);
        }
    }

    #[test]
    fn maps_are_written_in_the_order_of_the_alphabet() {
        assert!(FailureMode::ALL.is_sorted_by_key(|item| item.as_str()));
        assert!(Detector::ALL.is_sorted_by_key(|item| item.as_str()));
        assert!(Protection::ALL.is_sorted_by_key(|item| item.as_str()));
    }
}
