//! `blastwave advise`: what would help.

use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::check::{FIRST_LOOK, moment_or_clock};
use crate::cli::Failure;
use crate::cli::args::{DetailArgs, QuestionArgs, SamplingArgs, WriteArgs};
use crate::cli::exit::Exit;
use crate::cli::inputs::{self, Inputs};
use crate::cli::output::ResultOutput;
use crate::cli::run::SimulationRequest;
use crate::cli::terminal::Terminal;
use blastwave::analysis::advise::{Advice, FileTexts, Until, Wanted};
use blastwave::analysis::{self, Check, Gate, Stop};
use blastwave::diagnostic::{SourceId, Sources};
use blastwave::load;
use blastwave::model::Costs;
use blastwave::policy::Policy;
use blastwave::render::{self, patch};
use blastwave::report::AdviceKind;

/// How many trials estimate a saving where nothing else is said: there are many to estimate.
const TRIALS: u64 = 4096;

/// Returns the parser of kinds of protections.
fn advice_kinds() -> impl TypedValueParser<Value = AdviceKind> {
    let words = AdviceKind::WORDS.iter().map(|(word, _)| *word);
    PossibleValuesParser::new(words).try_map(|word| {
        let found = AdviceKind::WORDS.iter().find(|(known, _)| *known == word);
        found.map(|(_, kind)| *kind).ok_or("a kind of protection")
    })
}

/// Arguments of `blastwave advise`.
#[derive(Debug, Args)]
pub(crate) struct AdviseArgs {
    #[command(flatten)]
    question: QuestionArgs,
    /// Try no protections of this kind, because they are out of the question; can be repeated
    #[arg(long, value_name = "KIND", value_parser = advice_kinds(), help_heading = "Protections")]
    leave_out: Vec<AdviceKind>,

    /// Order protections by what they save for what they cost: a file of costs
    ///
    /// `protections: [{ kind: fallback, cost: 5 }, { kind: cache, at: "cart > redis", cost: 2 }]`.
    /// Without it, every step costs 1.
    #[arg(long, value_name = "FILE", help_heading = "Protections")]
    cost: Option<String>,

    /// Find the smallest set with which `check` says to proceed: a policy file, or `default`
    ///
    /// What is not stated is taken at its worst, as `check` does.
    #[arg(long, value_name = "POLICY", help_heading = "Protections")]
    satisfy: Option<String>,

    /// Say what time it is, for rules of the policy over `now` and the age of sources
    #[arg(
        long,
        value_name = "TIME",
        value_parser = moment_or_clock,
        requires = "satisfy",
        help_heading = "Protections"
    )]
    now: Option<f64>,

    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    output: AdviseOutputArgs,
}

