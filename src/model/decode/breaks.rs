//! Breaks that are asked for on the command line: `--break TARGET[:MODE]`.

use super::change::{breaks_domains, surge_factor};
use super::names::Names;
use super::read::{Field, Problems, in_backticks, report_repeats};
use crate::diagnostic::{Code, Diagnostic, Place, Source, SourceId, Sources};
use crate::load::{Node, Value};
use crate::model::change::{Change, Modes, Target, TargetRef};
use crate::model::topology::Topology;
use crate::model::units::Share;

/// Name of the argument in messages, where a file has its path.
const ARGUMENT: &str = "--break";

const MODES: [&str; 4] = ["down", "slow", "corrupt", "surge"];

impl Change {
    /// A change that breaks completely and with certainty, in a single moment, as each of `specs` says.
    ///
    /// A spec is a service, a service's endpoint or a failure domain, and perhaps how it breaks:
    /// `payments`, `storefront/checkout:slow`, `payments:surge:8`, `eu-west-1a`. Each becomes a
    /// source of its own, so that messages can show it.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn from_breaks(
        specs: &[String],
        topology: &Topology,
        sources: &mut Sources,
    ) -> Result<Self, Vec<Diagnostic>> {
        let problems = Problems::new();
        if specs.is_empty() {
            let problem = Diagnostic::file_error(Code::NoTargets, "nothing is to break");
            problems.push(problem.help("write for example `--break payments`"));
        }
        let names = Names::of_topology(topology);
        let parts: Vec<Spec> = specs.iter().map(|spec| Spec::new(spec, sources)).collect();
        let targets: Vec<Option<Target>> =
            parts.iter().map(|spec| decode_target(spec, &names, &problems)).collect();
        let mut known: Vec<(TargetRef, Field<'_>)> = targets
            .iter()
            .zip(&parts)
            .filter_map(|(target, spec)| Some((target.as_ref()?.on, spec.spec_field(&problems))))
            .collect();
        report_repeats(&mut known);
        let shown: Vec<&str> = specs.iter().map(|spec| spec.trim()).collect();
        let name = format!("break {}", shown.join(", "));
        let targets: Option<Vec<Target>> = targets.into_iter().collect();
        problems.into_result(targets.map(|targets| Self::from_targets(name, targets)))
    }
}

/// An argument in its parts, each with its place.
struct Spec {
    target: Node,
    mode: Option<Node>,
    factor: Option<Node>,
}

impl Spec {
    fn new(spec: &str, sources: &mut Sources) -> Self {
        let source = sources.add(Source { name: ARGUMENT.to_owned(), text: spec.to_owned() });
        let mut start = 0;
        // Names hold no colons, so the first one ends the target.
        let mut parts = spec.splitn(3, ':').map(|part| {
            let node = part_of(part, start, source);
            start += part.len() + 1;
            node
        });
        let target = parts.next().expect("splitting gives at least one part");
        Self { target, mode: parts.next(), factor: parts.next() }
    }

    fn spec_field<'a>(&'a self, problems: &'a Problems) -> Field<'a> {
        Field::standalone(&self.target, ARGUMENT, problems)
    }
}

fn part_of(part: &str, start: usize, source: SourceId) -> Node {
    let text = part.trim();
    let start = start + (part.len() - part.trim_start().len());
    let place = Place { source, start: start as u32, end: (start + text.len()) as u32 };
    Node { place, value: Value::Text(text.into()) }
}

fn decode_target(spec: &Spec, names: &Names<'_>, problems: &Problems) -> Option<Target> {
    let on = names.resolve_target(&spec.spec_field(problems));
    let modes = decode_modes(spec, problems);
    let (on, modes) = (on?, modes?);
    if let (TargetRef::Domain(_), Some(mode)) = (on, &spec.mode)
        // A domain has no instances that could answer wrongly.
        && !breaks_domains(&modes)
    {
        problems.push(
            Diagnostic::error(
                Code::Conflict,
                "a failure domain can only be down, or hang (`slow`)",
                mode.place,
            )
            .help("name the services in it to break them in another way"),
        );
    }
    Some(Target { modes, ..Target::down_with_certainty(on, spec.target.place) })
}

