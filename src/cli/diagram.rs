//! `blastwave diagram`: pictures of what a simulation says.

use std::path::Path;

use clap::{Args, ValueEnum};

use super::Failure;
use super::answer::{self, Question, Runner};
use super::args::{QuestionArgs, SamplingArgs};
use super::exit::Exit;
use super::inputs;
use super::output::Output;
use super::terminal::Terminal;
use super::values;
use blastwave::engine::origins::Mode;
use blastwave::load;
use blastwave::model::{Seconds, Share};
use blastwave::render::picture::{self, Lanes, Size, Style, Theme, Unable, mermaid};
use blastwave::report::focus::{FocusReport, Lens};
use blastwave::report::{ObservedReport, Report};
use blastwave::study::explain::Asked;
use blastwave::study::rank::{self, By, Ranking};
use blastwave::study::{self, Settings, Stop};

pub(crate) const EXAMPLES: &str = "\
Examples:
  Who fails, in what order, and what holds:
    blastwave diagram shop.yaml --change v4.yaml -o cascade.svg
  When, in lanes by team, for a column of text:
    blastwave diagram shop.yaml --change v4.yaml --kind timeline --size doc -o timeline.png
  For a wiki or an issue that draws Mermaid:
    blastwave diagram shop.yaml --break payments -o cascade.mmd
  What was observed in an incident over what is simulated:
    blastwave diagram --incident friday.yaml --kind timeline -o review.svg
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

/// What to draw, and how.
#[derive(Debug, Args)]
struct PictureArgs {
    /// Draw who fails and what holds, when, or what it costs
    #[arg(long, value_name = "KIND", default_value = "cascade", help_heading = "Picture")]
    kind: Kind,

    /// Write to a file, wholly or not at all; its ending says how: svg, png, dot, mmd or csv
    ///
    /// Without it, or as `-`, an SVG goes to standard output.
    #[arg(short, long, value_name = "FILE", help_heading = "Picture")]
    output: Option<String>,

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
        value_parser = values::precision,
        default_value = "5%",
        help_heading = "Picture"
    )]
    threshold: Share,

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
        value_parser = scale,
        help_heading = "Picture"
    )]
    scale: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Who fails, in what order, and what holds
    Cascade,
    /// When each fails, and for how long
    Timeline,
    /// How many orders are lost
    Losses,
    /// What would change the loss most: protections taken away, things not stated
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
enum LanesArg {
    Team,
    Zone,
    Tier,
}

/// `2`, `1.5`.
fn scale(text: &str) -> Result<f32, String> {
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
}

impl Form {
    const ALL: [(&'static str, Self); 6] = [
        ("svg", Self::Svg),
        ("png", Self::Png),
        ("dot", Self::Dot),
        ("mmd", Self::Mermaid),
        ("mermaid", Self::Mermaid),
        ("csv", Self::Csv),
    ];

    /// By the ending of a file.
    fn of(path: Option<&str>) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != "-") else { return Ok(Self::Svg) };
        let ending = Path::new(path).extension().and_then(|it| it.to_str()).unwrap_or("");
        let ending = ending.to_ascii_lowercase();
        let found = Self::ALL.iter().find(|(known, _)| *known == ending);
        let form = found.map(|(_, form)| *form).ok_or_else(|| {
            Failure::usage(format!("`{path}` does not say what to write"))
                .help("end its name with .svg, .png, .dot, .mmd or .csv")
        })?;
        if form == Self::Png && !cfg!(feature = "png") {
            return Err(Failure::usage("this program was built without PNG")
                .help("write an SVG, or build it with the feature `png`"));
        }
        Ok(form)
    }
}

/// Simulates, and draws what came of it.
pub(crate) fn run(args: &DiagramArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let picture = &args.picture;
    let form = Form::of(picture.output.as_deref())?;
    possible(picture.kind, form)?;
    if (picture.kind == Kind::BeforeAfter) != picture.after.is_some() {
        return Err(Failure::usage("`--kind before-after` and `--after TOPOLOGY` belong together"));
    }
    let font = picture.font.as_deref().map(font).transpose()?;
    if picture.kind == Kind::Heatmap {
        return heatmap(args, form, font.as_deref(), terminal);
    }
    let output = picture.output.as_deref();
    let (inputs, incident) = match picture.incident.as_deref() {
        None => (inputs::read(&args.question)?, None),
        Some(path) => {
            let (inputs, incident) = inputs::read_with_incident(&args.question, path)?;
            (inputs, Some(incident))
        }
    };
    let observed = incident.map(|incident| ObservedReport::new(&incident, &inputs.topology));
    let question = Question::with_output(inputs, &args.question, &args.sampling, output, terminal)?;
    let style = picture.style(form, font.as_deref());
    let job = Job { args, question: &question, form, style, observed };
    let (text, is_partial) = match picture.kind {
        Kind::Cascade => job.cascade()?,
        Kind::Timeline => job.timeline()?,
        Kind::Losses => job.losses()?,
        Kind::Tornado => job.tornado()?,
        Kind::BeforeAfter => job.before_after(terminal)?,
        Kind::Heatmap => unreachable!("it asks no question about a change"),
    };
    let bytes = match form {
        Form::Png => picture.png(&text, &style)?,
        _ => text.into_bytes(),
    };
    question.output.write_bytes(&bytes, terminal)?;
    Ok(if is_partial { Exit::Interrupted } else { Exit::Done })
}

