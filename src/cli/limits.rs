//! The limits of `check`, against the flows that there are.

use super::Failure;
use super::args::LimitArgs;
use super::inputs::Inputs;
use super::values::FlowLimit;
use blastwave::analysis::{Limit, Measure};
use blastwave::diagnostic::{Code, Diagnostic, Place, Source, Sources};
use blastwave::model::Topology;
use blastwave::project::Project;
use blastwave::suggest;

/// The limits, or all that is wrong with them.
pub(crate) fn read_limits(args: &LimitArgs, inputs: &Inputs) -> Result<Vec<Limit>, Failure> {
    let mut reader = LimitReader {
        inputs,
        sources: Sources::default(),
        limits: Vec::new(),
        problems: Vec::new(),
    };
    for limit in &args.max_failed {
        reader.add_limit("--max-failed", limit, Measure::Failed);
    }
    for limit in &args.max_lost {
        reader.add_limit("--max-lost", limit, Measure::Lost);
    }
    let LimitReader { sources, limits, problems, .. } = reader;
    if problems.is_empty() {
        return Ok(limits);
    }
    Err(Failure::Input { diagnostics: problems, sources })
}

/// Returns, by flow, the outage minutes that are spent of its error budget; empty where none are.
pub(crate) fn spent_minutes(args: &LimitArgs, topology: &Topology) -> Result<Vec<f64>, Failure> {
    // Empty where nothing is spent, so that results say nothing of budgets.
    let mut minutes = vec![0.0; if args.spent.is_empty() { 0 } else { topology.flows.len() }];
    let (mut sources, mut problems) = (Sources::default(), Vec::new());
    for spent in &args.spent {
        if let Some(flow) = topology.flows.iter().position(|flow| flow.name == spent.flow) {
            // Two values for one flow add up, as two outages do.
            minutes[flow] += spent.outage.get() / 60.0;
        } else {
            let place = flow_place("--spent", &spent.text, &spent.flow, &mut sources);
            problems.push(unknown_flow(&spent.flow, topology, place));
        }
    }
    if problems.is_empty() {
        return Ok(minutes);
    }
    Err(Failure::Input { diagnostics: problems, sources })
}

/// Returns the place of the name of a flow in the value of a flag.
fn flow_place(flag: &str, text: &str, flow: &str, sources: &mut Sources) -> Place {
    let source = sources.add(Source { name: flag.to_owned(), text: text.to_owned() });
    let start = text.find(flow).unwrap_or(0) as u32;
    Place { source, start, end: start + flow.len() as u32 }
}

struct LimitReader<'a> {
    inputs: &'a Inputs,
    sources: Sources,
    limits: Vec<Limit>,
    problems: Vec<Diagnostic>,
}

impl LimitReader<'_> {
    fn add_limit(&mut self, flag: &str, limit: &FlowLimit, measure: Measure) {
        let topology = &self.inputs.topology;
        let found = topology.flows.iter().position(|flow| flow.name == limit.flow);
        let place = flow_place(flag, &limit.text, &limit.flow, &mut self.sources);
        let problem = match found {
            None => Some(unknown_flow(&limit.flow, topology, place)),
            Some(flow) if measure == Measure::Lost => self.uncounted_flow(flow, place),
            Some(_) => None,
        };
        match (problem, found) {
            (Some(problem), _) => self.problems.push(problem),
            (None, Some(flow)) => {
                let flow = flow as u32;
                self.limits.push(Limit { flow, measure, at_most: limit.at_most });
            }
            (None, None) => unreachable!("an unknown flow is a problem"),
        }
    }

    /// Why the orders of a flow are not counted, if they are not: such a limit would never be
    /// exceeded, and a gate that cannot close is none.
    fn uncounted_flow(&self, flow: usize, place: Place) -> Option<Diagnostic> {
        let Project { topology, change, .. } = &self.inputs.project;
        let flow = &topology.flows[flow];
        let problem = |message: String, help: &str| {
            Some(Diagnostic::error(Code::Conflict, message, place).help(help))
        };
        if change.is_moment() {
            let message =
                format!("`{}` is a single moment, in which no orders are counted", change.name);
            return problem(message, "limit how likely the flow fails instead: `--max-failed`");
        }
        if flow.rate.is_none() {
            let message =
                format!("flow `{}` has no rate, so its orders are not counted", flow.name);
            return problem(message, "give it one in the topology: `rate: 1200/min`");
        }
        None
    }
}

fn unknown_flow(name: &str, topology: &Topology, place: Place) -> Diagnostic {
    let names = || topology.flows.iter().map(|flow| flow.name.as_str());
    let problem = Diagnostic::error(Code::UnknownFlow, format!("there is no flow `{name}`"), place)
        .label("no flow of this name");
    if let Some(nearest) = suggest::nearest(name, names()) {
        return problem.help(format!("did you mean `{nearest}`?")).replace_with(nearest);
    }
    let known: Vec<String> = names().take(10).map(|name| format!("`{name}`")).collect();
    let more = if topology.flows.len() > known.len() { ", …" } else { "" };
    match known.as_slice() {
        [] => problem.help("the topology defines no flows"),
        known => problem.help(format!("the flows are {}{more}", known.join(", "))),
    }
}
