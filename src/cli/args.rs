//! Command line of the program. First lines are imperative and short; every command ends with
//! examples.

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::Failure;
use super::commands::check::{CheckOutputArgs, GateArgs};
use super::derived::PlanArgs;
use super::diff::DiffArgs;
use super::exit::Exit;
use super::values::{self, FlowLimit, FlowSpent};
use blastwave::engine::Choice;
use blastwave::engine::simd::InstructionSet;
use blastwave::model::{Seconds, Share};

/// Simulate what fails, for how long and at what cost when a planned change breaks
///
/// A topology says which services call which, and which order flows run over them. A change says
/// what is about to be shipped, and how it may break. Blastwave simulates many rollouts in
/// which the change breaks, and counts what fails.
#[derive(Debug, Parser)]
#[command(
    name = "blastwave",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = TOP_EXAMPLES,
    after_long_help = with_exit_statuses(TOP_EXAMPLES)
)]
pub(crate) struct Cli {
    /// Command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How to speak.
    #[command(flatten)]
    pub(crate) console: ConsoleArgs,
    /// How much the run may take.
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulate a change and say whether to ship it
    #[command(
        override_usage = "blastwave check TOPOLOGY (--change FILE... | --changed-files FILE | --git-range A..B | --plan FILE | --manifests OLD NEW | --break TARGET[:MODE]...) [--policy FILE] [LIMITS] [OPTIONS]",
        after_help = CHECK_EXAMPLES,
        after_long_help = with_exit_statuses(CHECK_EXAMPLES)
    )]
    Check(Box<CheckArgs>),
    /// Simulate a change and report the numbers
    ///
    /// Without a change the steady state is simulated: how available each flow is.
    #[command(
        override_usage = "blastwave simulate TOPOLOGY [--change FILE | --break TARGET[:MODE]...] [OPTIONS]",
        after_help = SIMULATE_EXAMPLES,
        after_long_help = with_exit_statuses(SIMULATE_EXAMPLES)
    )]
    Simulate(SimulateArgs),
    /// Say why flows fail: smallest sets of failures, importance, ways, protections, unknowns
    ///
    /// Without a change, it shows background failures, and the smallest sets of failures that would fail
    /// a flow, however unlikely they are.
    #[command(
        override_usage = "blastwave explain TOPOLOGY [--change FILE | --break TARGET[:MODE]...] [OPTIONS]",
        after_help = super::commands::explain::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::explain::EXAMPLES)
    )]
    Explain(super::commands::explain::ExplainArgs),
    /// Draw what fails, in what order, when, and what it costs
    ///
    /// A picture for an incident review or a change request, made of a simulation: as SVG or PNG, or
    /// as text for Graphviz, Mermaid or a spreadsheet.
    #[command(
        override_usage = "blastwave diagram TOPOLOGY (--change FILE | --break TARGET[:MODE]...) [-o FILE] [OPTIONS]",
        after_help = super::commands::diagram::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::diagram::EXAMPLES)
    )]
    Diagram(super::commands::diagram::DiagramArgs),
    /// Make a topology from what you already have
    ///
    /// Reads Compose files, Kubernetes manifests, catalogs, traces, metrics, drawings and tables. Every
    /// dependency says how it is known. Merges several sources, and an existing topology, into one.
    #[command(
        override_usage = "blastwave import FORMAT FILE... [-o TOPOLOGY] [OPTIONS]",
        after_help = super::commands::import::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::import::EXAMPLES)
    )]
    Import(super::commands::import::ImportArgs),
    /// Make a change file from a plan, from manifests, a rollout or flags
    ///
    /// Each changed resource is matched with the services of a topology: by their `resources`, else by its
    /// name. The comments of the file say why each line is there. What belongs to no service stands under
    /// `unmatched`, and asks for caution: nobody knows what it breaks.
    #[command(
        override_usage = "blastwave change FORMAT FILE... --topology TOPOLOGY [-o FILE] [OPTIONS]",
        after_help = super::commands::change::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::change::EXAMPLES)
    )]
    Change(super::commands::change::ChangeArgs),
    /// Take figures of a topology from your own record of changes and incidents
    ///
    /// How often changes of each service fail, how fast that is noticed and taken back, how available services
    /// are and for how long they are down: each with its 95% interval and the rows that stand behind it. What too
    /// few rows say stays at its published default. With `-o`, the figures are written into the topology, and
    /// all else in it stays as it is.
    #[command(
        override_usage = "blastwave calibrate TOPOLOGY --from FORMAT FILE... [-o FILE] [OPTIONS]",
        after_help = super::commands::calibrate::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::calibrate::EXAMPLES)
    )]
    Calibrate(super::commands::calibrate::CalibrateArgs),
    /// Begin in a repository: topology, a first change, and the job that checks
    ///
    /// Imports what the repository holds, says what it found, and writes the files that a first check
    /// needs, with their schemas for editors.
    #[command(
        after_help = super::commands::init::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::init::EXAMPLES)
    )]
    Init(super::commands::init::InitArgs),
    /// Say where a topology and what really runs differ
    ///
    /// Imports the sources and compares both ways: what the topology does not have, what the sources
    /// do not have, and figures that have moved. Ends with status 3 where they differ.
    #[command(
        override_usage = "blastwave drift TOPOLOGY --from FORMAT FILE... [OPTIONS]",
        after_help = super::commands::drift::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::drift::EXAMPLES)
    )]
    Drift(super::commands::drift::DriftArgs),
    /// Fail every service, one at a time, and rank them by their impact
    ///
    /// Fails each service (or endpoint, failure domain or dependency) on its own, with certainty and at
    /// full severity. Failures that would have occurred anyway are not attributed to it. One that fails a
    /// flow in every trial is a single point of failure.
    #[command(
        after_help = super::commands::rank::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::rank::EXAMPLES)
    )]
    Rank(super::commands::rank::RankArgs),
    /// Try protections, and order them by what they save
    ///
    /// Simulates them one at a time, then together, with the same random draws. Savings that cannot be
    /// distinguished from noise are not recommended.
    #[command(
        override_usage = "blastwave advise TOPOLOGY (--change FILE | --break TARGET[:MODE]...) [OPTIONS]",
        after_help = super::commands::advise::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::advise::EXAMPLES)
    )]
    Advise(super::commands::advise::AdviseArgs),
    /// Review a topology that changes: what it loses and gains
    ///
    /// Fails every service and every failure domain of both states, one at a time. Reports single points of
    /// failure gained and lost, flows that are weaker or stronger, their outage in 90 days, and new dependencies
    /// without protection. The policy gives the verdict and the exit status, by rules over `delta`.
    #[command(
        override_usage = "blastwave review OLD NEW [--policy FILE] [OPTIONS]\n       blastwave review TOPOLOGY --git-range A..B [--policy FILE] [OPTIONS]",
        after_help = super::commands::topology_review::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::topology_review::EXAMPLES)
    )]
    Review(super::commands::topology_review::ReviewArgs),
    /// Compare architectures, or plans, under the same trials
    ///
    /// Simulates the same trials on every topology, or with every change, so that only their
    /// differences show.
    #[command(
        override_usage = "blastwave compare TOPOLOGY TOPOLOGY... (--change FILE | --break TARGET[:MODE]...) [OPTIONS]\n       blastwave compare TOPOLOGY --changes FILE FILE... [OPTIONS]",
        after_help = super::commands::compare::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::compare::EXAMPLES)
    )]
    Compare(super::commands::compare::CompareArgs),
    /// Say what may have broken, given what is seen to fail
    ///
    /// Simulates every component failing in every mode and ranks them by how well the result matches the
    /// observations. Also suggests which observation would best discriminate between the remaining
    /// candidates.
    #[command(
        override_usage = "blastwave diagnose TOPOLOGY --observed FILE [OPTIONS]\n       blastwave diagnose --incident FILE [OPTIONS]\n       blastwave diagnose --score FILE... [OPTIONS]",
        after_help = super::commands::diagnose::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::diagnose::EXAMPLES)
    )]
    Diagnose(super::commands::diagnose::DiagnoseArgs),
    /// Simulate incidents that happened, and compare with what was seen
    #[command(
        after_help = super::commands::replay::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::replay::EXAMPLES)
    )]
    Replay(super::commands::replay::ReplayArgs),
    /// Make incident files, for `replay` and reviews
    #[command(
        after_help = super::commands::incident::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::incident::EXAMPLES)
    )]
    Incident {
        /// Command to run
        #[command(subcommand)]
        command: super::commands::incident::IncidentCommand,
    },
    /// Read files and print every problem in them
    ///
    /// Recognises topologies, changes, policies and scenarios. Checks changes and policies against the
    /// one topology among the files, and scenarios against the files that they name.
    #[command(
        after_help = VALIDATE_EXAMPLES,
        after_long_help = with_exit_statuses(VALIDATE_EXAMPLES)
    )]
    Validate(ValidateArgs),
    /// Show what a topology holds: services, who calls whom, and the flows over them
    ///
    /// Nothing is simulated. What a topology does not state is left out.
    #[command(
        after_help = super::commands::show::EXAMPLES,
        after_long_help = with_exit_statuses(super::commands::show::EXAMPLES)
    )]
    Show(super::commands::show::ShowArgs),
    /// Print the JSON Schema of a kind of file, or of the result
    ///
    /// Editors that know YAML schemas complete keys and show what they mean. Put the schema beside
    /// the file and `# yaml-language-server: $schema=topology.schema.json` on its first line.
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema {
        /// Kind of file to describe
        #[arg(value_name = "WHAT")]
        what: SchemaOf,
    },
    /// Print the policy that `check` applies where none is named, or test policies
    #[command(after_help = POLICY_EXAMPLES)]
    Policy {
        /// Command to run
        #[command(subcommand)]
        command: super::commands::policy::PolicyCommand,
    },
    /// Answer coding agents: a server of the Model Context Protocol
    ///
    /// Speaks JSON on standard input and output until the client closes them. Reads only below `--root`, by
    /// default the current folder; writes nothing; opens no connection. `--timeout` and `--max-memory` bound
    /// each call, by default to 50 s and 1GB, and what exceeds them ends the call and not the server.
    #[cfg(feature = "mcp")]
    #[command(
        after_help = super::mcp::EXAMPLES,
        after_long_help = with_exit_statuses(super::mcp::EXAMPLES)
    )]
    Mcp(super::mcp::McpArgs),
    /// Print the completions of a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Which shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print a manual page
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// Of which command; of the program when absent
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) question: QuestionArgs,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Replay one trial step by step instead, in words
    #[arg(
        long,
        value_name = "N",
        help_heading = "Trials",
        conflicts_with_all = ["trials", "precision", "partial"]
    )]
    pub(crate) trial: Option<u64>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) question: QuestionArgs,
    #[command(flatten)]
    pub(crate) diff: DiffArgs,
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    #[command(flatten)]
    pub(crate) gate: GateArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    #[command(flatten)]
    pub(crate) output: CheckOutputArgs,
}

