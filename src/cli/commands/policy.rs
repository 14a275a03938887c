//! `blastwave policy`: prints the policy of the program, and tests policies.

use clap::{Args, Subcommand, ValueEnum};

use super::check::FIRST_LOOK;
use crate::cli::Failure;
use crate::cli::args::SamplingArgs;
use crate::cli::exit::Exit;
use crate::cli::output::{OutputError, ResultOutput};
use crate::cli::policies::{read_policies, read_waivers};
use crate::cli::run::Runner;
use crate::cli::terminal::Terminal;
use blastwave::analysis::{Check, Gate, Settings, Stop, judge_case};
use blastwave::diagnostic::{Diagnostic, Sources};
use blastwave::engine::Progress;
use blastwave::load;
use blastwave::policy::{self, CaseSuite, Policy, PolicyCase, Waiver};
use blastwave::project::{Cause, Project, ProjectError, Request};
use blastwave::render;
use blastwave::report::policy_test::{CaseReport, PolicyTestReport, SuiteReport};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print the policy that `check` applies where none is named
    Default,
    /// Run the tests of policies: inputs, the verdict expected, and the rules that must fire
    ///
    /// Each case is one `check`. Ends with status 1 where a case fails, and with 2 where a file is wrong: then no
    /// case is run.
    #[command(after_help = TEST_EXAMPLES)]
    Test(PolicyTestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyTestArgs {
    /// Files of cases: `version: 1`, `policy_test: NAME`, `policies`, `topology`, `cases`
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Write a report for people, or data for scripts
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: TestFormat,
    /// Write to a file, completely or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    Text,
    Json,
}

const TEST_EXAMPLES: &str = "\
Examples:
  blastwave policy test policies/tests.yaml
  blastwave policy test policies/*.test.yaml --format json -o tests.json";

/// Prints or tests.
pub(crate) fn run_policy(command: &PolicyCommand, terminal: Terminal) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Default => {
            terminal.write_result(policy::DEFAULT).map_err(OutputError::Stdout)?;
            Ok(Exit::Done)
        }
        PolicyCommand::Test(args) => run_tests(args, terminal),
    }
}

fn run_tests(args: &PolicyTestArgs, terminal: Terminal) -> Result<Exit, Failure> {
    if args.sampling.precision.is_some() {
        return Err(Failure::usage("every case is given the same number of trials")
            .help("say how many with `--trials`"));
    }
    if args.files.iter().filter(|file| *file == "-").count() > 1 {
        return Err(Failure::usage("standard input can be read only once"));
    }
    let output = ResultOutput::open(args.output.as_deref(), &args.files)?;
    let mut sources = Sources::default();
    // All cases are read before the first is run: a wrong file must not end a run halfway.
    let suites = read_suites(&args.files, &mut sources)
        .map_err(|diagnostics| Failure::Input { diagnostics, sources: sources.clone() })?;
    let runner =
        Runner { terminal, stop: Stop::Trials(args.sampling.trials.unwrap_or(FIRST_LOOK)) };
    let report = runner.run_analysis(&args.sampling, |progress| {
        let run = |suite: &Suite| suite.run_cases(&args.sampling, progress);
        let suites: Result<Vec<SuiteReport>, Vec<Diagnostic>> = suites.iter().map(run).collect();
        (suites, progress.is_cancelled())
    })?;
    let (suites, is_cancelled) = report;
    // A case that was cut short is neither passed nor failed.
    if is_cancelled {
        return Err(Failure::Interrupted { trials: 0 });
    }
    let suites = suites.map_err(|diagnostics| Failure::Input { diagnostics, sources })?;
    let report = PolicyTestReport::new(suites);
    let text = match args.format {
        TestFormat::Text => render::text::render_policy_test(&report),
        TestFormat::Json => render::json::render_policy_test(&report),
    };
    output.write_result(&text, terminal)?;
    Ok(if report.failed > 0 { Exit::Stop } else { Exit::Done })
}

/// A file of cases with everything that its cases name.
struct Suite {
    file: String,
    name: String,
    cases: Vec<ReadCase>,
}

/// A case with its inputs.
struct ReadCase {
    case: PolicyCase,
    project: Project,
    policy: Policy,
    is_default: bool,
    waivers: Vec<Waiver>,
}

fn read_suites(files: &[String], sources: &mut Sources) -> Result<Vec<Suite>, Vec<Diagnostic>> {
    let (mut suites, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match read_suite(file, sources) {
            Ok(suite) => suites.push(suite),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(suites) } else { Err(problems) }
}

fn read_suite(file: &str, sources: &mut Sources) -> Result<Suite, Vec<Diagnostic>> {
    let document = load::read_document(file, sources)?;
    let suite = CaseSuite::from_document(&document, sources)?;
    let policies: Vec<String> = suite.policies.iter().map(|policy| policy.path.clone()).collect();
    let waivers = suite.waivers.as_ref().map(|waivers| waivers.path.as_str());
    let (mut cases, mut problems) = (Vec::new(), Vec::new());
    for case in suite.cases {
        match read_case(case, &policies, waivers, sources) {
            Ok(case) => cases.push(case),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        return Ok(Suite { file: file.to_owned(), name: suite.name, cases });
    }
    // Cases share their files, and each problem of one is worth a single mention.
    let mut distinct: Vec<Diagnostic> = Vec::new();
    for problem in problems {
        let is_known = |known: &Diagnostic| {
            let text_of = |problem: &Diagnostic| {
                let place = problem.primary.as_ref().map(|label| label.place);
                let file = place.map(|place| sources.get(place.source).name.clone());
                (file, place.map(|place| place.start), problem.message.clone())
            };
            text_of(known) == text_of(&problem)
        };
        if !distinct.iter().any(is_known) {
            distinct.push(problem);
        }
    }
    Err(distinct)
}

fn read_case(
    case: PolicyCase,
    policies: &[String],
    waivers: Option<&str>,
    sources: &mut Sources,
) -> Result<ReadCase, Vec<Diagnostic>> {
    let cause = if !case.changes.is_empty() {
        Cause::Changes(case.changes.iter().map(|change| change.path.clone()).collect())
    } else if !case.breaks.is_empty() {
        Cause::Breaks(case.breaks.clone())
    } else {
        Cause::Nothing
    };
    let request = Request {
        topology: Some(case.topology.path.clone()),
        cause: Some(cause),
        ..Request::default()
    };
    let project = Project::read_request(&request, sources).map_err(|error| match error {
        ProjectError::Input(diagnostics) => diagnostics,
        error => vec![Diagnostic::error(
            blastwave::diagnostic::Code::Conflict,
            error.to_string(),
            case.topology.place,
        )],
    })?;
    let topology = &project.topology;
    let policy = read_policies(policies, topology, sources)?;
    let waivers = match waivers {
        Some(path) => read_waivers(path, Some(topology), sources)?,
        None => Vec::new(),
    };
    let (policy, is_default) = match policy {
        Some(policy) => (policy, false),
        None if project.change.is_steady() => (Policy::steady_state(sources), true),
        None => (Policy::default_policy(sources), true),
    };
    Ok(ReadCase { case, project, policy, is_default, waivers })
}

impl Suite {
    fn run_cases(
        &self,
        sampling: &SamplingArgs,
        progress: &dyn Progress,
    ) -> Result<SuiteReport, Vec<Diagnostic>> {
        let run = |case: &ReadCase| case.run(sampling, progress);
        let cases: Result<Vec<CaseReport>, Vec<Diagnostic>> = self.cases.iter().map(run).collect();
        Ok(SuiteReport { name: self.name.clone(), file: self.file.clone(), cases: cases? })
    }
}

impl ReadCase {
    /// Runs the check of the case, with the trials and draws that `check` itself would have.
    fn run(
        &self,
        sampling: &SamplingArgs,
        progress: &dyn Progress,
    ) -> Result<CaseReport, Vec<Diagnostic>> {
        let settings = Settings {
            seed: sampling.seed,
            stop: Stop::Trials(sampling.trials.unwrap_or(FIRST_LOOK)),
            is_certain: self.project.is_certain,
            engine: sampling.engine.library_choice(),
            ..Settings::default()
        };
        let Project { topology, change, changes, .. } = &self.project;
        let gate = Gate {
            policy: Some((&self.policy, self.is_default)),
            waivers: &self.waivers,
            now: self.case.now,
            changes,
            explains: false,
            ..Gate::default()
        };
        let verdict = Check::new(topology, change, &gate, &settings)?.verdict(progress);
        Ok(judge_case(&self.case, &verdict))
    }
}
