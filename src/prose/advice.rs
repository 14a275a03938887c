//! Sentences of advice: shared by everything that is read by people.

use super::explanation::Section;
use super::format;
use super::simulation::Wording;
use crate::report::AdviseReport;
use crate::report::Metric;
use crate::report::advise::{AdviceReport, UntilReport};
use crate::report::compare::Difference;

/// How many protections are named one at a time.
const LINES: usize = 8;

/// Returns the headline: what helps most, and what all of it saves.
pub(crate) fn headline(report: &AdviseReport, wording: &Wording) -> Vec<String> {
    let mut said: Vec<String> =
        report.until.iter().map(|until| verdict_sentence(until, report)).collect();
    let Some(first) = report.together.first() else {
        said.push("Nothing that was tried saves anything that can be told from noise.".to_owned());
        return said;
    };
    let share =
        if first.left == 0.0 { "all".to_owned() } else { format::percent(first.saved_share) };
    let most = if report.costs.is_some() { "most for its cost" } else { "most" };
    said.push(format!("What helps {most}: {} (saves {share}).", (wording.name)(&first.what)));
    // With a single protection the sentence would repeat the first.
    if report.together.len() > 1 {
        let all = 1.0 - report.after / report.before;
        // Noise may bring the sum above or below what can be saved at all.
        said.push(format!(
            "All {} protections together save {}.",
            report.together.len(),
            format::percent(all.clamp(0.0, 1.0))
        ));
    }
    said
}

/// Returns the sentence on what turns the verdict.
fn verdict_sentence(until: &UntilReport, report: &AdviseReport) -> String {
    let policy = if until.policy.is_empty() {
        String::new()
    } else {
        format!(" of the policy `{}`", until.policy)
    };
    let count = format::plural(until.steps.len(), "protection");
    let cost = if report.costs.is_some() {
        format!(" (cost {})", format::digits(until.cost, 3))
    } else {
        String::new()
    };
    match (until.reached, until.steps.is_empty()) {
        (true, true) => format!("The verdict{policy} is to proceed as things are."),
        (true, false) => {
            let turn = if until.steps.len() == 1 { "turns" } else { "turn" };
            format!("{count}{cost} {turn} the verdict{policy} from {} to proceed.", until.before)
        }
        (false, true) => format!(
            "Nothing that was tried turns the verdict{policy} from {} to proceed, or brings it nearer.",
            until.before
        ),
        (false, false) => format!(
            "Nothing that was tried turns the verdict{policy} from {} to proceed; {count}{cost} {} \
             nearest ({}).",
            until.before,
            if until.steps.len() == 1 { "comes" } else { "come" },
            until.after
        ),
    }
}

/// The advice, section by section.
pub(crate) fn sections(report: &AdviseReport, wording: &Wording) -> Vec<Section> {
    let noun =
        if report.metric == Metric::OrdersLost { "orders saved" } else { "failing share saved" };
    let per = if report.costs.is_some() { "per cost" } else { "per step" };
    let lines =
        |all: &[AdviceReport]| all.iter().map(|item| advice_line(item, report, wording)).collect();
    let until = report.until.as_ref();
    let turning = Section {
        title: "To proceed".to_owned(),
        remark: until.map_or_else(String::new, |until| {
            format!(
                "the smallest set found among {} that were judged",
                format::plural(usize::try_from(until.judged).unwrap_or(0), "set")
            )
        }),
        lines: until
            .filter(|until| until.reached)
            .map(|until| lines(&until.steps))
            .unwrap_or_default(),
    };
    let nearest = Section {
        title: "Nearest to the verdict to proceed".to_owned(),
        remark: String::new(),
        lines: until
            .filter(|until| !until.reached)
            .map(|until| lines(&until.steps))
            .unwrap_or_default(),
    };
    let against = Section {
        title: "What is still against it".to_owned(),
        remark: String::new(),
        lines: until
            .map(|until| until.reasons.iter().map(|reason| (wording.name)(reason)).collect())
            .unwrap_or_default(),
    };
    let shown = &report.alone[..report.alone.len().min(LINES)];
    let mut alone: Vec<String> = lines(shown);
    if report.alone.len() > LINES {
        alone.push(format!("and {} more", report.alone.len() - LINES));
    }
    let alone = Section {
        title: "One at a time".to_owned(),
        remark: format!("{noun}, those that save most {per} first"),
        lines: alone,
    };
    let together = Section {
        title: "Together".to_owned(),
        remark: format!("{noun} on top of the steps before"),
        lines: lines(&report.together),
    };
    let noise = Section {
        title: "Within noise".to_owned(),
        remark: "simulated, but not distinguishable from no saving".to_owned(),
        lines: report.noise.iter().map(|noise| (wording.name)(&noise.what)).collect(),
    };
    let assumed = Section {
        title: "Assumed".to_owned(),
        remark: String::new(),
        lines: report.assumptions.iter().map(|assumption| (wording.name)(assumption)).collect(),
    };
    let all = [turning, nearest, against, alone, together, noise, assumed];
    all.into_iter().filter(|item| !item.lines.is_empty()).collect()
}

/// Returns the footer: what was tried, so that it can be repeated.
pub(crate) fn footer(report: &AdviseReport) -> String {
    let count = |number: u64, noun| format::plural(usize::try_from(number).unwrap_or(0), noun);
    format!(
        "{} tried by few trials; {} of the best estimated by {} each, with intervals that hold for all of them at once in 95% \
         of cases; {} within noise. Seed {}, {} engine, blastwave {}: simulated, not measured.",
        count(report.tried, "protection"),
        count(report.comparisons, "saving"),
        count(report.trials, "trial"),
        report.within_noise,
        report.seed,
        report.engine,
        report.tool_version
    )
}

fn advice_line(advice: &AdviceReport, report: &AdviseReport, wording: &Wording) -> String {
    let show = |value: f64| match report.metric {
        Metric::OrdersLost => format::digits(value, 3),
        // The minus stands before the percentage, which is formatted from a positive share.
        Metric::FailingShare if value < 0.0 => format!("-{}", format::percent(-value)),
        Metric::FailingShare => format::percent(value),
    };
    let interval = |of: &Difference| {
        format!("{} ({}{}{})", show(of.value), show(of.low), wording.dash(), show(of.high))
    };
    let edits: Vec<String> = advice
        .edits
        .iter()
        .map(|edit| format!("{} at {}", (wording.name)(&edit.yaml), (wording.name)(&edit.path)))
        .collect();
    // With one step of cost 1 the two figures are the same.
    let per = if report.costs.is_some() {
        format!("; {} per cost", interval(&advice.saved_per_cost))
    } else if advice.steps > 1 {
        format!("; {} per step", interval(&advice.saved_per_cost))
    } else {
        String::new()
    };
    let cost = if report.costs.is_some() {
        format!(" at a cost of {}", format::digits(advice.cost, 3))
    } else {
        String::new()
    };
    format!(
        "{}: saves {}{cost}{per}; write {}",
        (wording.name)(&advice.what),
        interval(&advice.saved),
        edits.join(" and ")
    )
}