/// Arguments for the topology and for what breaks.
#[derive(Clone, Debug, Args)]
pub(crate) struct QuestionArgs {
    /// The topology, a folder of its parts, or a scenario that names a topology and a change; `-` is standard input
    // It may have been taken for a further value of `--break`: see `topology`.
    #[arg(value_name = "TOPOLOGY")]
    topology: Option<String>,

    /// The planned change that breaks; `-` is standard input
    ///
    /// Several, each with its own `--change` or named by a scenario, are shipped in one window: all of
    /// them break.
    #[arg(long, value_name = "FILE", help_heading = "What breaks", conflicts_with = "breaks")]
    pub(crate) change: Vec<String>,

    /// Services, endpoints or failure domains that break completely, at once and with certainty
    ///
    /// `payments`, `storefront/checkout:slow`, `eu-west-1a`. Modes are `down` (fails fast; the
    /// default), `slow` (hangs), `corrupt` (wrong answers) and `surge:FACTOR` (calls what it needs so
    /// many times as often).
    #[arg(
        long = "break",
        value_name = "TARGET[:MODE]",
        num_args = 1..,
        help_heading = "What breaks"
    )]
    breaks: Vec<String>,

    #[command(flatten)]
    moment: MomentArgs,

    #[command(flatten)]
    environment: EnvironmentArgs,
}

