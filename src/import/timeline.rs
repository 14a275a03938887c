//! An incident file from a timeline: lines of a time and what happened, as people write them during an incident.
//!
//! ```text
//! 14:02 deployed payments
//! 14:06 payments failing, 30% of requests
//! 14:08 noticed by the alert
//! 14:40 rolled back
//! 14:45 payments recovered
//! ```
//!
//! A line is understood by the names in it and by a few words for states and actions. What is not understood stays in
//! the file as a comment, so that nothing is lost and whoever completes it sees what is missing.

use std::fmt::Write as _;

use super::graph::write::yaml_scalar;
use crate::diagnostic::{Code, Diagnostic, Place, SourceId};
use crate::model::Topology;
use std::collections::BTreeMap;

/// Words that say that something is in a state, the first that occurs counts.
const STATES: [(&str, Happening); 19] = [
    ("recovered", Happening::Ends),
    ("restored", Happening::Ends),
    ("healthy", Happening::Ends),
    ("resolved", Happening::Ends),
    ("normal", Happening::Ends),
    ("unaffected", Happening::State("unaffected")),
    ("degraded", Happening::State("degraded")),
    ("partial", Happening::State("degraded")),
    ("partially", Happening::State("degraded")),
    ("elevated", Happening::State("degraded")),
    ("late", Happening::State("late")),
    ("delayed", Happening::State("late")),
    ("failed", Happening::State("failed")),
    ("fails", Happening::State("failed")),
    ("failing", Happening::State("failed")),
    ("failure", Happening::State("failed")),
    ("down", Happening::State("failed")),
    ("unavailable", Happening::State("failed")),
    ("outage", Happening::State("failed")),
];

/// Words for what operators do, with the action that each is and whether it needs a service.
const ACTIONS: [(&str, &str, bool); 13] = [
    ("rollback", "rollback", false),
    ("rolled", "rollback", false),
    ("reverted", "rollback", false),
    ("revert", "rollback", false),
    ("restart", "restart", true),
    ("restarted", "restart", true),
    ("scaled", "add-capacity", true),
    ("shed", "shed", true),
    ("throttled", "shed", true),
    ("limited", "shed", true),
    ("bypassed", "bypass", true),
    ("rerouted", "bypass", true),
    ("disabled", "disable", true),
];

const DEPLOYS: [&str; 6] = ["deploy", "deployed", "released", "merged", "upgraded", "changed"];
const NOTICED: [&str; 6] = ["noticed", "detected", "alert", "alerted", "paged", "reported"];
const MITIGATED: [&str; 4] = ["mitigated", "fixed", "mitigation", "fix"];

const DAY_S: f64 = 86_400.0;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Happening {
    State(&'static str),
    Ends,
}

/// The text of a timeline, and the file that it is from.
#[derive(Clone, Copy, Debug)]
pub struct TimelineText<'a> {
    /// The file.
    pub source: SourceId,
    /// All of its text.
    pub text: &'a str,
}

/// The most lines that a timeline may have: people write some hundreds.
const LINES_MAX: usize = 10_000;

/// Services and flows by their names in small letters.
type UnitNames<'a> = BTreeMap<String, Vec<(&'static str, &'a str)>>;

/// A line of a timeline: when, and what.
struct TimelineLine<'a> {
    at: f64,
    text: &'a str,
}

/// An observation that grows as lines are read.
struct Episode {
    key: &'static str,
    name: String,
    state: &'static str,
    from: f64,
    until: Option<f64>,
    severity: Option<String>,
    text: String,
}

/// Facts of a timeline, as far as it is understood.
#[derive(Default)]
struct Understood {
    episodes: Vec<Episode>,
    trigger: Option<(f64, String)>,
    detected: Option<f64>,
    mitigated: Option<f64>,
    actions: Vec<(f64, String)>,
    rest: Vec<(f64, String)>,
}

/// Makes an incident file of a timeline; `topology_path` is how the file names the topology.
///
/// # Errors
/// A line does not begin with a time, or no line names a service or flow of the topology.
pub fn incident_of_timeline(
    timeline: &TimelineText<'_>,
    topology: &Topology,
    topology_path: &str,
    name: &str,
) -> Result<String, Vec<Diagnostic>> {
    let lines = timeline_lines(timeline)?;
    let names = unit_names(topology);
    let mut understood = Understood::default();
    for line in &lines {
        understood.read_line(line, &names);
    }
    if understood.episodes.is_empty() {
        let end = u32::try_from(timeline.text.len()).unwrap_or(u32::MAX);
        let place = Place { source: timeline.source, start: 0, end: end.min(1) };
        let names: Vec<&str> =
            topology.services.iter().take(5).map(|service| service.name.as_str()).collect();
        let message = "no line says that a service or flow of the topology failed";
        return Err(vec![Diagnostic::error(Code::NotUnderstood, message, place).help(format!(
            "write for example `14:06 {} failing`; the topology has {}",
            names.first().unwrap_or(&"payments"),
            names.join(", ")
        ))]);
    }
    Ok(understood.write_incident(topology_path, name))
}