fn decode_modes(spec: &Spec, problems: &Problems) -> Option<Modes> {
    let none = Modes { down: Share::ZERO, ..Modes::default() };
    let Some(mode) = &spec.mode else { return Some(Modes::default()) };
    let field = Field::standalone(mode, "the failure mode", problems);
    let is_surge = field.is_word("surge");
    if let (Some(factor), false) = (&spec.factor, is_surge) {
        let problem = Diagnostic::error(
            Code::Conflict,
            "only a surge has a factor",
            // The place begins at the colon before the factor.
            Place { start: factor.place.start - 1, ..factor.place },
        );
        problems.push(problem.help("write for example `--break payments:surge:8`"));
        return None;
    }
    if is_surge {
        let surge_factor = decode_factor(mode, spec.factor.as_ref(), problems)?;
        return Some(Modes { surge: Share::ONE, surge_factor, ..none });
    }
    match field.str()? {
        "down" => Some(Modes::default()),
        "slow" => Some(Modes { slow: Share::ONE, ..none }),
        "corrupt" => Some(Modes { corrupt: Share::ONE, ..none }),
        other => {
            let message =
                format!("there is no failure mode `{other}`: it is {}", in_backticks(MODES, "or"));
            let problem = Diagnostic::error(Code::UnknownWord, message, mode.place);
            problems.push(problems.suggest_nearest(problem, other, MODES, || None));
            None
        }
    }
}

fn decode_factor(mode: &Node, factor: Option<&Node>, problems: &Problems) -> Option<f64> {
    let help = "calls are multiplied by it: write for example `--break payments:surge:8`";
    let Some(node) = factor else {
        let problem = Diagnostic::error(Code::MissingKey, "a surge needs its factor", mode.place);
        problems.push(problem.help(help));
        return None;
    };
    let Value::Text(text) = &node.value else { return None };
    let factor = surge_factor(text);
    if factor.is_none() {
        let message =
            format!("the factor of a surge is `{text}`, but must be a number from 1 to 1000000");
        problems.push(Diagnostic::error(Code::OutOfRange, message, node.place).help(help));
    }
    factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;

    const SHOP: &str = "version: 1\ntopology: shop\nfailure_domains: {zone-a: {}}\nservices:\n  \
                        cart: {endpoints: {add: {}}}\n  payments: {}\nflows: {buy: {steps: [cart]}}\n";

    fn read(specs: &[&str]) -> Result<Change, Vec<Diagnostic>> {
        let mut sources = Sources::default();
        let document =
            load::parse_document("shop", SHOP.as_bytes().to_vec(), &mut sources).unwrap();
        let topology = Topology::from_document(&document).unwrap();
        let specs: Vec<String> = specs.iter().map(ToString::to_string).collect();
        Change::from_breaks(&specs, &topology, &mut sources)
    }

    #[test]
    fn a_break_is_certain_and_whole() {
        let change = read(&["payments", "cart/add:slow", "zone-a:down"]).unwrap();
        assert_eq!(change.name, "break payments, cart/add:slow, zone-a:down");
        assert!(change.is_moment());
        assert!(change.targets.iter().all(|target| target.probability.is_one()));
        assert!(change.targets[1].modes.slow.is_one());
        assert_eq!(change.targets[1].place.end, 8);
    }

    #[test]
    fn a_surge_says_its_factor() {
        let change = read(&["payments:surge:2.5"]).unwrap();
        assert_eq!(change.targets[0].modes.surge_factor.to_string(), "2.5");
        let code = |spec: &str| read(&[spec]).unwrap_err()[0].code;
        assert_eq!(code("payments:surge"), Code::MissingKey);
        assert_eq!(code("payments:surge:0.5"), Code::OutOfRange);
        assert_eq!(code("payments:surge:inf"), Code::OutOfRange);
        assert_eq!(code("payments:slow:8"), Code::Conflict);
    }

    #[test]
    fn what_cannot_be_broken_is_refused() {
        let code = |spec: &str| read(&[spec]).unwrap_err()[0].code;
        assert_eq!(code("paymnts"), Code::UnknownService);
        assert_eq!(code("cart/remove"), Code::UnknownEndpoint);
        assert_eq!(code("payments:fast"), Code::UnknownWord);
        assert_eq!(code("zone-a:corrupt"), Code::Conflict);
        assert_eq!(code(""), Code::UnknownService);
        assert_eq!(read(&["payments", "payments:slow"]).unwrap_err()[0].code, Code::DuplicateName);
        assert_eq!(read(&[]).unwrap_err()[0].code, Code::NoTargets);
    }

    #[test]
    fn every_wrong_break_is_reported() {
        assert_eq!(read(&["paymnts", "payments:fast", "x:y"]).unwrap_err().len(), 4);
    }
}