/// Which environment of the topology is meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EnvironmentArgs {
    /// Take the topology as it is in this environment, which its `environments` define
    #[arg(long, value_name = "NAME", help_heading = "Topology")]
    pub(crate) env: Option<String>,
}

impl QuestionArgs {
    /// The environment that is asked for.
    pub(crate) fn environment(&self) -> Option<&str> {
        self.environment.env.as_deref()
    }

    /// For how long the break has lasted.
    pub(crate) fn lasting_time(&self) -> Option<Seconds> {
        self.moment.lasting
    }

    /// The same question about another topology.
    pub(crate) fn with_topology(&self, topology: Option<&str>) -> Self {
        let breaks = self.topology_and_breaks().map_or(&[][..], |(_, breaks)| breaks).to_vec();
        Self { topology: topology.map(str::to_owned), breaks, ..self.clone() }
    }

    /// The topology and the breaks.
    ///
    /// `--break` takes several values, so in `--break payments shop.yaml` the parser takes the
    /// topology for one of them: where none is left, the last value that is a file is meant.
    pub(crate) fn topology_and_breaks(&self) -> Option<(&str, &[String])> {
        if let Some(topology) = &self.topology {
            return Some((topology, &self.breaks));
        }
        let (last, breaks) = self.breaks.split_last()?;
        // A folder may stand for a topology too.
        let is_file = last == "-" || std::path::Path::new(last).exists();
        (is_file && !breaks.is_empty()).then_some((last, breaks))
    }
}