fn timeline_lines<'a>(
    timeline: &TimelineText<'a>,
) -> Result<Vec<TimelineLine<'a>>, Vec<Diagnostic>> {
    let mut lines: Vec<TimelineLine<'a>> = Vec::new();
    let mut problems = Vec::new();
    let mut start = 0_usize;
    for raw in timeline.text.split_inclusive('\n') {
        let place_at = start;
        start += raw.len();
        let line = raw.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((at, text)) = parse_time(line) else {
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            let place = Place {
                source: timeline.source,
                start: place(place_at),
                end: place(place_at + raw.trim_end().len()),
            };
            let message = "the line does not begin with a time";
            problems.push(
                Diagnostic::error(Code::NotUnderstood, message, place)
                    .help("write `14:06`, `2026-11-20 14:06`, or `+4m` from the start"),
            );
            continue;
        };
        // A clock that goes back has passed midnight.
        let previous = lines.last().map_or(f64::NEG_INFINITY, |line| line.at);
        let days = if at < previous && at < DAY_S { ((previous - at) / DAY_S).ceil() } else { 0.0 };
        lines.push(TimelineLine { at: at + days * DAY_S, text });
        if lines.len() > LINES_MAX {
            let place = Place { source: timeline.source, start: 0, end: 1 };
            let message = format!("the timeline has more than {LINES_MAX} lines");
            let problem = Diagnostic::error(Code::TooLarge, message, place);
            return Err(vec![
                problem.help("keep the lines that say what failed and what was done"),
            ]);
        }
    }
    if problems.is_empty() { Ok(lines) } else { Err(problems) }
}

/// The time that a line begins with, in seconds, and the rest of the line.
fn parse_time(line: &str) -> Option<(f64, &str)> {
    let (first, rest) = line.split_once([' ', '\t', ',']).unwrap_or((line, ""));
    if let Some(offset) = first.strip_prefix('+') {
        return Some((parse_offset(offset)?, rest.trim()));
    }
    if let Some((date, clock)) = first.split_once('T') {
        return Some((parse_date(date)? + parse_clock(clock)?, rest.trim()));
    }
    if let Some(day) = parse_date(first) {
        let (clock, rest) = rest.trim().split_once([' ', '\t', ',']).unwrap_or((rest.trim(), ""));
        return Some((day + parse_clock(clock)?, rest.trim()));
    }
    Some((parse_clock(first)?, rest.trim()))
}

/// `4m`, `90s` or `2h`, in seconds.
fn parse_offset(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let count: f64 = digits.parse().ok()?;
    (count.is_finite() && (0.0..=1e6).contains(&count)).then_some(count * unit)
}

/// `14:06`, `14:06:30`, with or without a `Z`, in seconds.
fn parse_clock(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.trim_end_matches('Z').split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let mut seconds = 0.0;
    for (part, most) in parts.iter().zip([23_u32, 59, 59]) {
        let value: u32 = part.parse().ok().filter(|value| *value <= most)?;
        seconds = seconds * 60.0 + f64::from(value);
    }
    Some(if parts.len() == 2 { seconds * 60.0 } else { seconds })
}

/// `2026-11-20`, as seconds since some day long ago.
fn parse_date(text: &str) -> Option<f64> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let days = date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days();
    // A date counts more than a day, so that it is never taken for a mere clock.
    (days > 0).then(|| f64::from(days) * DAY_S)
}

