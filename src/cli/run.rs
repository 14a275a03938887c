//! A request to simulate, from arguments to the written result: shared by the commands that simulate.

use super::Failure;
use super::args::{Format, OutputArgs, SamplingArgs, WriteArgs};
use super::inputs::{self, Inputs};
use super::output::ResultOutput;
use super::progress::TrialBar;
use super::terminal::Terminal;
use super::watchdog;
use blastwave::analysis::{self, Settings, Stop};
use blastwave::cascade::{CascadeFilter, cascade_report, page_report};
use blastwave::engine::Progress;
use blastwave::engine::boolean::NotBoolean;
use blastwave::model::{Change, Seconds};
use blastwave::render::{self, html};
use blastwave::report::Report;
use blastwave::threads::start_threads;

/// Upper limit of trials with `--precision`: enough for an interval of 0.1% at any probability.
const PRECISION_TRIALS_MAX: u64 = 10_000_000;

/// A checked request: what to simulate, how, and where the result goes.
pub(crate) struct SimulationRequest {
    pub(crate) inputs: Inputs,
    pub(crate) settings: Settings,
    pub(crate) output: ResultOutput,
    terminal: Terminal,
}

impl SimulationRequest {
    /// Checks a request that may name no change: then the steady state is simulated.
    pub(crate) fn new(
        question: &super::args::QuestionArgs,
        sampling: &SamplingArgs,
        output: &OutputArgs,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        Self::from_inputs(
            inputs::read_with_or_without_change(question)?,
            question,
            sampling,
            output,
            terminal,
        )
    }

    /// Checks a request about inputs that were read already.
    pub(crate) fn from_inputs(
        inputs: Inputs,
        question: &super::args::QuestionArgs,
        sampling: &SamplingArgs,
        output: &OutputArgs,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        Self::with_output(inputs, question, sampling, output.to.output.as_deref(), terminal)
    }

    /// Checks a request of a command that writes by itself.
    pub(crate) fn with_output(
        inputs: Inputs,
        question: &super::args::QuestionArgs,
        sampling: &SamplingArgs,
        output: Option<&str>,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        Self::with_duration(inputs, question.lasting_time(), sampling, output, terminal)
    }

    /// Checks a request whose arguments are of a type of its own.
    pub(crate) fn with_duration(
        inputs: Inputs,
        lasting: Option<Seconds>,
        sampling: &SamplingArgs,
        output: Option<&str>,
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        check_lasting(lasting, &inputs.change)?;
        let settings = Settings {
            seed: sampling.seed,
            stop: stop_rule(sampling),
            lasting: lasting.unwrap_or(Seconds::ZERO),
            is_certain: inputs.is_certain,
            engine: sampling.engine.library_choice(),
        };
        // Refused before the output is opened and trials are run.
        if let Some(reason) = analysis::engine_obstacle(&inputs.topology, &inputs.change, &settings)
        {
            return Err(not_boolean(reason));
        }
        let output = ResultOutput::open(output, &inputs.files)?;
        if let Some(line) = inputs::warning_line(&inputs) {
            terminal.write_note(&line);
        }
        Ok(Self { inputs, settings, output, terminal })
    }

    /// Runs the simulation with a progress bar; Ctrl-C cancels it.
    pub(crate) fn run_simulation(
        &self,
        sampling: &SamplingArgs,
        analysis: impl FnOnce(&dyn Progress) -> Report + Send,
    ) -> Result<Report, Failure> {
        let report = self.run_analysis(sampling, analysis)?;
        // An interrupted run without `--partial` writes nothing, so it ends here.
        sampling.exit_status(report.partial, report.trials)?;
        self.note_imprecision(&report);
        Ok(report)
    }

    /// Runs an analysis on the requested number of threads, with a progress bar; Ctrl-C cancels it.
    pub(crate) fn run_analysis<T: Send>(
        &self,
        sampling: &SamplingArgs,
        analysis: impl FnOnce(&dyn Progress) -> T + Send,
    ) -> Result<T, Failure> {
        Runner { terminal: self.terminal, stop: self.settings.stop }
            .run_analysis(sampling, analysis)
    }