/// Which moment is looked at, where it is a single one.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MomentArgs {
    /// Look at the moment after the break has lasted this long: `2h`, `10m`
    ///
    /// Caches and buffers hold for a while and then no more. Only for single moments: breaks, and
    /// changes without rollout, detection and rollback.
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = values::parse_duration,
        help_heading = "What breaks"
    )]
    pub(crate) lasting: Option<Seconds>,
}

/// Limits that the change must hold.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Stop if a flow fails because of the change in more than this share of simulations; can be repeated
    ///
    /// `place-order=5%`. Limits add to the policy.
    #[arg(
        long,
        value_name = "FLOW=SHARE",
        value_parser = values::max_failed,
        help_heading = "Limits"
    )]
    pub(crate) max_failed: Vec<FlowLimit>,

    /// Stop if a flow loses more orders than this on average; can be repeated
    #[arg(
        long,
        value_name = "FLOW=ORDERS",
        value_parser = values::max_lost,
        help_heading = "Limits"
    )]
    pub(crate) max_lost: Vec<FlowLimit>,

    /// Count outage minutes that are already spent of the error budget of a flow; can be repeated
    ///
    /// `place-order=12m`. More than the whole budget is normal: then nothing of it is left.
    #[arg(
        long,
        value_name = "FLOW=DURATION",
        value_parser = values::parse_spent,
        help_heading = "Limits"
    )]
    pub(crate) spent: Vec<FlowSpent>,

    /// Which verdicts end with a status other than 0: `caution` means stop and caution
    #[arg(long, value_name = "VERDICT", default_value = "caution", help_heading = "Limits")]
    pub(crate) fail_on: FailOn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Stop,
    Caution,
}

/// How many trials, and how.
#[derive(Debug, Args)]
pub(crate) struct SamplingArgs {
    /// How many trials to simulate: `20000`, `20k`, `1M` [default: 10000; `check` starts with 1000]
    #[arg(
        long,
        value_name = "N",
        value_parser = values::parse_trials,
        conflicts_with = "precision",
        help_heading = "Trials"
    )]
    pub(crate) trials: Option<u64>,

    /// Simulate until the 95% interval of every flow is this narrow: `1%`
    #[arg(
        long,
        value_name = "SHARE",
        value_parser = values::parse_precision,
        help_heading = "Trials"
    )]
    pub(crate) precision: Option<Share>,

    /// Use other random draws: equal seeds give equal results, on every machine
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Trials")]
    pub(crate) seed: u64,

    /// Use this many threads; changes no result [default: all]
    #[arg(long, value_name = "N", value_parser = values::parse_threads, help_heading = "Trials")]
    pub(crate) threads: Option<usize>,

    /// Use this engine: `boolean` counts 512 trials at a time where every share is 0 or 1
    #[arg(long, value_name = "ENGINE", default_value = "auto", help_heading = "Trials")]
    pub(crate) engine: EngineOf,

    /// When interrupted, report what was simulated so far, marked as such
    #[arg(long, help_heading = "Trials")]
    pub(crate) partial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineOf {
    /// The Boolean one where it suits, else the fluid one.
    Auto,
    Fluid,
    Boolean,
}

