//! The commands that simulate: read, simulate, write.

use rayon::ThreadPoolBuilder;

use super::Failure;
use super::args::{Format, OutputArgs, SamplingArgs, SimulateArgs, WriteArgs};
use super::exit::Exit;
use super::inputs::{self, Inputs};
use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Bar;
use super::terminal::Terminal;
use blastwave::analysis::{self, Settings, Stop};
use blastwave::engine::Progress;
use blastwave::model::{Change, Seconds};
use blastwave::render::{self, html};
use blastwave::report::focus::Lens;
use blastwave::report::{FocusReport, PageReport, Report};

/// The most trials that `--precision` may take: enough for an interval of 0.1%, wherever it lies.
const PRECISION_TRIALS_MAX: u64 = 10_000_000;

/// `blastwave simulate`.
pub(crate) fn simulate(args: &SimulateArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let question = Question::new(&args.question, &args.sampling, &args.output, terminal)?;
    if let Some(trial) = args.trial {
        return question.replay(trial, &args.output);
    }
    let Question { inputs, settings, .. } = &question;
    let report = question.simulate(&args.sampling, |progress| {
        analysis::simulate(&inputs.topology, &inputs.change, settings, progress)
    })?;
    question.write(&report, &args.output)?;
    args.sampling.ended(report.partial, report.trials)
}

/// What is to be simulated and where the result goes; all of it was found to be in order.
pub(super) struct Question {
    pub(super) inputs: Inputs,
    pub(super) settings: Settings,
    pub(super) output: Output,
    terminal: Terminal,
}

impl Question {
    pub(crate) fn new(
        question: &super::args::QuestionArgs,
        sampling: &SamplingArgs,
        output: &OutputArgs,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        Self::of(inputs::read(question)?, question, sampling, output, terminal)
    }

    /// The same about what was read already.
    pub(super) fn of(
        inputs: Inputs,
        question: &super::args::QuestionArgs,
        sampling: &SamplingArgs,
        output: &OutputArgs,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        Self::with_output(inputs, question, sampling, output.to.output.as_deref(), terminal)
    }

    /// The same for a command with a way of its own to write.
    pub(super) fn with_output(
        inputs: Inputs,
        question: &super::args::QuestionArgs,
        sampling: &SamplingArgs,
        output: Option<&str>,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        Self::lasting(inputs, question.lasting(), sampling, output, terminal)
    }

    /// The same for a command that asks in a way of its own.
    pub(super) fn lasting(
        inputs: Inputs,
        lasting: Option<Seconds>,
        sampling: &SamplingArgs,
        output: Option<&str>,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        check_lasting(lasting, &inputs.change)?;
        let settings = Settings {
            seed: sampling.seed,
            stop: stop(sampling),
            lasting: lasting.unwrap_or(Seconds::ZERO),
            is_certain: inputs.is_certain,
            engine: sampling.engine.choice(),
        };
        if let Some(reason) = analysis::engine_obstacle(&inputs.topology, &inputs.change, &settings)
        {
            return Err(not_boolean(reason));
        }
        let output = Output::open(output, &inputs.files)?;
        if let Some(line) = inputs.warning_line() {
            terminal.note(&line);
        }
        Ok(Self { inputs, settings, output, terminal })
    }

    /// Simulates with a progress bar and an ear for Ctrl-C.
    pub(super) fn simulate(
        &self,
        sampling: &SamplingArgs,
        study: impl FnOnce(&dyn Progress) -> Report + Send,
    ) -> Result<Report, Failure> {
        let report = self.run(sampling, study)?;
        sampling.ended(report.partial, report.trials)?;
        self.note_imprecision(&report);
        Ok(report)
    }

    /// Does something in the wanted number of threads, with a progress bar and an ear for Ctrl-C.
    pub(super) fn run<T: Send>(
        &self,
        sampling: &SamplingArgs,
        study: impl FnOnce(&dyn Progress) -> T + Send,
    ) -> Result<T, Failure> {
        Runner { terminal: self.terminal, stop: self.settings.stop }.run(sampling, study)
    }

    /// Says so where the wanted precision was not reached.
    fn note_imprecision(&self, report: &Report) {
        let Stop::Precision { width, max_trials } = self.settings.stop else { return };
        let intervals = report.flows.iter().flat_map(|flow| [flow.failed, flow.degraded]);
        let widest = intervals.map(|it| it.high - it.low).fold(0.0, f64::max);
        if widest > width && report.trials >= max_trials {
            self.terminal.note(&format!(
                "the widest interval is {:.2}% after {max_trials} trials; more are never run\n",
                widest * 100.0
            ));
        }
    }

