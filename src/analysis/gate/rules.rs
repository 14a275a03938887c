//! Rules and limits, and what is known of each so far.

use super::runs::Context;
use super::{Assumption, ERROR, Gate, Limit, Measure, waivers};
use crate::diagnostic::Place;
use crate::engine::Tally;
use crate::model::Topology;
use crate::policy::evaluate::{Evaluation, Facts, Ternary, evaluate};
use crate::policy::expression::{Expr, ExprNode, Operator};
use crate::policy::vocabulary::{
    EstimateField, FailuresField, Field, FlowField, LossesField, Variable,
};
use crate::policy::{Rule, RuleVerdict};

/// A rule, and what is known of it so far.
pub(super) struct RuleState {
    pub(super) rule: Rule,
    /// The number of the waiver that turns its stop into caution.
    pub(super) waiver: Option<usize>,
    /// The assumption about unstated protections under which it is to be evaluated.
    pub(super) unknown: Assumption,
    /// The assumption under which it was evaluated last.
    pub(super) taken: Assumption,
    /// The chance that the interval of one of its figures misses.
    error: f64,
    /// Whether more trials cannot change a decision: what no trial has shown yet may still turn up.
    is_final: bool,
    /// Whether it takes more steps than a condition may.
    pub(super) is_too_large: bool,
    /// The latest evaluation.
    pub(super) evaluation: Option<Evaluation>,
    /// The trials of that evaluation.
    pub(super) trials: u64,
}

impl RuleState {
    fn new(rule: Rule, gate: &Gate<'_>, facts: &dyn Facts) -> Self {
        // Nothing is simulated yet: this counts the comparisons, among which the error is split.
        let preview = evaluate(&rule.when, facts, ERROR);
        // Rules that ask for caution see the worst as well: else what only stops at worst would proceed as
        // soon as it is a little better.
        let unknown = if is_simulated(&rule.when) { gate.unknown } else { Assumption::Stated };
        let comparisons = if rule.when.is_existential() {
            preview.places.len() as u64
        } else {
            preview.comparison_count
        };
        // A rule that sees the worst is looked at as stated too, and either look may miss.
        let looks = if unknown == Assumption::Worst { 2 } else { 1 };
        let sees_rare_events = rule
            .when
            .mentions(|when| matches!(when, Variable::Metastable | Variable::NeverRecovers));
        Self {
            // All intervals of one rule hold at once with the stated error (Bonferroni).
            error: ERROR / (looks * comparisons.max(1)) as f64,
            is_final: !sees_rare_events,
            is_too_large: preview.is_too_large,
            unknown,
            taken: Assumption::Stated,
            waiver: None,
            rule,
            evaluation: None,
            trials: 0,
        }
    }

    /// Returns what is known of the condition; more trials may tell before it is evaluated.
    pub(super) fn result(&self) -> Ternary {
        self.evaluation.as_ref().map_or(Ternary::Undetermined, |evaluation| evaluation.result)
    }

    /// Whether more trials may decide it.
    pub(super) fn needs_trials(&self) -> bool {
        self.result() == Ternary::Undetermined
    }

    /// Whether it fired, and asks for at least so much.
    pub(super) fn has_fired(&self, verdict: RuleVerdict) -> bool {
        self.result() == Ternary::True && self.rule.verdict >= verdict
    }

    /// Whether it could still raise a verdict that is certain to be at least `floor`.
    pub(super) fn could_raise(&self, floor: Option<RuleVerdict>) -> bool {
        // A rule that asks for no more than is certain already cannot change the verdict.
        self.result() != Ternary::True && Some(self.rule.verdict) > floor
    }

    /// Whether it is to be evaluated in a run with this assumption. What fires as stated fires at
    /// worst, so a rule that sees the worst is looked at in the cheaper run first.
    pub(super) fn is_seen_in(&self, assumption: Assumption) -> bool {
        match (self.unknown, assumption) {
            // It is seen at worst only until it has fired as stated.
            (Assumption::Worst, Assumption::Stated) => self.taken == Assumption::Stated,
            (unknown, assumption) => unknown == assumption,
        }
    }

    /// Whether a simulated figure was compared with a limit.
    pub(super) fn has_comparisons(&self) -> bool {
        self.evaluation.as_ref().is_some_and(|evaluation| evaluation.comparison_count > 0)
    }