impl EngineOf {
    /// Returns the choice in the library's type.
    pub(crate) fn library_choice(self) -> Choice {
        match self {
            Self::Auto => Choice::Automatic,
            Self::Fluid => Choice::Fluid,
            Self::Boolean => Choice::Boolean(InstructionSet::best()),
        }
    }
}

/// Arguments for the output.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Write a report for people, data for scripts, or a comment for a pull request
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) to: WriteArgs,
}

/// Where to write, and what text looks like.
#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    /// Write to a file, completely or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<String>,

    /// Make lines of text at most this wide [default: the terminal, or 100]
    #[arg(long, value_name = "N", value_parser = values::parse_width, help_heading = "Output")]
    pub(crate) width: Option<usize>,

    /// Use only ASCII characters in text
    #[arg(long, help_heading = "Output")]
    pub(crate) ascii: bool,
}

/// How much of a result is written as data.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DetailArgs {
    /// With `--format json`: `summary` shortens long lists, and says under `omitted` by how much
    #[arg(long, value_name = "DETAIL", default_value = "full", help_heading = "Output")]
    detail: Detail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Detail {
    Full,
    Summary,
}

impl DetailArgs {
    /// Returns whether a summary is wanted.
    ///
    /// # Errors
    /// A summary is wanted of what is no data: texts for people have their own measure.
    pub(crate) fn wants_summary(self, is_data: bool) -> Result<bool, Failure> {
        match self.detail {
            Detail::Full => Ok(false),
            Detail::Summary if is_data => Ok(true),
            Detail::Summary => Err(Failure::usage("`--detail summary` is for data")
                .help("add `--format json`, or leave `--detail` out")),
        }
    }
}

/// A format of an answer that has no page for a browser.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pageless {
    Text,
    Json,
    Markdown,
}

impl OutputArgs {
    /// The format of an answer that has no page for a browser, or which formats there are.
    pub(crate) fn pageless_format(&self, what: &str) -> Result<Pageless, Failure> {
        match self.format {
            Format::Text => Ok(Pageless::Text),
            Format::Json => Ok(Pageless::Json),
            Format::Markdown => Ok(Pageless::Markdown),
            Format::Html => {
                let said = format!("{what} is written as `text`, `json` or `markdown`");
                Err(Failure::usage(said)
                    .help("`blastwave simulate .. --format html` shows what fails and what holds"))
            }
        }
    }
}

impl SamplingArgs {
    /// How a command ends whose answer is of so many trials: what was interrupted counts only where
    /// that was asked for, and where there is something.
    pub(crate) fn exit_status(&self, is_partial: bool, trials: u64) -> Result<Exit, Failure> {
        match is_partial {
            true if !self.partial || trials == 0 => Err(Failure::Interrupted { trials }),
            true => Ok(Exit::Interrupted),
            false => Ok(Exit::Done),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Markdown,
    /// One file to open in a browser: pictures, tables, filters; fetches nothing.
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Topologies, changes, policies, waivers and scenarios; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<String>,

    /// Take warnings for errors
    #[arg(long)]
    pub(crate) strict: bool,

    /// Write problems beside the lines they speak of, as a JSON list, or for a code host
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) format: ListFormat,

    /// Write to a file, completely or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    Text,
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// Annotations of a GitHub workflow.
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    Topology,
    Change,
    Policy,
    Scenario,
    Incident,
    Cost,
    Observed,
    Waivers,
    PolicyTest,
    Result,
    Explain,
    Rank,
    Compare,
    Advise,
    Replay,
    Review,
    Diagnosis,
    Structure,
    Problems,
}

/// How the program speaks to a person.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ConsoleArgs {
    /// Print only the result and errors: no warnings, no progress
    #[arg(short, long, global = true, help_heading = "Console")]
    pub(crate) quiet: bool,

    /// Show no progress bar
    #[arg(long, global = true, help_heading = "Console")]
    pub(crate) no_progress: bool,

    /// Use colours: `auto` means on a terminal, unless `NO_COLOR` is set
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        global = true,
        hide_possible_values = false,
        help_heading = "Console"
    )]
    pub(crate) color: ColorWhen,
}

