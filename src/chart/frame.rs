//! Frame of every picture: its title, its basis, and a description for those who cannot see it.

use super::font::{FAMILIES, Ruler, Weight};
use super::layout::Point;
use super::palette::Palette;
use super::svg::{LabelStyle, Svg, coordinate_text, escaped_xml};
use super::{ChartStyle, PageSize, Theme};
use crate::prose::format;
use crate::prose::terms;
use crate::report::CascadeReport;
use crate::report::FailureMode;

/// The room around everything.
pub(super) const MARGIN: f64 = 18.0;

/// Sizes of letters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Letters {
    pub(super) title: f64,
    pub(super) plain: f64,
    pub(super) small: f64,
    pub(super) tiny: f64,
}

impl Letters {
    /// For a kind of page: what is shrunk to a column must be larger before.
    pub(super) fn for_page(size: PageSize) -> Self {
        match size {
            PageSize::Doc => Self { title: 19.0, plain: 14.0, small: 13.0, tiny: 12.0 },
            PageSize::Slide | PageSize::Full => {
                Self { title: 19.0, plain: 13.0, small: 11.5, tiny: 10.5 }
            }
        }
    }
}

/// A sheet that is drawn on from top to bottom.
pub(super) struct Sheet<'a> {
    pub(super) svg: Svg,
    pub(super) ruler: Ruler<'a>,
    pub(super) letters: Letters,
    pub(super) style: ChartStyle<'a>,
    /// How wide it is.
    pub(super) width: f64,
    /// How far it is filled.
    pub(super) top: f64,
}

impl<'a> Sheet<'a> {
    /// An empty one. Its width may still grow.
    pub(super) fn new(style: &ChartStyle<'a>, width: f64) -> Self {
        Self {
            svg: Svg::new(style.theme),
            ruler: Ruler::new(style.font),
            letters: Letters::for_page(style.size),
            style: *style,
            width,
            top: MARGIN,
        }
    }

    /// The room within the margins.
    pub(super) fn inner_width(&self) -> f64 {
        self.width - 2.0 * MARGIN
    }

    /// The title, a sentence, and below it what it rests on.
    pub(super) fn draw_head(&mut self, title: &str, notes: &[String]) {
        let letters = self.letters;
        self.draw_paragraph(title, LabelStyle::new(letters.title, Palette::Text).bold());
        self.top += 2.0;
        for note in notes {
            self.draw_paragraph(note, LabelStyle::new(letters.small, Palette::Soft));
        }
        self.top += 12.0;
    }

    /// A text in as many lines as it takes.
    pub(super) fn draw_paragraph(&mut self, text: &str, how: LabelStyle) {
        for line in self.ruler.wrap_text(text, how.size, how.weight, self.inner_width()) {
            self.top += how.size * 1.12;
            self.svg.draw_text(Point { x: MARGIN, y: self.top }, how, &line);
            self.top += how.size * 0.28;
        }
    }

    /// The width of a text.
    pub(super) fn text_width(&self, text: &str, size: f64, weight: Weight) -> f64 {
        self.ruler.text_width(text, size, weight)
    }

    /// The whole picture. `kind` tells it apart from others on a page.
    pub(super) fn into_svg(self, kind: &str, title: &str, description: &str) -> String {
        let (width, height) =
            (coordinate_text(self.width.ceil()), coordinate_text((self.top + MARGIN).ceil()));
        let theme = self.style.theme;
        // Only a picture that follows its page needs rules: a fixed theme has its colours in the
        // shapes.
        let style = match theme {
            Theme::Auto => format!(
                "<style>@media (prefers-color-scheme: dark) {{\n{}}}</style>\n",
                Palette::dark_rules()
            ),
            _ => String::new(),
        };
        // The paper comes first in the file, below everything, and its size is known only at the
        // end.
        let mut paper = Svg::new(theme);
        paper.draw_rect(
            Point::default(),
            (self.width.ceil(), (self.top + MARGIN).ceil()),
            0.0,
            Some(Palette::Paper),
            None,
        );
        // Screen readers announce the title and the description by these identifiers, which must be
        // unique on a page.
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"bw-{kind}-title bw-{kind}-desc\" font-family=\"{FAMILIES}\">\n\
             <title id=\"bw-{kind}-title\">{}</title>\n<desc id=\"bw-{kind}-desc\">{}</desc>\n\
             {style}{}{}</svg>\n",
            escaped_xml(title),
            escaped_xml(description),
            paper.into_body(),
            self.svg.into_body()
        )
    }
}

/// `10,000 trials, seed 1 · simulated, not measured`.
pub(super) fn provenance_note(trials: u64, seed: u64) -> String {
    // On 32-bit machines `usize` may be smaller than the number of trials.
    let trials = format::plural(usize::try_from(trials).unwrap_or(usize::MAX), "trial");
    format!("{trials}, seed {seed} · simulated, not measured")
}

/// The share of trials from which on things are drawn.
pub(super) fn threshold_note(cascade: &CascadeReport) -> String {
    format::stated_share((cascade.threshold * 1000.0).round() / 1000.0)
}

/// The services that are hit too seldom to be drawn, or never.
pub(super) fn services_left_out(cascade: &CascadeReport) -> Vec<String> {
    let mut parts = Vec::new();
    if cascade.omitted > 0 {
        let services = format::plural(cascade.omitted, "service");
        parts.push(format!("{services} hit too, which fail less often than those drawn"));
    }
    if cascade.rarely_hit > 0 {
        let services = format::plural(cascade.rarely_hit, "service");
        parts.push(format!("{services} hit in under {} of trials", threshold_note(cascade)));
    }
    if cascade.untouched > 0 {
        parts.push(format!("{} never touched", format::plural(cascade.untouched, "service")));
    }
    parts
}

/// `If payments goes down`.
pub(super) fn cause_clause(targets: &[String], mode: Option<FailureMode>, change: &str) -> String {
    // What is broken on the command line has no other name than its targets.
    let is_break = change == format!("break {}", targets.join(", "));
    let is_few = (1..=3).contains(&targets.len()) || is_break;
    let Some(mode) = mode.filter(|_| is_few) else {
        return format!("If {change} breaks");
    };
    let [one, many] = terms::mode_verbs(Some(mode));
    let verb = if targets.len() == 1 { one } else { many };
    format!("If {} {verb}", format::list(targets, "and", 3))
}