/// Arguments for the output.
#[derive(Debug, Args)]
struct AdviseOutputArgs {
    /// Write a report for people, data for scripts, a comment for a pull request, or a table
    ///
    /// `-o FILE.patch` (or `.diff`) writes the changes as a unified diff that `git apply` takes.
    /// `-o FILE.yaml` writes the changed file itself, with its comments and order. The report then goes
    /// to standard output.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: AdviseFormat,
    #[command(flatten)]
    detail: DetailArgs,
    #[command(flatten)]
    to: WriteArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AdviseFormat {
    Text,
    Json,
    Markdown,
    Csv,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  What would help most against this change breaking?
    blastwave advise shop.yaml --change payments-v4.yaml
  And where nobody can do without a call?
    blastwave advise shop.yaml --change payments-v4.yaml --leave-out soft --leave-out fallback
  What is the least that makes `check` let it through, by what it costs us?
    blastwave advise shop.yaml --change payments-v4.yaml --satisfy policy.yaml --cost days.yaml
  Make the changes:
    blastwave advise shop.yaml --break payments:slow -o help.patch && git apply help.patch";

/// Form in which `-o` writes the advice.
#[derive(Clone, Copy, PartialEq)]
enum Edited {
    Patch,
    File,
}

/// Advises.
pub(crate) fn run_advise(args: &AdviseArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let is_data = args.output.format == AdviseFormat::Json;
    let wants_summary = args.output.detail.wants_summary(is_data)?;
    let inputs = inputs::read_inputs(&args.question)?;
    // Each saving gets the same trials, so that protections can be compared; an interval to reach
    // has no meaning for all at once.
    if args.sampling.precision.is_some() {
        return Err(Failure::usage("`--precision` is for `simulate` and `compare`")
            .help("say how many trials estimate each saving with `--trials`"));
    }
    // A saving is judged by its interval, and one trial has none.
    if args.sampling.trials == Some(1) {
        return Err(Failure::usage("one trial says nothing of how sure a saving is")
            .help("leave `--trials` out, or give at least 2"));
    }
    let output = args.output.to.output.as_deref();
    let edited = output.and_then(edited_form);
    let others: Vec<String> = args
        .cost
        .iter()
        // `default` is a word here and not a file.
        .chain(args.satisfy.iter().filter(|satisfy| *satisfy != "default"))
        .cloned()
        .collect();
    // Opened before the trials, so that a path that cannot be written is told at once.
    let edits = match edited {
        Some(_) => Some(ResultOutput::open(output, &[inputs.files.as_slice(), &others].concat())?),
        None => ResultOutput::open(output, &others).map(|_| None)?,
    };
    let report_to = output.filter(|_| edited.is_none());
    let mut question = SimulationRequest::with_output(
        inputs,
        &args.question,
        &args.sampling,
        report_to,
        terminal,
    )?;
    // Not the usual number: each protection is simulated with that many.
    question.settings.stop = Stop::Trials(args.sampling.trials.unwrap_or(TRIALS));
    let mut sources = Sources::default();
    let read = read_files(args, &question.inputs, &mut sources);
    let (costs, policy) = match read {
        Ok(read) => read,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    let gate = Gate {
        policy: policy.as_ref().map(|(policy, is_default)| (policy, *is_default)),
        now: args.now,
        ..Gate::default()
    };
    let inputs = &question.inputs;
    // The gate is built only to find what is wrong with the policy before the trials.
    if let Err(diagnostics) =
        Check::new(&inputs.topology, &inputs.change, &gate, &question.settings)
    {
        return Err(Failure::Input { diagnostics, sources });
    }
    let until = policy.is_some().then_some(Until { gate, first_look: FIRST_LOOK });
    let wanted = Wanted { leave_out: &args.leave_out, costs: &costs, until };
    let advice = question.run_analysis(&args.sampling, |progress| {
        analysis::advise::find_advice(
            &inputs.topology,
            &inputs.change,
            &wanted,
            &question.settings,
            progress,
        )
    })?;
    let report = &advice.report;
    let exit = args.sampling.exit_status(report.partial, report.trials)?;
    let text = match args.output.format {
        AdviseFormat::Text => {
            render::text::render_advice(report, &question.text_style(&args.output.to))
        }
        AdviseFormat::Json if wants_summary => {
            render::json::render_advice(&report.clone().into_summary())
        }
        AdviseFormat::Json => render::json::render_advice(report),
        AdviseFormat::Markdown => render::markdown::render_advice(report),
        AdviseFormat::Csv => render::csv::advice_csv(report),
    };
    if let (Some(edited), Some(edits)) = (edited, edits) {
        write_edits(&advice, inputs, edited, &edits, terminal)?;
    }
    question.write_text(&text)?;
    Ok(exit)
}

/// Whether a path asks for a patch or for the changed file.
fn edited_form(path: &str) -> Option<Edited> {
    let is = |ends: &[&str]| {
        let end = Path::new(path).extension()?.to_str()?.to_lowercase();
        ends.contains(&end.as_str()).then_some(())
    };
    is(&["patch", "diff"])
        .map(|()| Edited::Patch)
        .or_else(|| is(&["yaml", "yml"]).map(|()| Edited::File))
}

type AdviseFiles = (Costs, Option<(Policy, bool)>);

/// The costs and the policy, or everything that is wrong with them.
fn read_files(
    args: &AdviseArgs,
    inputs: &Inputs,
    sources: &mut Sources,
) -> Result<AdviseFiles, Vec<blastwave::diagnostic::Diagnostic>> {
    let topology = Some(&inputs.topology);
    let costs = match &args.cost {
        Some(path) => load::read_document(path, sources)
            .and_then(|document| Costs::from_document(&document, topology)),
        None => Ok(Costs::default()),
    };
    let policy = match args.satisfy.as_deref() {
        None => Ok(None),
        Some("default") => Ok(Some((Policy::default_policy(sources), true))),
        Some(path) => load::read_document(path, sources)
            .and_then(|document| Policy::from_document(&document, sources, topology))
            .map(|policy| Some((policy, false))),
    };
    match (costs, policy) {
        (Ok(costs), Ok(policy)) => Ok((costs, policy)),
        (costs, policy) => {
            let problems = [costs.err(), policy.err()];
            Err(problems.into_iter().flatten().flatten().collect())
        }
    }
}

/// Writes what the advice makes of the files, and says what could not be written.
fn write_edits(
    advice: &Advice,
    inputs: &Inputs,
    edited: Edited,
    to: &ResultOutput,
    terminal: Terminal,
) -> Result<(), Failure> {
    let source_of = |id: SourceId| {
        let source = inputs.sources.get(id);
        (source.name.as_str(), source.text.as_str())
    };
    let topology = inputs.topology.services.first().map(|service| source_of(service.place.source));
    // Breaks of the command line stand in no file, and of several changes it is not clear which to
    // edit.
    let has_file = !inputs.is_certain && inputs.changes.is_empty();
    let change = inputs.change.targets.first().filter(|_| has_file);
    let change = change.map(|change| source_of(change.place.source));
    let texts = FileTexts {
        topology: topology.map(|topology| topology.1),
        change: change.map(|change| change.1),
    };
    let written = advice.write_files(texts);
    // What cannot be edited is told, so that nobody takes the patch for all of the advice.
    for (what, reason) in &written.left_out {
        terminal.write_note(&format!("not written: {what}, because {reason}\n"));
    }
    let changed: Vec<(&str, &str, &str)> =
        [(topology, &written.topology), (change, &written.change)]
            .into_iter()
            .filter_map(|(file, text)| {
                let ((name, before), after) = (file?, text.as_ref()?);
                Some((name, before, after.as_str()))
            })
            .collect();
    if changed.is_empty() {
        terminal.write_note("nothing was written: there is nothing to change\n");
        return Ok(());
    }
    let text = match (edited, changed.as_slice()) {
        (Edited::Patch, all) => all
            .iter()
            .map(|(name, before, after)| patch::unified_patch(name, before, after))
            .collect(),
        (Edited::File, [(name, _, after), rest @ ..]) => {
            // A file can only hold one text, so the second one is not dropped without a word.
            if let [(other, ..), ..] = rest {
                terminal.write_note(&format!(
                    "this is `{name}`; what is to change in `{other}` too is in a patch: `-o help.patch`\n"
                ));
            }
            (*after).to_owned()
        }
        (Edited::File, []) => String::new(),
    };
    Ok(to.write_result(&text, terminal)?)
}