    /// Notes on standard error that the requested precision was not reached.
    fn note_imprecision(&self, report: &Report) {
        let Stop::Precision { width, max_trials } = self.settings.stop else { return };
        // The precision is promised for every flow, so the widest interval decides.
        let intervals = report.flows.iter().flat_map(|flow| [flow.failed, flow.degraded]);
        let widest = intervals.map(|interval| interval.high - interval.low).fold(0.0, f64::max);
        if widest > width && report.trials >= max_trials {
            self.terminal.write_note(&format!(
                "the widest interval is {:.2}% after {max_trials} trials; more are never run\n",
                widest * 100.0
            ));
        }
    }

    pub(crate) fn write_report(&self, report: &Report, args: &OutputArgs) -> Result<(), Failure> {
        let text = match args.format {
            Format::Text => render::text::render_report(report, &self.text_style(&args.to)),
            Format::Json => render::json::render_report(report),
            Format::Markdown => render::markdown::render_comment(report),
            Format::Html => self.html_page(report),
        };
        self.write_text(&text)
    }

    /// Returns the report as one HTML file.
    pub(crate) fn html_page(&self, report: &Report) -> String {
        let topology = &self.inputs.topology;
        let cascade = cascade_report(topology, report, &CascadeFilter::default());
        let data = page_report(topology, report);
        let command = command_line();
        let made = html::Made { command: &command, inputs: &self.inputs.files };
        html::simulated_page(report, &cascade, &data, &made)
    }

    /// Writes a result to the requested place.
    pub(crate) fn write_text(&self, text: &str) -> Result<(), Failure> {
        Ok(self.output.write_result(text, self.terminal)?)
    }

    pub(crate) fn text_style(&self, args: &WriteArgs) -> render::text::TextStyle {
        self.output.text_style(args, self.terminal)
    }
}

/// Runs analyses on a thread pool of their own, with a progress bar; Ctrl-C cancels them.
pub(crate) struct Runner {
    pub(crate) terminal: Terminal,
    /// When the analysis ends, for the bar.
    pub(crate) stop: Stop,
}

impl Runner {
    /// Runs one analysis.
    pub(crate) fn run_analysis<T: Send>(
        &self,
        sampling: &SamplingArgs,
        analysis: impl FnOnce(&dyn Progress) -> T + Send,
    ) -> Result<T, Failure> {
        let threads = start_threads(sampling.threads).map_err(|error| {
            Failure::usage(format!("cannot start {}", thread_count_in_words(sampling.threads)))
                .help(error.to_string())
        })?;
        // Again here, where the thread of the watchdog could not be started.
        watchdog::listen_for_interrupt()
            .map_err(|error| Failure::usage(format!("cannot listen for Ctrl-C: {error}")))?;
        if sampling.partial {
            watchdog::expect_partial_result();
        }
        let bar = TrialBar::new(self.terminal, self.stop);
        let found = threads.install(|| analysis(&bar));
        bar.clear();
        Ok(found)
    }
}

/// Refuses `--lasting` for a change that has a timeline, which says itself how long it lasts.
pub(crate) fn check_lasting(lasting: Option<Seconds>, change: &Change) -> Result<(), Failure> {
    if lasting.is_none() || change.is_moment() {
        return Ok(());
    }
    let name = &change.name;
    let said = format!("`--lasting` is for single moments, but `{name}` has a course in time");
    Err(Failure::usage(said).help("its rollout, detection and rollback say how long it lasts"))
}

/// Returns the failure for a question that the Boolean engine cannot answer.
pub(crate) fn not_boolean(reason: NotBoolean) -> Failure {
    Failure::usage(format!("the Boolean engine is not for this: {reason}"))
        .help("leave `--engine` out, and the engine that suits is chosen")
}

/// Returns the command line of this run, quoted for a shell.
pub(crate) fn command_line() -> String {
    let mut words = vec!["blastwave".to_owned()];
    words.extend(
        // An argument that is no Unicode is shown with replacement characters: the line is for
        // people.
        std::env::args_os().skip(1).map(|args_os| inputs::shell_quoted(&args_os.to_string_lossy())),
    );
    words.join(" ")
}

pub(crate) fn stop_rule(sampling: &SamplingArgs) -> Stop {
    match (sampling.precision, sampling.trials) {
        (Some(width), _) => {
            Stop::Precision { width: width.get(), max_trials: PRECISION_TRIALS_MAX }
        }
        (None, Some(trials)) => Stop::Trials(trials),
        (None, None) => Settings::default().stop,
    }
}

fn thread_count_in_words(threads: Option<usize>) -> String {
    threads.map_or_else(|| "threads".to_owned(), |threads| format!("{threads} threads"))
}