impl Understood {
    fn read_line(&mut self, line: &TimelineLine<'_>, names: &UnitNames<'_>) {
        let lower = line.text.to_lowercase();
        let words: Vec<&str> = lower
            .split(|letter: char| {
                !(letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/' | '%'))
            })
            .map(|word| word.trim_end_matches(['.', '/']))
            .filter(|word| !word.is_empty())
            .collect();
        let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
        let named = named_units(&words, names);
        let state = STATES.iter().find(|(word, _)| words.contains(word));
        let action = ACTIONS.iter().find(|(word, ..)| words.contains(word));
        let service = named.iter().find(|(key, _)| *key == "service").map(|(_, name)| name.clone());
        match (state, action) {
            (_, Some((_, action, false))) => {
                self.actions.push((line.at, format!("action: {action}")));
            }
            (_, Some((_, action, true))) if service.is_some() => {
                let target = yaml_scalar(&service.unwrap_or_default());
                self.actions.push((line.at, format!("action: {action}, target: {target}")));
            }
            (Some((_, happening)), _) if !named.is_empty() => {
                for (key, name) in named {
                    self.add_happening(*happening, key, name, line, &words);
                }
            }
            _ if has(&DEPLOYS) && service.is_some() && self.trigger.is_none() => {
                self.trigger = service.map(|service| (line.at, service));
            }
            _ if has(&NOTICED) && self.detected.is_none() => self.detected = Some(line.at),
            _ if has(&MITIGATED) && self.mitigated.is_none() => self.mitigated = Some(line.at),
            _ => self.rest.push((line.at, line.text.to_owned())),
        }
    }

    fn add_happening(
        &mut self,
        happening: Happening,
        key: &'static str,
        name: String,
        line: &TimelineLine<'_>,
        words: &[&str],
    ) {
        // What goes on ends where something else is said of the same thing.
        let open = self
            .episodes
            .iter_mut()
            .filter(|episode| episode.name == name && episode.key == key)
            .find(|episode| episode.until.is_none() && episode.state != "unaffected");
        if let Some(open) = open {
            open.until = Some(line.at);
        }
        if let Happening::State(state) = happening {
            let severity =
                words.iter().find(|word| percentage(word).is_some()).map(|word| (*word).to_owned());
            // Less than half of the requests is degraded, whatever word a hurried line has for it.
            let is_part =
                severity.as_deref().and_then(percentage).is_some_and(|share| share < 50.0);
            let state = if state == "failed" && is_part { "degraded" } else { state };
            let text = line.text.to_owned();
            self.episodes.push(Episode {
                key,
                name,
                state,
                from: line.at,
                until: None,
                severity,
                text,
            });
        }
    }

    fn write_incident(&self, topology_path: &str, name: &str) -> String {
        let first_failed = self
            .episodes
            .iter()
            .filter(|episode| episode.state != "unaffected")
            .min_by(|a, b| a.from.total_cmp(&b.from))
            .or(self.episodes.first());
        let start = self.trigger.as_ref().map(|(at, _)| *at).or(first_failed.map(|item| item.from));
        let start = start.unwrap_or(0.0);
        // What was noticed before the start counts from it: times of an incident are not negative.
        let time = |at: f64| format!("{}s", (at - start).max(0.0));
        let mut text = String::from(
            "# Made from a timeline: read every line against what you know, and complete it.\nversion: 1\n",
        );
        let mut line = |content: String| {
            text.push_str(&content);
            text.push('\n');
        };
        line(format!("incident: {}", yaml_scalar(name)));
        line(format!("topology: {}", yaml_scalar(topology_path)));
        match (&self.trigger, first_failed) {
            (Some((_, service)), _) => line(format!("breaks: [{}]", yaml_scalar(service))),
            (None, Some(first)) if first.key == "service" => {
                line("# No line names a change: this is what failed first.".to_owned());
                line(format!("breaks: [{}]", yaml_scalar(&first.name)));
            }
            (None, _) => line(
                "# No line names a change: name what broke, as in `breaks: [payments]`.".to_owned(),
            ),
        }
        line("observed:".to_owned());
        for episode in &self.episodes {
            let mut entry = format!(
                "  - {{ {}: {}, state: {}",
                episode.key,
                yaml_scalar(&episode.name),
                episode.state
            );
            if episode.state != "unaffected" {
                write!(entry, ", from: {}", time(episode.from)).expect("a String takes all text");
            }
            if let Some(until) = episode.until {
                write!(entry, ", until: {}", time(until)).expect("a String takes all text");
            }
            if let Some(severity) = &episode.severity {
                write!(entry, ", severity: {severity}").expect("a String takes all text");
            }
            line(format!("{entry}, source: {} }}", json_text(&episode.text)));
        }
        for (key, at) in [("detected", self.detected), ("mitigated", self.mitigated)] {
            if let Some(at) = at {
                line(format!("{key}: {}", time(at)));
            }
        }
        if !self.actions.is_empty() {
            line("actions:".to_owned());
        }
        for (at, action) in &self.actions {
            line(format!("  - {{ at: {}, {action} }}", time(*at)));
        }
        let ends = self.episodes.iter().filter_map(|episode| episode.until);
        if let (Some(first), Some(end)) = (first_failed, ends.reduce(f64::max))
            && end > first.from
        {
            line(format!("duration: {}s", end - first.from));
        }
        if !self.rest.is_empty() {
            line("# Not understood:".to_owned());
        }
        for (at, rest) in &self.rest {
            line(format!("# +{} {rest}", time(*at)));
        }
        text
    }
}

fn unit_names(topology: &Topology) -> UnitNames<'_> {
    let mut names = UnitNames::new();
    let services = topology.services.iter().map(|service| ("service", service.name.as_str()));
    let flows = topology.flows.iter().map(|flow| ("flow", flow.name.as_str()));
    for (key, name) in services.chain(flows) {
        names.entry(name.to_lowercase()).or_default().push((key, name));
    }
    names
}