    pub(crate) fn write(&self, report: &Report, args: &OutputArgs) -> Result<(), Failure> {
        let text = match args.format {
            Format::Text => render::text::render(report, &self.style(&args.to)),
            Format::Json => render::json::render(report),
            Format::Markdown => render::markdown::render(report),
            Format::Html => self.page(report),
        };
        self.write_text(&text)
    }

    /// A report to open in a browser.
    pub(super) fn page(&self, report: &Report) -> String {
        let topology = &self.inputs.topology;
        let focus = FocusReport::new(topology, report, &Lens::default());
        let data = PageReport::new(topology, report);
        let command = command();
        let made = html::Made { command: &command, inputs: &self.inputs.files };
        html::simulated(report, &focus, &data, &made)
    }

    /// Writes a result where it was asked for.
    pub(super) fn write_text(&self, text: &str) -> Result<(), Failure> {
        Ok(self.output.write(text, self.terminal)?)
    }

    /// One trial instead of many.
    fn replay(&self, trial: u64, args: &OutputArgs) -> Result<Exit, Failure> {
        let Inputs { topology, change, .. } = &self.inputs;
        let story = analysis::story(topology, change, &self.settings, trial);
        let text = match args.format {
            Format::Text => render::text::render_trial(&story, &self.style(&args.to)),
            Format::Json => render::json::render_trial(&story),
            Format::Markdown | Format::Html => {
                return Err(Failure::usage("one trial is written as `text` or `json`"));
            }
        };
        self.output.write(&text, self.terminal)?;
        Ok(Exit::Done)
    }

    pub(super) fn style(&self, args: &WriteArgs) -> render::text::Style {
        self.output.style(args, self.terminal)
    }
}

/// What runs a study on its threads, with a progress bar and an ear for Ctrl-C.
pub(crate) struct Runner {
    pub(crate) terminal: Terminal,
    /// When the study ends, for the bar.
    pub(crate) stop: Stop,
}

impl Runner {
    /// Runs a study.
    pub(crate) fn run<T: Send>(
        &self,
        sampling: &SamplingArgs,
        study: impl FnOnce(&dyn Progress) -> T + Send,
    ) -> Result<T, Failure> {
        let mut threads = ThreadPoolBuilder::new();
        if let Some(count) = sampling.threads {
            threads = threads.num_threads(count);
        }
        let threads = threads.build().map_err(|error| {
            Failure::usage(format!("cannot start {}", threads_in_words(sampling.threads)))
                .help(error.to_string())
        })?;
        let interrupt = Interrupt::listen()
            .map_err(|error| Failure::usage(format!("cannot listen for Ctrl-C: {error}")))?;
        let bar = Bar::new(self.terminal, self.stop, interrupt);
        let found = threads.install(|| study(&bar));
        bar.clear();
        Ok(found)
    }
}

/// A change with a course in time says itself how long it lasts.
pub(crate) fn check_lasting(lasting: Option<Seconds>, change: &Change) -> Result<(), Failure> {
    if lasting.is_none() || change.is_moment() {
        return Ok(());
    }
    let name = &change.name;
    let said = format!("`--lasting` is for single moments, but `{name}` has a course in time");
    Err(Failure::usage(said).help("its rollout, detection and rollback say how long it lasts"))
}

/// Says why the Boolean engine was refused.
pub(crate) fn not_boolean(reason: &str) -> Failure {
    Failure::usage(format!("the Boolean engine is not for this: {reason}"))
        .help("leave `--engine` out, and the engine that suits is chosen")
}

/// The command that runs, as a shell takes it.
pub(crate) fn command() -> String {
    let mut words = vec!["blastwave".to_owned()];
    words.extend(std::env::args_os().skip(1).map(|it| inputs::quoted(&it.to_string_lossy())));
    words.join(" ")
}

pub(crate) fn stop(sampling: &SamplingArgs) -> Stop {
    match (sampling.precision, sampling.trials) {
        (Some(width), _) => {
            Stop::Precision { width: width.get(), max_trials: PRECISION_TRIALS_MAX }
        }
        (None, Some(trials)) => Stop::Trials(trials),
        (None, None) => Settings::default().stop,
    }
}

fn threads_in_words(threads: Option<usize>) -> String {
    threads.map_or_else(|| "threads".to_owned(), |threads| format!("{threads} threads"))
}
