//! `blastwave check`: the gate.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use crate::cli::Failure;
use crate::cli::args::{CheckArgs, DetailArgs, FailOn, WriteArgs};
use crate::cli::exit::Exit;
use crate::cli::output::ResultOutput;
use crate::cli::policies::{self, AppliedPolicy};
use crate::cli::run::SimulationRequest;
use crate::cli::terminal::Terminal;
use crate::cli::values;
use crate::cli::{derived, git, limits};
use blastwave::analysis::{self, Check, Gate, MAX_TRIALS, Stop};
use blastwave::diagnostic::{Code, Diagnostic, Label, Place, Sources};
use blastwave::load;
use blastwave::model::Topology;
use blastwave::policy::expression::parse_timestamp;
use blastwave::render;
use blastwave::report::{self, PlaceReport, Report};
use blastwave::report::{Assumption, Decision};

/// After how many trials rules are first looked at, where nobody says: enough for what is clear.
pub(crate) const FIRST_LOOK: u64 = 1_000;

/// Arguments for the limits that the change must hold, and for what is known beside.
#[derive(Debug, Args)]
pub(crate) struct GateArgs {
    /// The policy: rules that stop the change or ask for a person [default: `blastwave policy default`]
    ///
    /// Limits of the command line add to it. Several: the organisation's first; later ones add rules and raise
    /// verdicts, but loosen nothing that is not `overridable`.
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    pub(crate) policy: Vec<String>,

    /// Waivers, which turn the stop of a rule into caution until they expire; needs `--now`
    ///
    /// Where the policy says `waivers_from: main`, they are read from that branch, and so is the policy.
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    pub(crate) waivers: Option<String>,

    /// Take the topology from a commit, not from the files at hand: `origin/main`
    ///
    /// A pull request that changes the topology then does not change what it is judged by. The report says so
    /// where the files at hand differ.
    #[arg(long, value_name = "REVISION", help_heading = "Policy")]
    pub(crate) topology_from: Option<String>,

    /// Take the policy from a commit, not from the file at hand: `origin/main`
    #[arg(long, value_name = "REVISION", help_heading = "Policy")]
    pub(crate) policy_from: Option<String>,

    /// Say what time it is, for rules over `now` and the age of sources: a day, a moment, or `clock`
    ///
    /// `2026-12-18`, `2026-12-18T16:00:00+01:00`. Without it a rule that asks for the time is undecided:
    /// results never depend on the clock unless `clock` is asked for.
    #[arg(long, value_name = "TIME", value_parser = moment_or_clock, help_heading = "Policy")]
    pub(crate) now: Option<f64>,

    /// Compare with an earlier result in JSON, for rules over `delta` and in reports
    #[arg(long, value_name = "RESULT", help_heading = "Policy")]
    pub(crate) baseline: Option<String>,

    /// How to take protections that are not stated
    ///
    /// `worst`: rules and limits see a service without `utilization` with no more headroom than its
    /// `needs` promises (the replicas it needs carry the normal load; without replicas, none), an
    /// unstated timeout as waiting for ever, an unstated fallback as none. `stated`: they see no limit of
    /// capacity, no timeout, no fallback. `best`: they see unstated timeouts as giving up and unstated
    /// fallbacks as static. What matters most of it is always reported.
    #[arg(long, value_name = "HOW", default_value = "worst", help_heading = "Policy")]
    pub(crate) unknown: UnknownArg,

    /// Ask for caution where a warning hides something: a key without effect, a service that no flow reaches,
    /// a flow without a rate, a dependency written twice
    #[arg(long, help_heading = "Policy")]
    pub(crate) strict: bool,

    /// Run at most this many trials for rules that are close to their limit [default: 200k]
    #[arg(long, value_name = "N", value_parser = values::parse_trials, help_heading = "Trials")]
    pub(crate) max_trials: Option<u64>,
}