    /// Whether it could not have fired: it goes over flows, services or dependencies, and none of them
    /// fits what it asks of them, so that no figure was compared with a limit.
    pub(super) fn is_vacuous(&self) -> bool {
        let evaluation = self.evaluation.as_ref();
        self.result() == Ternary::False
            && evaluation.is_some_and(|evaluation| {
                evaluation.has_vacuous_macro && evaluation.comparison_count == 0
            })
    }

    /// Evaluates it in a run, unless it is decided there for good.
    pub(super) fn evaluate(&mut self, facts: &dyn Facts, assumption: Assumption, trials: u64) {
        let is_decided = match self.result() {
            // More trials cannot undo what fired: the interval holds at every checkpoint.
            Ternary::True => true,
            Ternary::False | Ternary::NoData => {
                self.is_final && self.evaluation.is_some() && self.taken == assumption
            }
            Ternary::Undetermined => false,
        };
        if is_decided {
            return;
        }
        self.evaluation = Some(evaluate(&self.rule.when, facts, self.error));
        self.taken = assumption;
        self.trials = trials;
    }
}

/// Whether some rule that could yet raise the verdict is to be evaluated with what is not stated at its
/// worst or best.
pub(super) fn need_assumptions(rules: &[RuleState], floor: Option<RuleVerdict>) -> bool {
    rules.iter().any(|state| state.unknown != Assumption::Stated && state.could_raise(floor))
}

/// Takes all rules as stated, where nothing that is not stated makes a difference to the verdict.
pub(super) fn take_as_stated(rules: &mut [RuleState]) {
    rules.iter_mut().for_each(|state| state.unknown = Assumption::Stated);
}

/// Whether some rule asks what is unknown.
pub(super) fn mention_unknowns(rules: &[RuleState]) -> bool {
    rules.iter().any(|state| state.rule.when.mentions(|when| when == Variable::Unknowns))
}

fn is_simulated(when: &ExprNode) -> bool {
    when.mentions(Variable::is_simulated)
}

impl Context<'_> {
    /// Returns the limits, as rules, and then the rules of the policy.
    pub(super) fn rules(&self, nothing: &Tally) -> Vec<RuleState> {
        let facts = self.facts(self.topology, nothing, 1);
        let limits = self.gate.limits.iter().map(|limit| limit_rule(self.topology, limit));
        let rules = self.gate.policy.iter().flat_map(|(policy, _)| policy.rules.iter().cloned());
        let limits = limits.map(|rule| RuleState::new(rule, self.gate, &facts));
        limits.chain(rules.map(|rule| self.policy_rule(rule, &facts))).collect()
    }
}

impl Context<'_> {
    /// Returns a rule of the policy, which a waiver may weaken.
    fn policy_rule(&self, mut rule: Rule, facts: &dyn Facts) -> RuleState {
        let waiver = waivers::waiver_of(&rule, self.topology, self.change, self.gate);
        if waiver.is_some() {
            rule.verdict = RuleVerdict::Caution;
        }
        RuleState { waiver, ..RuleState::new(rule, self.gate, facts) }
    }
}

/// Returns a limit of the command line as a rule that stops.
fn limit_rule(topology: &Topology, limit: &Limit) -> Rule {
    let flow = &topology.flows[limit.flow as usize].name;
    let node = |expr| ExprNode { expr, place: Place::default() };
    let select = |of, field| node(Expr::Select(Box::new(of), field));
    let item = node(Expr::Index(
        Box::new(node(Expr::Variable(Variable::Flows))),
        Box::new(node(Expr::Text(flow.clone()))),
    ));
    let (name, figure) = match limit.measure {
        Measure::Failed => (
            format!("{flow} fails"),
            select(
                select(
                    select(item, Field::Flow(FlowField::Caused)),
                    Field::Failures(FailuresField::Failed),
                ),
                Field::Estimate(EstimateField::P),
            ),
        ),
        Measure::Lost => (
            format!("{flow} loses orders"),
            select(
                select(item, Field::Flow(FlowField::OrdersLost)),
                Field::Losses(LossesField::Mean),
            ),
        ),
    };
    // A limit is a rule like all others, so that one code evaluates both.
    let at_most = node(Expr::Number(limit.at_most));
    Rule {
        name,
        text: String::new(),
        when: node(Expr::Binary(Operator::Gt, Box::new([figure, at_most]))),
        verdict: RuleVerdict::Stop,
        message: String::new(),
        is_overridable: false,
        layer: 0,
        place: Place::default(),
    }
}
