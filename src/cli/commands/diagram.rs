//! `blastwave diagram`: pictures of what a simulation says.

use std::path::Path;

use clap::{Args, ValueEnum};

use super::review;
use crate::cli::Failure;
use crate::cli::args::{QuestionArgs, SamplingArgs, WriteArgs};
use crate::cli::exit::Exit;
use crate::cli::inputs;
use crate::cli::output::ResultOutput;
use crate::cli::run::{self, Runner, SimulationRequest};
use crate::cli::terminal::Terminal;
use crate::cli::values;
use blastwave::analysis::compare::Side;
use blastwave::analysis::explain::ExplanationRequest;
use blastwave::analysis::rank::{self, RankingRequest};
use blastwave::analysis::{self, Settings, Stop};
use blastwave::cascade::{CascadeFilter, Fold, Grouping, cascade_report, page_report};
use blastwave::chart::{
    self, Architecture, ChartStyle, PageSize, Theme, TimelineLanes, Unable, mermaid,
};
use blastwave::engine::origins::FailureMode;
use blastwave::load;
use blastwave::model::{Incident, Seconds, Share};
use blastwave::render::html::{self, Made};
use blastwave::render::{self, Review};
use blastwave::report::cascade::Arrows;
use blastwave::report::{
    CascadeReport, ComparedKind, ExplainReport, ObservedReport, OriginKind, Report,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  The architecture, to be edited in draw.io (or .excalidraw, .svg, .mmd, .dot):
    blastwave diagram shop.yaml -o shop.drawio
  Who fails, in what order, and what holds, as a tree in the terminal:
    blastwave diagram shop.yaml --change v4.yaml
  The same as a picture:
    blastwave diagram shop.yaml --change v4.yaml -o cascade.svg
  When, in lanes by team, for a column of text:
    blastwave diagram shop.yaml --change v4.yaml --kind timeline --size doc -o timeline.png
  For a wiki or an issue that draws Mermaid:
    blastwave diagram shop.yaml --break payments -o cascade.mmd
  What was observed in an incident over what is simulated:
    blastwave diagram --incident friday.yaml --kind timeline -o review.svg
  An incident review to be pasted into a post-mortem:
    blastwave diagram --incident friday.yaml -o review.md
  Every picture on one page, to open in a browser:
    blastwave diagram shop.yaml --change v4.yaml -o pictures.html
  What a fallback would change, everything in the same place:
    blastwave diagram shop.yaml --after shop-v2.yaml --break payments --kind before-after -o pair.svg
  Which flows fail when which service is down:
    blastwave diagram shop.yaml --kind heatmap -o heat.svg
  The numbers of the curve of lost orders:
    blastwave diagram shop.yaml --change v4.yaml --kind losses -o losses.csv";

#[derive(Debug, Args)]
pub(crate) struct DiagramArgs {
    #[command(flatten)]
    question: QuestionArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    picture: PictureArgs,
}

/// Arguments for the picture.
#[derive(Debug, Args)]
struct PictureArgs {
    /// Draw who fails and what holds, when, or what it costs [default: cascade; architecture without a break]
    #[arg(long, value_name = "KIND", help_heading = "Picture")]
    kind: Option<PictureKind>,

    /// Write to a file, completely or not at all; its ending says how: svg, png, html, dot, mmd, csv, txt, md, drawio, excalidraw
    ///
    /// Without it, the cascade is printed as a tree; as `-`, an SVG goes to standard output. A page (html) has every
    /// picture. With `--incident`, a page or Markdown (md) is a review of the incident.
    #[arg(short, long, value_name = "FILE", help_heading = "Picture")]
    output: Option<String>,

    /// Make lines of text at most this wide [default: the terminal, or 100]
    #[arg(long, value_name = "N", value_parser = values::parse_width, help_heading = "Picture")]
    width: Option<usize>,

    /// Use only ASCII characters in text
    #[arg(long, help_heading = "Picture")]
    ascii: bool,

    /// Draw for a column of text (readable at 650 pixels), a slide, or as large as it takes
    #[arg(long, value_name = "SIZE", default_value = "slide", help_heading = "Picture")]
    size: SizeArg,

    /// Draw on light or dark paper; `auto` follows the reader, and is light in a PNG
    #[arg(long, value_name = "THEME", default_value = "auto", help_heading = "Picture")]
    theme: ThemeArg,

    /// Show what is hit in at least this share of trials; raised where too much would be shown
    #[arg(
        long,
        value_name = "SHARE",
        value_parser = values::parse_precision,
        default_value = "5%",
        help_heading = "Picture"
    )]
    threshold: Share,

    /// Show several services as one box: the callers that matter least where there are too many, or groups
    #[arg(long, value_name = "BY", default_value = "auto", help_heading = "Picture")]
    fold: FoldArg,

    /// Show every way of failure, or the strongest one for each box; `auto` shows one where many would cross
    #[arg(long, value_name = "N", default_value = "auto", help_heading = "Picture")]
    arrows: ArrowsArg,

    /// Make the lanes of a timeline of teams, zones or tiers
    #[arg(long, value_name = "BY", default_value = "team", help_heading = "Picture")]
    lanes: LanesArg,

    /// Lay what was observed in an incident over the timeline; it may name the topology and the change
    #[arg(long, value_name = "FILE", help_heading = "What breaks")]
    incident: Option<String>,

    /// The topology after a change of the architecture, for `--kind before-after`
    #[arg(long, value_name = "TOPOLOGY", help_heading = "Picture")]
    after: Option<String>,

    /// Use this font for letters that the built-in one lacks: TrueType or OpenType
    #[arg(long, value_name = "FILE", help_heading = "Picture")]
    font: Option<String>,

    /// Draw a PNG this many times as large
    #[arg(
        long,
        value_name = "FACTOR",
        default_value = "2",
        value_parser = parse_scale,
        help_heading = "Picture"
    )]
    scale: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PictureKind {
    /// Who calls whom, without a break
    Architecture,
    /// Who fails, in what order, and what holds
    Cascade,
    /// When each fails, and for how long
    Timeline,
    /// How many orders are lost
    Losses,
    /// Largest changes of the loss: protections taken away, things not stated
    Tornado,
    /// Which flow fails how likely when which service breaks: of the topology alone
    Heatmap,
    /// The cascade in two topologies, everything in the same place
    BeforeAfter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SizeArg {
    Doc,
    Slide,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ThemeArg {
    Light,
    Dark,
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FoldArg {
    /// Callers, where more are hit than fit
    Auto,
    /// Nothing: the threshold rises until what is hit fits
    Never,
    /// Services of a team
    Team,
    /// Services that run in the same failure domains
    Zone,
    /// Services of a tier
    Tier,
    /// Services of a kind
    Kind,
}

impl FoldArg {
    /// Returns what groups have in common, where there are any.
    fn grouping(self) -> Option<Grouping> {
        match self.fold_choice() {
            Fold::By(grouping) => Some(grouping),
            Fold::Never | Fold::Callers => None,
        }
    }

    fn fold_choice(self) -> Fold {
        match self {
            Self::Auto => Fold::Callers,
            Self::Never => Fold::Never,
            Self::Team => Fold::By(Grouping::Team),
            Self::Zone => Fold::By(Grouping::Zone),
            Self::Tier => Fold::By(Grouping::Tier),
            Self::Kind => Fold::By(Grouping::Kind),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ArrowsArg {
    /// One for each box where many would hide each other
    Auto,
    /// All of them
    All,
    /// The strongest way into each box
    One,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LanesArg {
    Team,
    Zone,
    Tier,
}

/// `2`, `1.5`.
fn parse_scale(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(scale) if (0.1..=20.0).contains(&scale) => Ok(scale),
        _ => Err("not a factor from 0.1 to 20".to_owned()),
    }
}

/// As what a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Svg,
    Png,
    Dot,
    Mermaid,
    Csv,
    Html,
    Markdown,
    Text,
    Drawio,
    Excalidraw,
}

impl Form {
    const ALL: [(&'static str, Self); 13] = [
        ("drawio", Self::Drawio),
        ("excalidraw", Self::Excalidraw),
        ("svg", Self::Svg),
        ("png", Self::Png),
        ("dot", Self::Dot),
        ("mmd", Self::Mermaid),
        ("mermaid", Self::Mermaid),
        ("csv", Self::Csv),
        ("html", Self::Html),
        ("htm", Self::Html),
        ("md", Self::Markdown),
        ("markdown", Self::Markdown),
        ("txt", Self::Text),
    ];

    /// By the ending of a file.
    fn of_path(path: Option<&str>) -> Result<Self, Failure> {
        let path = match path {
            None => return Ok(Self::Text),
            Some("-") => return Ok(Self::Svg),
            Some(path) => path,
        };
        let ending =
            Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let ending = ending.to_ascii_lowercase();
        let found = Self::ALL.iter().find(|(known, _)| *known == ending);
        let form = found.map(|(_, form)| *form).ok_or_else(|| {
            Failure::usage(format!("`{path}` does not say what to write"))
                .help(
                    "end its name with .svg, .png, .html, .dot, .mmd, .csv, .txt, .md, .drawio or .excalidraw",
                )
        })?;
        if form == Self::Png && !cfg!(feature = "png") {
            return Err(Failure::usage("this program was built without PNG")
                .help("write an SVG, or build it with the feature `png`"));
        }
        Ok(form)
    }
}

/// Simulates, and draws what came of it.
pub(crate) fn run_diagram(args: &DiagramArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let picture = &args.picture;
    // Everything that the arguments alone can tell is told before files are read and trials are
    // run.
    let form = Form::of_path(picture.output.as_deref())?;
    let kind = args.picture_kind()?;
    check_form(kind, form, picture.incident.is_some())?;
    if (kind == PictureKind::BeforeAfter) != picture.after.is_some() {
        return Err(Failure::usage("`--kind before-after` and `--after TOPOLOGY` belong together"));
    }
    let font = picture.font.as_deref().map(read_font).transpose()?;
    // These two ask no question about a change, so they read only the topology.
    if kind == PictureKind::Architecture {
        return write_architecture(args, form, font.as_deref(), terminal);
    }
    if kind == PictureKind::Heatmap {
        return write_heatmap(args, form, font.as_deref(), terminal);
    }
    let output = picture.output.as_deref();
    let inputs = match picture.incident.as_deref() {
        None => inputs::read_inputs(&args.question)?,
        Some(path) => inputs::read_with_incident(&args.question, path)?,
    };
    let incident = inputs.incident.clone();
    let question =
        SimulationRequest::with_output(inputs, &args.question, &args.sampling, output, terminal)?;
    let style = picture.picture_style(form, font.as_deref());
    let observed =
        incident.as_ref().map(|incident| ObservedReport::new(incident, &question.inputs.topology));
    let job = PictureJob { args, kind, question: &question, form, style, observed, terminal };
    let (text, is_partial) = match (kind, incident) {
        (_, Some(incident)) if matches!(form, Form::Html | Form::Markdown) => {
            job.write_review(incident)?
        }
        (PictureKind::BeforeAfter, _) if form == Form::Html => job.write_comparison()?,
        _ if form == Form::Html => job.write_page()?,
        (PictureKind::Cascade, _) => job.write_cascade()?,
        (PictureKind::Timeline, _) => job.write_timeline()?,
        (PictureKind::Losses, _) => job.write_losses()?,
        (PictureKind::Tornado, _) => job.write_tornado()?,
        (PictureKind::BeforeAfter, _) => job.write_before_after()?,
        (PictureKind::Heatmap | PictureKind::Architecture, _) => {
            unreachable!("they ask no question about a change")
        }
    };
    let bytes = match form {
        Form::Png => picture.png(&text, &style)?,
        _ => text.into_bytes(),
    };
    question.output.write_bytes(&bytes, terminal)?;
    Ok(if is_partial { Exit::Interrupted } else { Exit::Done })
}

impl DiagramArgs {
    /// Returns whether the command line says what breaks.
    fn has_cause(&self) -> bool {
        let asked = self.question.topology_and_breaks();
        let has_breaks = asked.is_none_or(|(_, breaks)| !breaks.is_empty());
        has_breaks || !self.question.change.is_empty() || self.picture.incident.is_some()
    }

    /// Returns the kind of picture: where nothing breaks, there is only the architecture to show.
    fn picture_kind(&self) -> Result<PictureKind, Failure> {
        let path = self.question.topology_and_breaks().map(|(path, _)| path);
        match self.picture.kind {
            Some(kind) => Ok(kind),
            // Standard input can be read only once.
            None if self.has_cause() || path == Some("-") => Ok(PictureKind::Cascade),
            None => {
                // A scenario may name the change.
                let inputs = inputs::read_with_or_without_change(&self.question)?;
                let is_still = inputs.change.targets.is_empty();
                Ok(if is_still { PictureKind::Architecture } else { PictureKind::Cascade })
            }
        }
    }
}

/// Draws the topology alone.
fn write_architecture(
    args: &DiagramArgs,
    form: Form,
    font: Option<&[u8]>,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let picture = &args.picture;
    let asked = args.question.topology_and_breaks();
    let Some((path, [])) = asked.filter(|_| !args.has_cause()) else {
        return Err(Failure::usage("an architecture is drawn of a topology alone")
            .help("leave out what breaks, or ask for `--kind cascade`"));
    };
    let (topology, files) = inputs::read_topology(path)?;
    let output = ResultOutput::open(picture.output.as_deref(), &files)?;
    let style = picture.picture_style(form, font);
    // Without folding, boxes are shown however many there are: that is what was asked for.
    let boxes_max =
        if picture.fold == FoldArg::Never { usize::MAX } else { style.size.boxes_max() };
    let architecture = Architecture::new(&topology, picture.fold.grouping(), boxes_max);
    let text = match form {
        Form::Dot => chart::architecture_dot(&architecture),
        Form::Mermaid => {
            chart::architecture_mermaid(&architecture).map_err(|error| too_large(&error))?
        }
        Form::Drawio => chart::architecture_drawio(&architecture),
        Form::Excalidraw => chart::architecture_excalidraw(&architecture),
        Form::Text => chart::architecture_text(&architecture),
        _ => chart::draw_architecture(&architecture, &style),
    };
    let bytes = match form {
        Form::Png => picture.png(&text, &style)?,
        _ => text.into_bytes(),
    };
    output.write_bytes(&bytes, terminal)?;
    Ok(Exit::Done)
}

/// Lets every service break in turn, and draws which flows fail then.
fn write_heatmap(
    args: &DiagramArgs,
    form: Form,
    font: Option<&[u8]>,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let (question, sampling, picture) = (&args.question, &args.sampling, &args.picture);
    let asked = question.topology_and_breaks();
    let has_cause = !question.change.is_empty() || picture.incident.is_some();
    let Some((path, [])) = asked.filter(|_| !has_cause) else {
        return Err(Failure::usage("a heat-map is of a topology alone")
            .help("in it every service breaks in turn: leave out what breaks"));
    };
    // A precision would need its own number of trials for each service, and the columns could not
    // be compared.
    if sampling.precision.is_some() {
        return Err(Failure::usage("a heat-map runs the same trials for every service")
            .help("say how many with `--trials`"));
    }
    let (topology, files) = inputs::read_topology(path)?;
    let output = ResultOutput::open(picture.output.as_deref(), &files)?;
    let settings = Settings {
        seed: sampling.seed,
        stop: run::stop_rule(sampling),
        lasting: question.lasting_time().unwrap_or(Seconds::ZERO),
        is_certain: true,
        engine: sampling.engine.library_choice(),
    };
    let ranking = RankingRequest { by: OriginKind::Service, mode: FailureMode::Down, top: None };
    // Asked of each service before the trials: one may suit the engine and another not.
    if sampling.engine == crate::cli::args::EngineOf::Boolean
        && let Some(reason) = rank::fluid_reason(&topology, ranking, &settings)
    {
        return Err(run::not_boolean(reason));
    }
    let origins = rank::origin_count(&topology, ranking.by) as u64;
    let (Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. }) = settings.stop;
    // The bar counts all trials of all services.
    let runner = Runner { terminal, stop: Stop::Trials(trials.saturating_mul(origins)) };
    let report = runner.run_analysis(sampling, |progress| {
        rank::rank_origins(&topology, ranking, &settings, progress)
    })?;
    let exit = sampling.exit_status(report.partial, report.trials)?;
    let style = picture.picture_style(form, font);
    let text = match form {
        Form::Csv => chart::heatmap_csv(&report),
        Form::Html => {
            html::rank_page(&report, &Made { command: &run::command_line(), inputs: &files })
        }
        _ => chart::draw_heatmap(&report, &style),
    };
    let bytes = match form {
        Form::Png => picture.png(&text, &style)?,
        _ => text.into_bytes(),
    };
    output.write_bytes(&bytes, terminal)?;
    Ok(exit)
}

/// A picture to be made: each of these gives its text, and whether the simulation was interrupted.
struct PictureJob<'a> {
    args: &'a DiagramArgs,
    kind: PictureKind,
    question: &'a SimulationRequest,
    form: Form,
    style: ChartStyle<'a>,
    observed: Option<ObservedReport>,
    terminal: Terminal,
}

impl PictureJob<'_> {
    fn simulate_cascade(&self) -> Result<(Report, CascadeReport), Failure> {
        let inputs = &self.question.inputs;
        let report = self.question.run_simulation(&self.args.sampling, |progress| {
            analysis::simulate_change(
                &inputs.topology,
                &inputs.change,
                &self.question.settings,
                progress,
            )
        })?;
        let cascade = self.cascade_of(&report, self.args.picture.size.page_size().boxes_max());
        Ok((report, cascade))
    }

    fn cascade_of(&self, report: &Report, boxes_max: usize) -> CascadeReport {
        let picture = &self.args.picture;
        let kind = self.kind;
        let fold = match (kind, picture.fold) {
            // Both sides of a comparison must show the same boxes.
            (PictureKind::BeforeAfter | PictureKind::Timeline, FoldArg::Auto) => Fold::Never,
            (_, fold) => fold.fold_choice(),
        };
        let arrows = match (kind, picture.arrows) {
            // Both sides of a comparison must show the same arrows.
            (PictureKind::BeforeAfter, _) | (_, ArrowsArg::All) => Some(Arrows::All),
            (_, ArrowsArg::One) => Some(Arrows::One),
            (_, ArrowsArg::Auto) => None,
        };
        let threshold = picture.threshold.get();
        let filter = CascadeFilter { threshold, boxes_max, fold, arrows };
        cascade_report(&self.question.inputs.topology, report, &filter)
    }

    fn explain_change(&self) -> Result<ExplainReport, Failure> {
        let inputs = &self.question.inputs;
        let asked = ExplanationRequest { has_change: true, ..ExplanationRequest::default() };
        let settings = &self.question.settings;
        let explained = self.question.run_analysis(&self.args.sampling, |progress| {
            analysis::explain_flows(&inputs.topology, &inputs.change, settings, &asked, progress)
        })?;
        explained.map_err(|obstacle| Failure::usage(obstacle.to_string()))
    }

    /// The inputs with the topology that is compared with.
    fn after_question(&self) -> Result<(SimulationRequest, QuestionArgs), Failure> {
        let args = self.args.question.with_topology(self.args.picture.after.as_deref());
        let inputs = inputs::read_inputs(&args)?;
        let sampling = &self.args.sampling;
        let question =
            // The picture is written by the first request; the second only simulates.
            SimulationRequest::with_output(inputs, &args, sampling, None, self.terminal)?;
        Ok((question, args))
    }

    fn write_before_after(&self) -> Result<(String, bool), Failure> {
        let (report, before) = self.simulate_cascade()?;
        let (question, _) = self.after_question()?;
        let Self { args, kind, form, style, terminal, .. } = *self;
        let second =
            PictureJob { args, kind, question: &question, form, style, observed: None, terminal };
        let (later, after) = second.simulate_cascade()?;
        let text = chart::draw_before_after(&before, &after, &self.style);
        Ok((text, report.partial || later.partial))
    }

    /// Both on a page, under the same trials.
    fn write_comparison(&self) -> Result<(String, bool), Failure> {
        let (after, _) = self.after_question()?;
        let first = &self.question.inputs;
        let sides = [("before", first), ("after", &after.inputs)].map(|(name, inputs)| Side {
            // Two sides of one name could not be told apart.
            name: if first.topology.name == after.inputs.topology.name {
                format!("{} ({name})", inputs.topology.name)
            } else {
                inputs.topology.name.clone()
            },
            topology: &inputs.topology,
            change: &inputs.change,
        });
        let settings = &self.question.settings;
        let report = self.question.run_analysis(&self.args.sampling, |progress| {
            analysis::compare_sides(&sides, ComparedKind::Topologies, &[], settings, progress)
        })?;
        let mut files = first.files.clone();
        // The topology differs, but the change is one file for both.
        files.extend(after.inputs.files.iter().filter(|file| !first.files.contains(file)).cloned());
        Ok((super::compare::comparison_page(&report, &sides, &files), report.partial))
    }

    /// Every picture on a page.
    fn write_page(&self) -> Result<(String, bool), Failure> {
        let (report, cascade) = self.simulate_cascade()?;
        let explained = self.explain_change()?;
        let data = page_report(&self.question.inputs.topology, &report);
        let command = run::command_line();
        let made = Made { command: &command, inputs: &self.question.inputs.files };
        let page = html::diagrams_page(&report, &cascade, &data, Some(&explained), None, &made);
        Ok((page, report.partial || explained.partial))
    }

    /// The review of an incident, as a page or as Markdown.
    fn write_review(&self, incident: Incident) -> Result<(String, bool), Failure> {
        let (report, mut cascade) = self.simulate_cascade()?;
        let studied =
            review::study_incident(self.question, &self.args.sampling, incident, &report)?;
        let observed = self.observed.as_ref().expect("there is an incident");
        let review::Studied { replayed, advice, is_partial } = &studied;
        let command = run::command_line();
        let is_partial = report.partial || *is_partial;
        let write = |cascade: &CascadeReport| {
            let review = Review { report: &report, focus: cascade, observed, replayed, advice };
            if self.form == Form::Markdown {
                return render::markdown::review_markdown(&review, &command);
            }
            let data = page_report(&self.question.inputs.topology, &report);
            let made = Made { command: &command, inputs: &self.question.inputs.files };
            Ok(html::review_page(&review, &data, &made))
        };
        // Mermaid takes so much and no more: the threshold rises until it fits.
        while write(&cascade).is_err() && cascade.boxes.len() > 1 {
            cascade = self.cascade_of(&report, cascade.boxes.len() * 2 / 3);
        }
        let text = write(&cascade).map_err(|error| too_large(&error))?;
        Ok((text, is_partial))
    }

    fn write_cascade(&self) -> Result<(String, bool), Failure> {
        let (report, cascade) = self.simulate_cascade()?;
        let text = match self.form {
            Form::Dot => chart::cascade_dot(&cascade),
            Form::Mermaid => {
                mermaid::cascade_flowchart(&cascade).map_err(|error| too_large(&error))?
            }
            Form::Csv => chart::cascade_csv(&cascade),
            Form::Text => {
                let PictureArgs { width, ascii, .. } = self.args.picture;
                let to = WriteArgs { output: None, width, ascii };
                let style = self.question.output.text_style(&to, self.terminal);
                render::text::render_tree(&report, &cascade, &style)
            }
            _ => chart::draw_cascade(&cascade, &self.style),
        };
        Ok((text, report.partial))
    }

    fn write_timeline(&self) -> Result<(String, bool), Failure> {
        let (report, cascade) = self.simulate_cascade()?;
        let text = match self.form {
            Form::Mermaid => mermaid::timeline_gantt(&report, &cascade, self.observed.as_ref())
                .map_err(png_failure)?
                .map_err(|error| too_large(&error))?,
            Form::Csv => chart::timeline_csv(&report, &cascade).map_err(png_failure)?,
            _ => {
                let lanes = match self.args.picture.lanes {
                    LanesArg::Team => TimelineLanes::Team,
                    LanesArg::Zone => TimelineLanes::Zone,
                    LanesArg::Tier => TimelineLanes::Tier,
                };
                let observed = self.observed.as_ref();
                chart::draw_timeline(&report, &cascade, lanes, observed, &self.style)
                    .map_err(png_failure)?
            }
        };
        Ok((text, report.partial))
    }

    fn write_losses(&self) -> Result<(String, bool), Failure> {
        let (report, _) = self.simulate_cascade()?;
        let text = match self.form {
            Form::Csv => chart::losses_csv(&report),
            _ => chart::draw_losses(&report, &self.style),
        };
        Ok((text.map_err(png_failure)?, report.partial))
    }

    fn write_tornado(&self) -> Result<(String, bool), Failure> {
        let explained = self.explain_change()?;
        // Of a run that was interrupted nothing is written without `--partial`.
        self.args.sampling.exit_status(explained.partial, explained.trials)?;
        let text = match self.form {
            Form::Csv => chart::tornado_csv(&explained),
            _ => chart::draw_tornado(&explained, &self.style).map_err(png_failure)?,
        };
        Ok((text, explained.partial))
    }
}

/// Refuses what no kind of file can show, before anything is simulated.
fn check_form(kind: PictureKind, form: Form, has_incident: bool) -> Result<(), Failure> {
    let refuse = |what: &str, forms: &str| {
        Err(Failure::usage(format!("{what} cannot be written like that"))
            .help(format!("end the name of the file with {forms}")))
    };
    match (kind, form) {
        (PictureKind::Architecture, Form::Csv | Form::Html | Form::Markdown) => {
            refuse("an architecture", ".svg, .png, .mmd, .dot, .drawio, .excalidraw or .txt")
        }
        // Text is for a terminal, which can show a tree but no plot.
        (PictureKind::Cascade | PictureKind::Architecture, Form::Text) => Ok(()),
        (kind, Form::Drawio | Form::Excalidraw) if kind != PictureKind::Architecture => {
            refuse("a simulation", ".svg, .png, .html or .csv")
        }
        (_, Form::Text) => Err(Failure::usage("only the cascade is printed as text")
            .help("name a file with `-o`: .svg, .png, .html or .csv; or `-o -` for an SVG")),
        (_, Form::Markdown) if !has_incident => Err(Failure::usage(
            "Markdown is for the review of an incident",
        )
        .help("name the incident with `--incident`; `simulate --format markdown` writes a report")),
        (PictureKind::Timeline, Form::Dot) => {
            refuse("a timeline", ".svg, .png, .html, .mmd or .csv")
        }
        (
            PictureKind::Losses | PictureKind::Tornado | PictureKind::Heatmap,
            Form::Dot | Form::Mermaid,
        ) => refuse("a plot", ".svg, .png, .html or .csv"),
        (PictureKind::BeforeAfter, Form::Dot | Form::Mermaid | Form::Csv) => {
            refuse("a comparison", ".svg, .png or .html")
        }
        _ => Ok(()),
    }
}

fn read_font(path: &str) -> Result<Vec<u8>, Failure> {
    let bytes =
        load::read_bytes(path).map_err(|problem| Failure::usage(problem.message.clone()))?;
    // Asked before any trial is run.
    if !chart::is_font(&bytes) {
        return Err(Failure::usage(format!("`{path}` is not a TrueType or OpenType font")));
    }
    Ok(bytes)
}

impl SizeArg {
    fn page_size(self) -> PageSize {
        match self {
            Self::Doc => PageSize::Doc,
            Self::Slide => PageSize::Slide,
            Self::Full => PageSize::Full,
        }
    }
}

impl PictureArgs {
    fn picture_style<'a>(&self, form: Form, font: Option<&'a [u8]>) -> ChartStyle<'a> {
        let theme = match self.theme {
            ThemeArg::Dark => Theme::Dark,
            ThemeArg::Light => Theme::Light,
            // A PNG cannot ask who looks at it.
            ThemeArg::Auto if form == Form::Png => Theme::Light,
            ThemeArg::Auto => Theme::Auto,
        };
        ChartStyle { size: self.size.page_size(), theme, font }
    }

    #[cfg(feature = "png")]
    fn png(&self, svg: &str, style: &ChartStyle<'_>) -> Result<Vec<u8>, Failure> {
        chart::render_png(svg, self.scale, style.font).map_err(|error| {
            Failure::usage(error.to_string()).help("lower `--scale`, or raise `--threshold`")
        })
    }

    #[cfg(not(feature = "png"))]
    #[expect(clippy::unused_self, reason = "called as the one that draws")]
    fn png(&self, _: &str, _: &ChartStyle<'_>) -> Result<Vec<u8>, Failure> {
        Err(Failure::usage("this program was built without PNG"))
    }
}

fn png_failure(why: Unable) -> Failure {
    Failure::usage(format!("this cannot be drawn: {why}"))
}

fn too_large(error: &mermaid::TooLarge) -> Failure {
    Failure::usage(error.to_string())
        .help("raise `--threshold`, or write an SVG: it has no such limit")
}