/// Lets every service break in turn, and draws which flows fail then.
fn heatmap(
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
    if sampling.precision.is_some() {
        return Err(Failure::usage("a heat-map runs the same trials for every service")
            .help("say how many with `--trials`"));
    }
    let (topology, files) = inputs::read_topology(path)?;
    let output = Output::open(picture.output.as_deref(), &files)?;
    let settings = Settings {
        seed: sampling.seed,
        stop: answer::stop(sampling),
        lasting: question.lasting.unwrap_or(Seconds::ZERO),
        is_certain: true,
        engine: sampling.engine.choice(),
    };
    let ranking = Ranking { by: By::Service, mode: Mode::Down, top: None };
    if sampling.engine == super::args::EngineOf::Boolean
        && let Some(reason) = rank::obstacle(&topology, ranking, &settings)
    {
        return Err(answer::not_boolean(reason));
    }
    let origins = rank::origins(&topology, ranking.by) as u64;
    let (Stop::Trials(trials) | Stop::Precision { max_trials: trials, .. }) = settings.stop;
    let runner = Runner { terminal, stop: Stop::Trials(trials.saturating_mul(origins)) };
    let report =
        runner.run(sampling, |progress| rank::rank(&topology, ranking, &settings, progress))?;
    let exit = sampling.ended(report.partial, report.trials)?;
    let style = picture.style(form, font);
    let text = match form {
        Form::Csv => picture::heatmap_csv(&report),
        _ => picture::heatmap(&report, &style),
    };
    let bytes = match form {
        Form::Png => picture.png(&text, &style)?,
        _ => text.into_bytes(),
    };
    output.write_bytes(&bytes, terminal)?;
    Ok(exit)
}

/// A picture to be made: each of these gives its text, and whether the simulation was interrupted.
struct Job<'a> {
    args: &'a DiagramArgs,
    question: &'a Question,
    form: Form,
    style: Style<'a>,
    observed: Option<ObservedReport>,
}