/// Limits of a run: what reaches one ends with status 130.
#[derive(Clone, Debug, Args)]
pub(crate) struct ResourceArgs {
    /// End after this time: `30s`, `10m`; with `--partial`, what was simulated so far is reported [default: 1h]
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = values::parse_timeout,
        global = true,
        help_heading = "Limits of the run"
    )]
    pub(crate) timeout: Option<Seconds>,

    /// End before more memory is used: `512MB`, `2GB` [default: 3/4 of the machine, at most 4GB]
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = values::parse_size,
        global = true,
        help_heading = "Limits of the run"
    )]
    pub(crate) max_memory: Option<u64>,

    /// Read no file outside of this folder, whatever the files name; links are followed
    #[arg(long, value_name = "DIRECTORY", global = true, help_heading = "Limits of the run")]
    pub(crate) root: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

fn with_exit_statuses(examples: &str) -> String {
    format!("{examples}\n\n{}", Exit::table())
}

const TOP_EXAMPLES: &str = "\
Examples:
  blastwave check shop.yaml --change payments-v4.yaml --max-failed place-order=5%
  blastwave simulate shop.yaml --break payments
  blastwave validate shop.yaml payments-v4.yaml";

const CHECK_EXAMPLES: &str = "\
Examples:
  Apply a policy; without one, and without limits, that of `blastwave policy default`:
    blastwave check shop.yaml --change v4.yaml --policy policy.yaml --now 2026-12-18T16:00:00+01:00
  Two changes in one window, compared with the last release:
    blastwave check shop.yaml --change v4.yaml --change search.yaml --baseline last.json
  Ship only if placing orders fails in at most 5% of simulations, and loses 2,000 orders on average:
    blastwave check shop.yaml --change v4.yaml --max-failed place-order=5% --max-lost place-order=2000
  What a pull request touches, by the `paths` of the services:
    blastwave check shop.yaml --git-range origin/main...HEAD --ignore-files 'docs/**'
    git diff --name-only -z --cached --no-renames | blastwave check shop.yaml --changed-files - -z
  What a plan of Terraform, or new manifests, would break:
    blastwave check shop.yaml --plan plan.json
    blastwave check shop.yaml --manifests rendered/main rendered/branch
  Comment on a pull request, and put what was found beside the lines of its files:
    blastwave check shop.yaml --change v4.yaml --format markdown -o comment.md
    blastwave check shop.yaml --change v4.yaml --format github
  Fail a pipeline only where a limit is exceeded with certainty:
    blastwave check shop.yaml --change v4.yaml --max-failed place-order=5% --fail-on stop";

const SIMULATE_EXAMPLES: &str = "\
Examples:
  What if payments goes down?
    blastwave simulate shop.yaml --break payments
  What if it hangs, while a zone is down, and that has lasted two hours?
    blastwave simulate shop.yaml --break payments:slow eu-west-1a --lasting 2h
  What would the planned change cost, to within half a percent, as data?
    blastwave simulate shop.yaml --change v4.yaml --precision 0.5% --format json -o result.json
  A topology from elsewhere:
    make-topology | blastwave simulate - --change v4.yaml
  A report for people to open in a browser:
    blastwave simulate shop.yaml --change v4.yaml --format html -o report.html";

const VALIDATE_EXAMPLES: &str = "\
Examples:
  A topology and a change to it:
    blastwave validate shop.yaml payments-v4.yaml
  In a pipeline, where doubts count too:
    blastwave validate --strict --format json shop.yaml";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  blastwave schema topology > topology.schema.json
  blastwave schema result";

const POLICY_EXAMPLES: &str = "\
Examples:
  Start a policy of your own:
    blastwave policy default > policy.yaml
    blastwave check shop.yaml --change v4.yaml --policy policy.yaml
  Run the tests of a policy:
    blastwave policy test policies/tests/*.yaml";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  blastwave completions bash > ~/.local/share/bash-completion/completions/blastwave
  blastwave completions zsh > ~/.zfunc/_blastwave";

const MAN_EXAMPLES: &str = "\
Examples:
  blastwave man > blastwave.1
  blastwave man check > blastwave-check.1";