/// The services and flows whose names are among the words, each once.
fn named_units(words: &[&str], names: &UnitNames<'_>) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for (key, name) in words.iter().filter_map(|word| names.get(*word)).flatten() {
        let unit = (*key, (*name).to_owned());
        if !found.contains(&unit) {
            found.push(unit);
        }
    }
    found
}

/// The number of a word such as `30%`.
fn percentage(word: &str) -> Option<f64> {
    let number = word.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    number.filter(|number| (0.0..=100.0).contains(number))
}

/// A text in double quotes, as YAML and JSON both read it.
fn json_text(text: &str) -> String {
    serde_json::to_string(text).expect("a text can be written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Sources;
    use crate::load;
    use crate::model::Incident;
    use crate::model::incident::ObservedState;

    const SHOP: &str = "version: 1\ntopology: shop\nservices: {cart: {dependencies: [payments]}, payments: {}}\n\
                        flows: {buy: {steps: [cart]}}\n";

    fn made(timeline: &str) -> Result<String, Vec<Diagnostic>> {
        let mut sources = Sources::default();
        let shop = load::parse_document("shop", SHOP.as_bytes().to_vec(), &mut sources).unwrap();
        let topology = Topology::from_document(&shop).unwrap();
        let text = TimelineText { source: shop.source, text: timeline };
        incident_of_timeline(&text, &topology, "shop.yaml", "a Friday")
    }

    fn read_back(text: &str) -> Incident {
        let mut sources = Sources::default();
        let shop = load::parse_document("shop", SHOP.as_bytes().to_vec(), &mut sources).unwrap();
        let topology = Topology::from_document(&shop).unwrap();
        let document =
            load::parse_document("i.yaml", text.as_bytes().to_vec(), &mut sources).unwrap();
        Incident::from_document(&document, &topology, &sources).unwrap()
    }

    #[test]
    fn lines_become_observations_actions_and_moments() {
        let text = made(
            "23:50 deployed payments\n23:54 payments failing, 30% of requests\n23:56 paged: buy is degraded\n\
             00:10 rolled back\n00:15 payments and buy recovered\n00:20 everybody slept\n",
        )
        .unwrap();
        let incident = read_back(&text);
        assert_eq!(incident.breaks, ["payments"]);
        let times: Vec<_> = incident
            .observed
            .iter()
            .map(|seen| (seen.from.unwrap().get() / 60.0, seen.until.unwrap().get() / 60.0))
            .collect();
        assert_eq!(times, [(4.0, 25.0), (6.0, 25.0)], "over midnight: {text}");
        assert_eq!(incident.observed[0].severity.unwrap().get(), 0.3);
        assert_eq!(incident.observed[0].state, ObservedState::Degraded, "less than half of them");
        assert_eq!(incident.actions.len(), 1);
        assert_eq!(incident.duration.unwrap().get(), 21.0 * 60.0);
        assert!(text.contains("# +1800s everybody slept"), "{text}");
    }

    #[test]
    fn names_that_mean_something_to_yaml_and_hostile_texts_stay_texts() {
        let text = made("2026-11-20 14:00 cart down \"}] # {{x: y\n+30000000m x").unwrap_err();
        assert_eq!(text[0].code, Code::NotUnderstood, "an offset of years is no time");
        let text = made("2026-11-20 14:00 cart down \"}] # {{x: y\n").unwrap();
        let incident = read_back(&text);
        assert_eq!(incident.observed[0].source.as_deref(), Some("cart down \"}] # {{x: y"));
        assert_eq!(incident.breaks, ["cart"], "what failed first, where no line names a change");
    }

    #[test]
    fn a_timeline_that_says_nothing_is_refused() {
        let codes = |text: &str| made(text).unwrap_err()[0].code;
        assert_eq!(codes("somebody called\n"), Code::NotUnderstood);
        assert_eq!(codes("14:00 somebody called\n"), Code::NotUnderstood);
        assert_eq!(codes(""), Code::NotUnderstood);
        assert_eq!(codes("25:00 cart down\n"), Code::NotUnderstood);
        assert_eq!(codes(&"14:00 cart down\n".repeat(10_001)), Code::TooLarge);
    }
}
