//! `blastwave review`: what a topology that changes loses and gains.

use clap::{Args, ValueEnum};

use super::check::{FIRST_LOOK, moment_or_clock, provide, refuse_folder};
use crate::cli::args::{EnvironmentArgs, SamplingArgs, WriteArgs};
use crate::cli::exit::Exit;
use crate::cli::output::ResultOutput;
use crate::cli::policies::{read_policies, read_waivers};
use crate::cli::run::Runner;
use crate::cli::terminal::Terminal;
use crate::cli::{Failure, git, inputs};
use blastwave::analysis::rank::origin_count;
use blastwave::analysis::{ReviewRequest, Settings, Stop, review_topologies};
use blastwave::diagnostic::Sources;
use blastwave::load;
use blastwave::model::{Kind, Topology};
use blastwave::policy::Policy;
use blastwave::render;
use blastwave::report::{Decision, OriginKind, ReviewReport};

/// How many trials each single break is given where nobody says.
const TRIALS: u64 = 1000;

#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    /// The topology as it was and as it shall be, or only one with `--git-range`; scenarios stand for theirs
    #[arg(value_name = "TOPOLOGY", required = true, num_args = 1..=2)]
    topologies: Vec<String>,
    /// Take both states of one topology from the commits of a range: `origin/main...HEAD`
    #[arg(long, value_name = "A..B")]
    git_range: Option<String>,
    /// The policy that gives the verdict, with rules over `delta` [default: one of the program]; can be repeated
    ///
    /// The organisation's first; later ones add rules and raise verdicts.
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    policy: Vec<String>,
    /// Take the policy from a commit, not from the file at hand: `origin/main`
    #[arg(long, value_name = "REVISION", help_heading = "Policy", requires = "policy")]
    policy_from: Option<String>,
    /// Waivers of rules; a waiver of a review has `changes: [nothing]` as its scope
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    waivers: Option<String>,
    /// Say what time it is, for rules over `now` and for waivers: a day, a moment, or `clock`
    #[arg(long, value_name = "TIME", value_parser = moment_or_clock, help_heading = "Policy")]
    now: Option<f64>,
    #[command(flatten)]
    environment: EnvironmentArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Write a report for people, data for scripts, or a comment for a pull request
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: ReviewFormat,
    #[command(flatten)]
    to: WriteArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReviewFormat {
    Text,
    Json,
    Markdown,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  What does the new topology lose?
    blastwave review shop.yaml shop-new.yaml
  A pull request that changes the topology:
    blastwave review shop.yaml --git-range origin/main...HEAD --format markdown -o comment.md
  The review of an incident is another command:
    blastwave diagram --incident friday.yaml -o review.md";

/// One state of the topology.
struct State {
    topology: Topology,
    /// Where it was read.
    name: String,
    sources: Sources,
    files: Vec<String>,
}

/// Reviews.
pub(crate) fn run_review(args: &ReviewArgs, terminal: Terminal) -> Result<Exit, Failure> {
    if args.sampling.precision.is_some() {
        return Err(Failure::usage("every single break is given the same number of trials")
            .help("say how many with `--trials`"));
    }
    let [before, after] = read_states(args)?;
    let mut files = [before.files.clone(), after.files.clone(), args.policy.clone()].concat();
    files.extend(args.waivers.clone());
    let output = ResultOutput::open(args.to.output.as_deref(), &files)?;
    let mut sources = Sources::default();
    if let Some(revision) = &args.policy_from {
        for path in &args.policy {
            provide(&mut sources, path, "--policy-from", revision)?;
        }
    }
    let read = read_policies(&args.policy, &after.topology, &mut sources).and_then(|policy| {
        let waivers = args.waivers.as_deref();
        let waivers = waivers
            .map(|path| read_waivers(path, Some(&after.topology), &mut sources))
            .transpose()?;
        Ok((policy, waivers.unwrap_or_default()))
    });
    let (policy, waivers) =
        read.map_err(|diagnostics| Failure::Input { diagnostics, sources: sources.clone() })?;
    let is_default = policy.is_none();
    let policy = policy.unwrap_or_else(|| Policy::topology_review(&mut sources));
    let trials = args.sampling.trials.unwrap_or(TRIALS);
    let settings = Settings {
        seed: args.sampling.seed,
        stop: Stop::Trials(trials),
        is_certain: true,
        engine: args.sampling.engine.library_choice(),
        ..Settings::default()
    };
    let request = ReviewRequest {
        before: (&before.topology, &before.name),
        after: (&after.topology, &after.name),
        sources: &after.sources,
        policy: (&policy, is_default),
        waivers: &waivers,
        now: args.now,
        first_look: FIRST_LOOK,
    };
    let count = |topology: &Topology| {
        origin_count(topology, OriginKind::Service) + origin_count(topology, OriginKind::Domain)
    };
    let breaks = (count(&before.topology) + count(&after.topology)) as u64;
    let runner = Runner { terminal, stop: Stop::Trials(trials.saturating_mul(breaks)) };
    let report = runner
        .run_analysis(&args.sampling, |progress| review_topologies(&request, &settings, progress))?
        .map_err(|diagnostics| Failure::Input { diagnostics, sources })?;
    let exit = args.sampling.exit_status(report.partial, report.trials)?;
    let text = match args.format {
        ReviewFormat::Text => {
            render::text::render_topology_review(&report, &output.text_style(&args.to, terminal))
        }
        ReviewFormat::Json => render::json::render_topology_review(&report),
        ReviewFormat::Markdown => render::markdown::render_topology_review(&report),
    };
    output.write_result(&text, terminal)?;
    Ok(if exit == Exit::Done { exit_status(&report) } else { exit })
}

/// Returns the exit status of a verdict.
fn exit_status(report: &ReviewReport) -> Exit {
    match report.verdict.as_ref().map(|verdict| verdict.decision) {
        Some(Decision::Proceed) => Exit::Done,
        Some(Decision::Caution) => Exit::Caution,
        // A verdict that is missing, or unknown to this program, is no leave to ship.
        Some(_) | None => Exit::Stop,
    }
}

/// Reads both states: from two files, or from the commits of a range.
fn read_states(args: &ReviewArgs) -> Result<[State; 2], Failure> {
    match (args.topologies.as_slice(), &args.git_range) {
        ([before, after], None) => {
            if before == "-" && after == "-" {
                return Err(Failure::usage("standard input can be read only once"));
            }
            Ok([
                read_state(before, None, &args.environment)?,
                read_state(after, None, &args.environment)?,
            ])
        }
        ([path], Some(range)) => {
            let (from, to) = git::commits_of_range(range)?;
            Ok([
                read_state(path, Some(&from), &args.environment)?,
                read_state(path, Some(&to), &args.environment)?,
            ])
        }
        ([path], None) => Err(lonely_file(path)),
        _ => Err(Failure::usage("`--git-range` takes both states of one topology from git")
            .help("name one topology, or leave out `--git-range`")),
    }
}

/// Says what to do with a single file: an incident has a review of its own.
fn lonely_file(path: &str) -> Failure {
    let document = load::read_document(path, &mut Sources::default()).ok();
    let kind = document.and_then(|document| Kind::of_document(&document));
    if kind == Some(Kind::Incident) {
        return Failure::usage(format!("`{path}` is an incident, not a topology")).help(format!(
            "the review of an incident: `blastwave diagram --incident {path} -o review.md`"
        ));
    }
    Failure::usage("a review needs two states of a topology")
        .help("name a second one, or say `--git-range origin/main...HEAD`")
}

/// Reads one state, from the file at hand or from a commit.
fn read_state(
    path: &str,
    commit: Option<&str>,
    environment: &EnvironmentArgs,
) -> Result<State, Failure> {
    let mut sources = Sources::default();
    let mut name = path.to_owned();
    if let Some(commit) = commit {
        if path == "-" {
            return Err(Failure::usage("`--git-range` needs a file that git knows, not `-`"));
        }
        refuse_folder("--git-range", path)?;
        name = format!("{path} in {}", &commit[..commit.len().min(7)]);
        provide_from_commit(&mut sources, commit, path)?;
        git::provide_parts(&mut sources, commit, path)?;
        // A scenario names its topology, which is taken from the same commit.
        let mut seen = sources.clone();
        match blastwave::project::topology_of_scenario(path, &mut seen) {
            Ok(None) => {}
            Ok(Some(file)) => {
                provide_from_commit(&mut sources, commit, &file)?;
                git::provide_parts(&mut sources, commit, &file)?;
            }
            Err(diagnostics) => return Err(Failure::Input { diagnostics, sources: seen }),
        }
    }
    let (topology, files, sources) =
        inputs::read_topology_with_sources(path, environment, sources)?;
    Ok(State { topology, name, sources, files })
}

fn provide_from_commit(sources: &mut Sources, commit: &str, path: &str) -> Result<(), Failure> {
    let short = &commit[..commit.len().min(7)];
    let bytes = git::file_in_commit(commit, path)?.ok_or_else(|| {
        Failure::usage(format!("git finds no `{path}` in `{short}`"))
            .help("a topology that is new has nothing to be compared with; use `blastwave rank`")
    })?;
    sources.provide(path, bytes);
    Ok(())
}
