//! Figures and limits in sentences: the flow or service first, then the figure, then the limit.

use crate::analysis::budget;
use crate::model::Topology;
use crate::policy::evaluate::{
    Basis, Comparison, FailureDegree, Figure, Metric, Statistic, Ternary, TrialEvent, Unit,
};
use crate::policy::expression::Operator;
use crate::prose::format;

/// Scenario that sentences about a check refer to.
#[derive(Clone, Copy)]
pub(super) struct SentenceContext<'a> {
    pub(super) topology: &'a Topology,
    /// The name of the change.
    pub(super) change: &'a str,
    /// By flow: the outage minutes that are already spent of its error budget.
    pub(super) spent: &'a [f64],
    /// Whether the break was asked for, so that every rollout breaks.
    pub(super) is_certain: bool,
    /// Whether nothing is changed, so that the topology itself is judged.
    pub(super) is_steady: bool,
}

/// A figure in words, and the limit that it is compared with.
pub(super) struct ComparisonText {
    /// `pay loses its whole error budget in 10% of rollouts`.
    pub(super) text: String,
    /// `limit 1%`.
    pub(super) limit: String,
}

impl SentenceContext<'_> {
    /// Returns a comparison in words; where the figure has no words of its own, its path in conditions
    /// stands for it.
    pub(super) fn claim(&self, comparison: &Comparison) -> Option<ComparisonText> {
        let figure = comparison.figure.figure.as_deref()?;
        let value = comparison.figure.value;
        // The sentence names flows and services; a figure without one is named by its path.
        let text = self
            .sentence(figure, value)
            .unwrap_or_else(|| format!("{} is {}", figure.path, metric_text(value, figure.metric)));
        let limit = metric_text(comparison.limit, figure.metric);
        let limit = match (comparison.operator, comparison.result) {
            (Operator::Gt | Operator::Ge, _) => format!("limit {limit}"),
            (Operator::Lt | Operator::Le, _) => format!("at least {limit}"),
            (_, Ternary::True) => format!("which is {limit}"),
            _ => format!("compared with {limit}"),
        };
        Some(ComparisonText { text, limit })
    }

    fn sentence(&self, figure: &Figure, value: f64) -> Option<String> {
        let (name, flow) = match figure.unit? {
            Unit::Flow(index) => (&self.topology.flows[index].name, Some(index)),
            Unit::Service(index) => (&self.topology.services[index].name, None),
        };
        let breaks = self.change;
        let share = format::percent_three_digits(value);
        Some(match figure.metric {
            Metric::Probability {
                event: TrialEvent::Unit(Basis::Baseline, FailureDegree::Failed),
                ..
            } if self.is_steady => {
                format!("{name} is unavailable {share} of the time")
            }
            Metric::Probability { event, per_rollout } => {
                let what = self.event(name, flow, event);
                let among = match (per_rollout, event) {
                    (true, _) => "rollouts",
                    (false, TrialEvent::Unit(Basis::Baseline, _)) => "simulated rollouts",
                    (false, _) if self.is_certain => "simulated rollouts",
                    (false, _) => "rollouts that break",
                };
                format!("{what} in {share} of {among}")
            }
            Metric::FailingShare => {
                format!("{name} fails {share} of its requests at the worst moment, on average")
            }
            Metric::Outage(statistic) => {
                let minutes = format::three_digits(value);
                let often = frequency_text(statistic);
                format!("{name} loses {minutes} outage minutes{often} if {breaks} breaks")
            }
            Metric::Budget(statistic) => {
                let minutes = value * self.topology.flows[flow?].objective().budget_minutes();
                self.budget_loss(flow?, minutes, frequency_text(statistic))
            }
            Metric::BudgetUsed { mean_minutes } => {
                self.budget_loss(flow?, mean_minutes, frequency_text(Statistic::Mean))
            }
            Metric::Orders(statistic) => {
                let (orders, often) = (format::three_digits(value), frequency_text(statistic));
                format!("{name} loses {orders} orders{often} if {breaks} breaks")
            }
            Metric::Share | Metric::Other => return None,
        })
    }

    fn budget_loss(&self, flow: usize, minutes: f64, often: &str) -> String {
        let of = &self.topology.flows[flow];
        let share = ratio_text(minutes / of.objective().budget_minutes());
        let (name, breaks, minutes) = (&of.name, self.change, format::three_digits(minutes));
        let budget = self.budget_name(flow);
        format!(
            "{name} loses {minutes} outage minutes{often} if {breaks} breaks, {share} its {budget}"
        )
    }

    fn event(&self, name: &str, flow: Option<usize>, event: TrialEvent) -> String {
        match (event, flow) {
            (TrialEvent::Unit(basis, outcome), _) => {
                let verb = match outcome {
                    FailureDegree::Failed => "fails",
                    FailureDegree::Degraded => "is degraded",
                };
                match basis {
                    Basis::With => format!("{name} {verb}"),
                    Basis::Baseline => format!("{name} {verb} without the change"),
                    Basis::Caused => format!("{name} {verb} because of the change"),
                }
            }
            (TrialEvent::Exhausts, Some(flow)) => {
                let (left, budget) = (self.left(flow), self.budget_name(flow));
                if left == "0" {
                    format!("{name} loses outage minutes with nothing left of its {budget}")
                } else if self.is_spent(flow) {
                    // Where something was spent before, the limit is what is left of the budget.
                    format!("{name} loses more than the {left} outage minutes left of its {budget}")
                } else {
                    format!("{name} loses more than its {budget} of {left} outage minutes")
                }
            }
            (TrialEvent::AtRisk, Some(flow)) => {
                let budget = self.budget_name(flow);
                let left = if self.is_spent(flow) { "what is left of " } else { "" };
                format!("{name} loses more than a quarter of {left}its {budget}")
            }
            _ => format!("{name} still fails at the horizon"),
        }
    }

    /// Returns the outage minutes that are left of the error budget of a flow.
    fn left(&self, flow: usize) -> String {
        format::three_digits(budget::left_minutes(self.topology, flow, self.spent))
    }

    fn is_spent(&self, flow: usize) -> bool {
        self.spent.get(flow).is_some_and(|minutes| *minutes > 0.0)
    }

    /// Returns what people call the error budget of a flow: `monthly error budget`.
    pub(super) fn budget_name(&self, flow: usize) -> String {
        format!(
            "{}error budget",
            format::window_name(self.topology.flows[flow].objective().window.get())
        )
    }
}

fn frequency_text(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Mean => " on average",
        Statistic::Quantile(50) => " in half of simulated rollouts",
        Statistic::Quantile(95) => " in 1 of 20 simulated rollouts",
        Statistic::Quantile(_) => " in 1 of 100 simulated rollouts",
    }
}

/// Returns a value as its metric is read by people.
pub(super) fn metric_text(value: f64, metric: Metric) -> String {
    match metric {
        Metric::Outage(_) | Metric::Orders(_) | Metric::Other => format::three_digits(value),
        _ => format::percent_three_digits(value),
    }
}

/// Returns how much of something a share is: `9.3% of`, `12.6 times`.
pub(super) fn ratio_text(share_of: f64) -> String {
    // A percentage above 200 is harder to read than a factor.
    if share_of < 2.0 {
        format!("{} of", format::percent_three_digits(share_of))
    } else {
        format!("{} times", format::three_digits(share_of))
    }
}
