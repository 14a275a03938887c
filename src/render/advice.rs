//! What advice says, in sentences: shared by everything that is read by people.

use super::explanation::Section;
use super::story::Wording;
use super::words;
use crate::report::AdviseReport;
use crate::report::advise::AdviceReport;

/// How many protections are named one at a time.
const LINES: usize = 8;

/// What helps most, and what all of it saves.
pub(super) fn essence(report: &AdviseReport, wording: &Wording) -> Vec<String> {
    let Some(first) = report.together.first() else {
        return vec![
            "Nothing that was tried saves anything that can be told from noise.".to_owned(),
        ];
    };
    let share =
        if first.left == 0.0 { "all".to_owned() } else { words::percent(first.saved_share) };
    let mut said =
        vec![format!("What helps most: {} (saves {share}).", (wording.name)(&first.what))];
    if report.together.len() > 1 {
        let all = 1.0 - report.after / report.before;
        said.push(format!(
            "All {} steps together save {}.",
            report.together.len(),
            words::percent(all.clamp(0.0, 1.0))
        ));
    }
    said
}

/// The advice, section by section.
pub(super) fn sections(report: &AdviseReport, wording: &Wording) -> Vec<Section> {
    let noun = if report.measure == "orders_lost" { "orders saved" } else { "failing share saved" };
    let alone = Section {
        title: "One at a time".to_owned(),
        remark: noun.to_owned(),
        lines: report.alone.iter().take(LINES).map(|it| line(it, report, wording)).collect(),
    };
    let together = Section {
        title: "Together".to_owned(),
        remark: format!("{noun} on top of the steps before"),
        lines: report.together.iter().map(|it| line(it, report, wording)).collect(),
    };
    let assumed = Section {
        title: "Assumed".to_owned(),
        remark: String::new(),
        lines: report.assumptions.iter().map(|it| (wording.name)(it)).collect(),
    };
    [alone, together, assumed].into_iter().filter(|it| !it.lines.is_empty()).collect()
}

/// What was tried, so that somebody else can do it again.
pub(super) fn footer(report: &AdviseReport) -> String {
    let count = |number: u64, noun| words::plural(usize::try_from(number).unwrap_or(0), noun);
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

fn line(it: &AdviceReport, report: &AdviseReport, wording: &Wording) -> String {
    let show = |value: f64| match report.measure.as_str() {
        "orders_lost" => words::digits(value, 3),
        _ => words::percent(value),
    };
    let edits: Vec<String> = it
        .edits
        .iter()
        .map(|edit| format!("{} at {}", (wording.name)(&edit.yaml), (wording.name)(&edit.path)))
        .collect();
    format!(
        "{}: saves {} ({}{}{}); write {}",
        (wording.name)(&it.what),
        show(it.saved.value),
        show(it.saved.low),
        wording.dash(),
        show(it.saved.high),
        edits.join(" and ")
    )
}