/// Arguments for the output.
#[derive(Debug, Args)]
pub(crate) struct CheckOutputArgs {
    /// Write a report for people, data for scripts, or what a code host shows
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) format: CheckFormat,
    /// Link to a picture, or to a page about it, in the comment: where `diagram` or `--format html` was put
    #[arg(long, value_name = "URL", value_parser = parse_url, help_heading = "Output")]
    pub(crate) picture: Option<String>,
    #[command(flatten)]
    pub(crate) detail: DetailArgs,
    #[command(flatten)]
    pub(crate) to: WriteArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    Text,
    /// One line.
    Short,
    Json,
    /// A comment for a pull request; a hidden marker in it tells it from others.
    Markdown,
    /// SARIF 2.1.0, with places in the change and the topology.
    Sarif,
    /// `JUnit` XML: a test case for each rule and limit.
    Junit,
    /// Annotations of a GitHub workflow.
    Github,
    /// One file to open in a browser: pictures, tables, filters; fetches nothing.
    Html,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownArg {
    Worst,
    Stated,
    Best,
}

/// Simulates a change and gives a verdict.
pub(crate) fn run_check(args: &CheckArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let is_data = args.output.format == CheckFormat::Json;
    let wants_summary = args.output.detail.wants_summary(is_data)?;
    // What a commit provides must be in place before the first file is read.
    let (provided, of_topology) = topology_sources(args)?;
    let (inputs, derived) = derived::read_inputs(args, provided)?;
    let others = [&args.gate.waivers, &args.diff.changed_files, &args.gate.baseline];
    let others: Vec<String> =
        others.into_iter().flatten().chain(&args.gate.policy).cloned().collect();
    let output = args.output.to.output.as_deref();
    // Here only the other inputs are guarded; the topology and the change are when the request is
    // made.
    ResultOutput::open(output, &others)?;
    let mut question =
        SimulationRequest::with_output(inputs, &args.question, &args.sampling, output, terminal)?;
    // Rules that are clear after few trials need no more; the others get theirs from the gate.
    if args.sampling.trials.is_none() && args.sampling.precision.is_none() {
        question.settings.stop = Stop::Trials(FIRST_LOOK);
    }
    let inputs = &question.inputs;
    let limits = limits::read_limits(&args.limits, inputs)?;
    let spent = limits::spent_minutes(&args.limits, &inputs.topology)?;
    let AppliedPolicy { policy, is_default, waivers, sources, assumptions: of_policy } =
        policies::read_applied(&args.gate, &args.diff, inputs)?;
    let baseline = args.gate.baseline.as_deref();
    let baseline = baseline.map(|path| read_baseline(path, &inputs.topology)).transpose()?;
    // Only what hides something from the simulation: other warnings change nothing of the result.
    let is_hiding = |warning: &&Diagnostic| args.gate.strict && warning.code.hides_something();
    let warnings: Vec<Diagnostic> = inputs.warnings.iter().filter(is_hiding).cloned().collect();
    // Where no service is touched there is nothing that rules could be asked about.
    let is_asked = inputs.change.is_judged_by_rules(inputs.diff.as_ref());
    let gate = Gate {
        policy: Some((&policy, is_default)).filter(|_| is_asked),
        waivers: &waivers,
        limits: if is_asked { &limits } else { &[] },
        unknown: match args.gate.unknown {
            UnknownArg::Worst => Assumption::Worst,
            UnknownArg::Stated => Assumption::Stated,
            UnknownArg::Best => Assumption::Best,
        },
        now: args.gate.now,
        baseline: baseline.as_ref(),
        // Only the data hold them, for a later `--baseline`, and it takes time to find them.
        single_points: args.output.format == CheckFormat::Json,
        changes: &inputs.changes,
        diff: inputs.diff.as_ref(),
        spent: &spent,
        warnings: &warnings,
        // One line has no room for what decides.
        explains: args.output.format != CheckFormat::Short,
        max_trials: args.gate.max_trials.unwrap_or(MAX_TRIALS),
    };
    let check = match Check::new(&inputs.topology, &inputs.change, &gate, &question.settings) {
        Ok(check) => check,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    let mut report = question.run_simulation(&args.sampling, |progress| check.run(progress))?;
    if let Some(verdict) = &mut report.verdict {
        let place_report = |place| {
            let label = Label { place, text: String::new() };
            Some(PlaceReport::new(&label, &sources))
        };
        // A built-in policy is no file that anyone could look into.
        let rules = policy.rules.iter().filter(|_| !is_default);
        for (report, rule) in verdict.rules.iter_mut().zip(rules) {
            report.place = place_report(rule.when.place);
        }
        for (report, waiver) in verdict.waivers.iter_mut().zip(&waivers) {
            report.place = place_report(waiver.place);
        }
    }
    report.assumptions.extend(of_topology.into_iter().chain(of_policy).chain(derived));
    report.picture.clone_from(&args.output.picture);
    analysis::add_places(&mut report, &inputs.topology, &inputs.change, &inputs.sources);
    if wants_summary {
        report = report.into_summary();
    }
    question.write_text(&render_result(&report, &question, &args.output))?;
    Ok(if report.partial { Exit::Interrupted } else { exit_status(&report, args.limits.fail_on) })
}

/// The report in the form that was asked for.
fn render_result(report: &Report, question: &SimulationRequest, args: &CheckOutputArgs) -> String {
    match args.format {
        CheckFormat::Text => render::text::render_report(report, &question.text_style(&args.to)),
        CheckFormat::Short => render::text::render_short(report),
        CheckFormat::Json => render::json::render_report(report),
        CheckFormat::Markdown => render::markdown::render_comment(report),
        CheckFormat::Sarif => render::ci::sarif::render_sarif(report),
        CheckFormat::Junit => render::ci::junit::render_junit(report),
        CheckFormat::Github => render::ci::github::render_annotations(report),
        CheckFormat::Html => question.html_page(report),
    }
}

/// Returns the exit status of a verdict.
fn exit_status(report: &Report, fail_on: FailOn) -> Exit {
    let decision = report.verdict.as_ref().map(|verdict| verdict.decision);
    match decision.expect("a check gives a verdict") {
        Decision::Proceed => Exit::Done,
        // The pipeline goes on, but the report still says caution.
        Decision::Caution if fail_on == FailOn::Stop => Exit::Done,
        Decision::Caution => Exit::Caution,
        // A verdict that this program does not know is no leave to ship.
        Decision::Stop | _ => Exit::Stop,
    }
}

/// Returns the files of the topology as `--topology-from` has them, and what the report says of that.
fn topology_sources(args: &CheckArgs) -> Result<(Sources, Option<String>), Failure> {
    let mut sources = Sources::default();
    let path = args.question.topology_and_breaks().map(|(path, _)| path);
    let (Some(revision), Some(path)) = (&args.gate.topology_from, path) else {
        return Ok((sources, None));
    };
    let flag = "--topology-from";
    refuse_folder(flag, path)?;
    let mut said = provide(&mut sources, path, flag, revision)?;
    provide_parts(&mut sources, path, flag, revision)?;
    // A scenario names its topology, and is itself what decides which one.
    let mut seen = sources.clone();
    match blastwave::project::topology_of_scenario(path, &mut seen) {
        Ok(None) => {}
        Ok(Some(file)) => {
            refuse_folder(flag, &file)?;
            said = provide(&mut sources, &file, flag, revision)?;
            provide_parts(&mut sources, &file, flag, revision)?;
        }
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources: seen }),
    }
    Ok((sources, Some(said)))
}

