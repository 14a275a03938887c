//! Pictures as SVG, to be put into a document: who fails, in what order, when, what holds, what it
//! costs.
//!
//! Part of a report comes in, text goes out: equal reports give equal bytes. No scripts, no ids but
//! those of title and description, colours as attributes; an `img` element shows them, and PNG is
//! made of them.

mod architecture;
mod axis;
mod cascade;
mod csv;
mod dot;
mod font;
mod frame;
mod heatmap;
mod layout;
mod losses;
pub mod mermaid;
mod palette;
#[cfg(feature = "png")]
mod png;
#[cfg(feature = "png")]
mod raster;
mod shapes;
mod svg;
mod timeline;
mod tornado;

pub use architecture::{
    Architecture, ArchitectureBox, ArchitectureLink, BoxShape, architecture_dot,
    architecture_drawio, architecture_excalidraw, architecture_mermaid, architecture_text,
    draw_architecture,
};
pub use cascade::{draw_before_after, draw_cascade};
pub use csv::{cascade_csv, losses_csv, timeline_csv};
pub use dot::cascade_dot;
pub use font::is_font;
pub use heatmap::{draw_heatmap, heatmap_csv};
pub use losses::draw_losses;
#[cfg(feature = "png")]
pub use png::{PngError, render_png};
pub(crate) use svg::escaped_xml;
pub use timeline::{TimelineLanes, Unable, draw_timeline};
pub use tornado::{draw_tornado, tornado_csv};

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChartStyle<'a> {
    /// For what kind of page.
    pub size: PageSize,
    /// On what paper.
    pub theme: Theme,
    /// A font for letters that the usual one lacks, by which text is measured.
    pub font: Option<&'a [u8]>,
}

/// For what kind of page a picture is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageSize {
    /// A column of text: at most 900 pixels wide, readable at 650.
    Doc,
    /// A slide or a wide screen.
    #[default]
    Slide,
    /// As large as it takes.
    Full,
}

impl PageSize {
    /// Maximum number of boxes fit.
    pub fn boxes_max(self) -> usize {
        match self {
            Self::Doc => 25,
            Self::Slide => 40,
            Self::Full => 400,
        }
    }
}

/// On what paper a picture is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// White.
    Light,
    /// Dark.
    Dark,
    /// White, or dark where the reader prefers it: within an `img` element too.
    #[default]
    Auto,
    /// As `Auto`, but without rules of its own: the page that it is put into has [`dark_rules`].
    Embedded,
}

/// The rules of style by which embedded pictures turn dark.
pub fn dark_rules() -> String {
    palette::Palette::dark_rules()
}
