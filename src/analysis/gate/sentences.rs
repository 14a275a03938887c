//! Figures and limits in sentences: what they are about first, then the number, then the limit.

use crate::model::{Seconds, Topology};
use crate::policy::evaluate::{
    Basis, Comparison, Event, Figure, Metric, Outcome, Statistic, Ternary, Unit,
};

/// Returns a comparison as a sentence about its service or flow, without the code of the condition:
/// `pay uses up its error budget in 10% of rollouts (limit 1%)`.
pub(super) fn sentence(topology: &Topology, compared: &Comparison, breaks: &str) -> Option<String> {
    let figure = compared.figure.figure.as_deref()?;
    let said = claim(topology, figure, compared.figure.value, breaks)?;
    let is_share = !matches!(figure.metric, Metric::Outage(_) | Metric::Orders(_) | Metric::Other);
    let limit = number(compared.limit, is_share);
    if compared.result == Ternary::True {
        return Some(format!("{said} (limit {limit})"));
    }
    let (low, high) = (number(compared.figure.low, is_share), compared.figure.high);
    let high = if high.is_finite() { number(high, is_share) } else { "any number".to_owned() };
    Some(format!("{said} (between {low} and {high}, limit {limit})"))
}

fn claim(topology: &Topology, figure: &Figure, value: f64, breaks: &str) -> Option<String> {
    let (name, flow) = match figure.unit? {
        Unit::Flow(index) => (&topology.flows[index].name, Some(&topology.flows[index])),
        Unit::Service(index) => (&topology.services[index].name, None),
    };
    let budget = || {
        let window = flow.map_or(Seconds::ZERO, |flow| flow.objective().window);
        format!("{}error budget", window_name(window))
    };
    let share = number(value, true);
    Some(match figure.metric {
        Metric::Probability { event, per_rollout } => {
            let what = match event {
                Event::Exhausts => format!("{name} uses up its {}", budget()),
                Event::AtRisk => {
                    format!("{name} loses more than a quarter of what is left of its {}", budget())
                }
                Event::Unfinished => format!("{name} is still out at the horizon"),
                Event::Unit(basis, outcome) => {
                    let verb = match outcome {
                        Outcome::Failed => "fails",
                        Outcome::Degraded => "is degraded",
                    };
                    match basis {
                        Basis::With => format!("{name} {verb}"),
                        Basis::Baseline => format!("{name} {verb} without the change"),
                        Basis::Caused => format!("{name} {verb} because of the change"),
                    }
                }
            };
            match (per_rollout, event) {
                (true, _) => format!("{what} in {share} of rollouts"),
                (false, Event::Unit(Basis::Baseline, _)) => {
                    format!("{what} in {share} of simulations")
                }
                (false, _) => format!("{what} in {share} of simulated rollouts that break"),
            }
        }
        Metric::FailingShare => {
            format!("{share} of the requests to {name} fail at the worst moment, on average")
        }
        Metric::Outage(statistic) => {
            let minutes = number(value, false);
            format!(
                "if {breaks} breaks, {name} loses {minutes} outage minutes{}",
                in_brackets(statistic)
            )
        }
        Metric::Budget(statistic) => {
            format!(
                "if {breaks} breaks, {name} loses {share} of its {}{}",
                budget(),
                in_brackets(statistic)
            )
        }
        Metric::Orders(statistic) => {
            let orders = number(value, false);
            format!("if {breaks} breaks, {name} loses {orders} orders{}", in_brackets(statistic))
        }
        Metric::Share | Metric::Other => return None,
    })
}

fn in_brackets(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Mean => " on average",
        Statistic::Quantile(50) => " in half of the simulations",
        Statistic::Quantile(95) => " in 1 of 20 simulations",
        Statistic::Quantile(_) => " in 1 of 100 simulations",
    }
}

/// Returns the usual name of a window with a blank behind it: `monthly `.
fn window_name(window: Seconds) -> &'static str {
    const DAY: f64 = 86_400.0;
    let days = window.get() / DAY;
    match () {
        () if (6.5..7.5).contains(&days) => "weekly ",
        () if (27.5..31.5).contains(&days) => "monthly ",
        () if (89.0..92.5).contains(&days) => "quarterly ",
        () if (364.0..366.5).contains(&days) => "yearly ",
        () => "",
    }
}

/// Returns a number with three digits, or a share in percent.
pub(super) fn number(value: f64, is_share: bool) -> String {
    let (value, unit) = if is_share { (value * 100.0, "%") } else { (value, "") };
    let digits = match value.abs() {
        0.0 => 0,
        small if small < 1.0 => 3,
        small if small < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}