/// Refuses a folder where a file of a commit is asked for: only a file says which others belong to it.
pub(crate) fn refuse_folder(flag: &str, path: &str) -> Result<(), Failure> {
    if !std::path::Path::new(path).is_dir() {
        return Ok(());
    }
    Err(Failure::usage(format!("`{flag}` needs a file, but `{path}` is a folder"))
        .help("name its `topology.yaml`, with `include: ['**/*.yaml']` in it"))
}

/// Has the parts of a topology read as a commit has them.
fn provide_parts(
    sources: &mut Sources,
    path: &str,
    flag: &str,
    revision: &str,
) -> Result<(), Failure> {
    let (_, commit) = git::file_at(flag, revision, path)?;
    git::provide_parts(sources, &commit, path)
}

/// Has a file read as a commit has it; returns a sentence that says so.
pub(crate) fn provide(
    sources: &mut Sources,
    path: &str,
    flag: &str,
    revision: &str,
) -> Result<String, Failure> {
    // Standard input is in no commit.
    if path == "-" {
        return Err(Failure::usage(format!("`{flag}` needs a file that git knows, not `-`")));
    }
    let (bytes, commit) = git::file_at(flag, revision, path)?;
    // A file that is gone or unreadable at hand is judged as the commit has it all the same.
    let is_changed = load::read_bytes(path).is_ok_and(|here| here != bytes);
    let short: String = commit.chars().take(7).collect();
    let rest = if is_changed { "; the file at hand differs, and is not judged" } else { "" };
    sources.provide(path, bytes);
    Ok(format!("{path} is that of {revision} ({short}){rest}"))
}