impl Job<'_> {
    fn simulated(&self) -> Result<(Report, FocusReport), Failure> {
        let inputs = &self.question.inputs;
        let report = self.question.simulate(&self.args.sampling, |progress| {
            study::simulate(&inputs.topology, &inputs.change, &self.question.settings, progress)
        })?;
        let picture = &self.args.picture;
        let lens =
            Lens { threshold: picture.threshold.get(), boxes_max: picture.size.page().boxes_max() };
        let focus = FocusReport::new(&inputs.topology, &report, &lens);
        Ok((report, focus))
    }

    fn before_after(&self, terminal: Terminal) -> Result<(String, bool), Failure> {
        let (report, before) = self.simulated()?;
        let question = self.args.question.with_topology(self.args.picture.after.as_deref());
        let inputs = inputs::read(&question)?;
        let sampling = &self.args.sampling;
        let second = Question::with_output(inputs, &question, sampling, None, terminal)?;
        let Self { args, form, style, .. } = *self;
        let second = Job { args, question: &second, form, style, observed: None };
        let (later, after) = second.simulated()?;
        let text = picture::before_after(&before, &after, &self.style);
        Ok((text, report.partial || later.partial))
    }

    fn cascade(&self) -> Result<(String, bool), Failure> {
        let (report, focus) = self.simulated()?;
        let text = match self.form {
            Form::Dot => picture::dot(&focus),
            Form::Mermaid => mermaid::flowchart(&focus).map_err(|error| too_large(&error))?,
            Form::Csv => picture::cascade_csv(&focus),
            Form::Svg | Form::Png => picture::cascade(&focus, &self.style),
        };
        Ok((text, report.partial))
    }

    fn timeline(&self) -> Result<(String, bool), Failure> {
        let (report, focus) = self.simulated()?;
        let text = match self.form {
            Form::Mermaid => mermaid::gantt(&report, &focus)
                .map_err(unable)?
                .map_err(|error| too_large(&error))?,
            Form::Csv => picture::timeline_csv(&report, &focus).map_err(unable)?,
            _ => {
                let lanes = match self.args.picture.lanes {
                    LanesArg::Team => Lanes::Team,
                    LanesArg::Zone => Lanes::Zone,
                    LanesArg::Tier => Lanes::Tier,
                };
                let observed = self.observed.as_ref();
                picture::timeline(&report, &focus, lanes, observed, &self.style).map_err(unable)?
            }
        };
        Ok((text, report.partial))
    }

    fn losses(&self) -> Result<(String, bool), Failure> {
        let (report, _) = self.simulated()?;
        let text = match self.form {
            Form::Csv => picture::losses_csv(&report),
            _ => picture::losses(&report, &self.style),
        };
        Ok((text.map_err(unable)?, report.partial))
    }

    fn tornado(&self) -> Result<(String, bool), Failure> {
        let (inputs, sampling) = (&self.question.inputs, &self.args.sampling);
        let asked = Asked { has_change: true, ..Asked::default() };
        let settings = &self.question.settings;
        let explained = self.question.run(sampling, |progress| {
            study::explain(&inputs.topology, &inputs.change, settings, &asked, progress)
        })?;
        let explained = explained.map_err(|obstacle| Failure::usage(obstacle.to_string()))?;
        sampling.ended(explained.partial, explained.trials)?;
        let text = match self.form {
            Form::Csv => picture::tornado_csv(&explained),
            _ => picture::tornado(&explained, &self.style).map_err(unable)?,
        };
        Ok((text, explained.partial))
    }
}

/// Refuses what no kind of file can show, before anything is simulated.
fn possible(kind: Kind, form: Form) -> Result<(), Failure> {
    let refuse = |what: &str, forms: &str| {
        Err(Failure::usage(format!("{what} cannot be written like that"))
            .help(format!("end the name of the file with {forms}")))
    };
    match (kind, form) {
        (Kind::Timeline, Form::Dot) => refuse("a timeline", ".svg, .png, .mmd or .csv"),
        (Kind::Losses | Kind::Tornado | Kind::Heatmap, Form::Dot | Form::Mermaid) => {
            refuse("a plot", ".svg, .png or .csv")
        }
        (Kind::BeforeAfter, Form::Dot | Form::Mermaid | Form::Csv) => {
            refuse("a comparison", ".svg or .png")
        }
        _ => Ok(()),
    }
}

fn font(path: &str) -> Result<Vec<u8>, Failure> {
    let bytes = load::bytes(path).map_err(|problem| Failure::usage(problem.message.clone()))?;
    if !picture::is_font(&bytes) {
        return Err(Failure::usage(format!("`{path}` is not a TrueType or OpenType font")));
    }
    Ok(bytes)
}

impl SizeArg {
    fn page(self) -> Size {
        match self {
            Self::Doc => Size::Doc,
            Self::Slide => Size::Slide,
            Self::Full => Size::Full,
        }
    }
}

impl PictureArgs {
    fn style<'a>(&self, form: Form, font: Option<&'a [u8]>) -> Style<'a> {
        let theme = match self.theme {
            ThemeArg::Dark => Theme::Dark,
            ThemeArg::Light => Theme::Light,
            // A PNG cannot ask who looks at it.
            ThemeArg::Auto if form == Form::Png => Theme::Light,
            ThemeArg::Auto => Theme::Auto,
        };
        Style { size: self.size.page(), theme, font }
    }

    #[cfg(feature = "png")]
    fn png(&self, svg: &str, style: &Style<'_>) -> Result<Vec<u8>, Failure> {
        picture::png(svg, self.scale, style.font).map_err(|error| {
            Failure::usage(error.to_string()).help("lower `--scale`, or raise `--threshold`")
        })
    }

    #[cfg(not(feature = "png"))]
    fn png(&self, _: &str, _: &Style<'_>) -> Result<Vec<u8>, Failure> {
        Err(Failure::usage("this program was built without PNG"))
    }
}

fn unable(why: Unable) -> Failure {
    Failure::usage(format!("this cannot be drawn: {why}"))
}

fn too_large(error: &mermaid::TooLarge) -> Failure {
    Failure::usage(error.to_string())
        .help("raise `--threshold`, or write an SVG: it has no such limit")
}