/// An earlier result; one that is none, or of another topology, cannot be compared with.
fn read_baseline(path: &str, topology: &Topology) -> Result<Report, Failure> {
    let mut sources = Sources::default();
    let fail = |diagnostics, sources| Failure::Input { diagnostics, sources };
    let source = match load::read_text(path, &mut sources) {
        Ok(source) => source,
        Err(diagnostics) => return Err(fail(diagnostics, sources)),
    };
    let text = &sources.get(source).text;
    // The kind is read first: of another kind of data, a missing field would be a puzzling
    // complaint.
    let kind: Result<ResultKind, _> = serde_json::from_str(text);
    let wrong = match kind {
        Err(error) => Err(not_a_result(&error, text, source)),
        Ok(ResultKind { schema: Some(schema) }) if schema != report::SCHEMA => {
            let message = format!("`{path}` is `{schema}`, not `{}`", report::SCHEMA);
            Err(Diagnostic::file_error(Code::WrongKind, message))
        }
        Ok(_) => serde_json::from_str(text).map_err(|error| not_a_result(&error, text, source)),
    };
    let report: Report = match wrong {
        Ok(report) => report,
        Err(problem) => {
            let help = "make one with `blastwave check .. --format json -o RESULT`";
            return Err(fail(vec![problem.help(help)], sources));
        }
    };
    // A difference between two topologies would be blamed on the change.
    if report.topology != topology.name {
        let message = format!(
            "the baseline `{path}` is of topology `{}`, not of `{}`",
            report.topology, topology.name
        );
        let problem = Diagnostic::file_error(Code::Conflict, message)
            .help("compare with a result of the same topology");
        return Err(fail(vec![problem], sources));
    }
    Ok(report)
}

/// Marker that tells a result from other data.
#[derive(serde::Deserialize)]
struct ResultKind {
    schema: Option<String>,
}

fn not_a_result(
    error: &serde_json::Error,
    text: &str,
    source: blastwave::diagnostic::SourceId,
) -> Diagnostic {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let start = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
    // The parser may point behind the end, and at any byte of a character.
    let mut start = start.min(text.len().saturating_sub(1));
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    let place = Place { source, start: start as u32, end: end as u32 };
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or(&said);
    Diagnostic::error(Code::WrongKind, format!("this is not a result: {said}"), place)
}

/// An address of the web, or a path from where the comment stands.
fn parse_url(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '\\' | '`');
    // Without a scheme it is a path; a scheme other than the web could run something when clicked.
    let has_scheme = text.split(['/', '?', '#']).next().is_some_and(|text| text.contains(':'));
    let is_web = ["https://", "http://"].iter().any(|item| text.starts_with(item));
    if text.is_empty() || !text.chars().all(is_plain) || (has_scheme && !is_web) {
        return Err("not a link; write for example `https://ci.example/runs/7/cascade.svg`, with \
                    `%20` for a blank"
            .to_owned());
    }
    Ok(text.to_owned())
}

/// A day, a moment, or `clock`, in seconds since 1970.
pub(crate) fn moment_or_clock(text: &str) -> Result<f64, String> {
    if text == "clock" {
        #[expect(
            clippy::disallowed_methods,
            reason = "the only time that is asked of the machine, and only when told to"
        )]
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        // In whole seconds, as times are written in files.
        return Ok(since.map_or(0.0, |since| since.as_secs_f64().floor()));
    }
    parse_timestamp(text).ok_or_else(|| {
        "not a time; write for example `2026-12-18`, `2026-12-18T16:00:00+01:00`, or `clock`"
            .to_owned()
    })
}
