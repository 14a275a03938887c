//! A picture as PNG.

use png::{BitDepth, ColorType, DeflateCompression, Encoder, EncodingError, Filter};
use roxmltree::Document;
use tiny_skia::Pixmap;

use super::font::Ruler;
use super::raster::{Raster, picture_size};

/// The longest side in pixels: a larger picture takes seconds and hundreds of megabytes.
pub(super) const SIDE_MAX: f32 = 16_000.0;

/// Why a picture cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// It would be too large.
    #[error(
        "the picture would be {width:.0} by {height:.0} pixels, and at most {SIDE_MAX:.0} can be drawn"
    )]
    TooLarge {
        /// Its width in pixels.
        width: f32,
        /// Its height in pixels.
        height: f32,
    },
    /// It is no picture of ours, or there is no memory.
    #[error("the picture cannot be drawn: {0}")]
    Undrawable(String),
}

/// Draws an SVG of this room as PNG, so many pixels for each of its own. A further font serves for
/// letters that the usual one lacks.
///
/// # Errors
/// Where it would be too large, or is no SVG.
pub fn render_png(svg: &str, scale: f32, further: Option<&[u8]>) -> Result<Vec<u8>, PngError> {
    let wrong = |error: &dyn std::fmt::Display| PngError::Undrawable(error.to_string());
    let picture = Document::parse(svg).map_err(|error| wrong(&error))?;
    let (width, height) = picture_size(&picture).ok_or_else(|| wrong(&"it has no size"))?;
    let (width, height) = (width * scale, height * scale);
    if !(width <= SIDE_MAX && height <= SIDE_MAX) {
        return Err(PngError::TooLarge { width, height });
    }
    #[expect(clippy::cast_sign_loss, reason = "sizes are not negative")]
    let (width, height) = (width.ceil().max(1.0) as u32, height.ceil().max(1.0) as u32);
    let mut pixels = Pixmap::new(width, height).ok_or_else(|| wrong(&"no memory"))?;
    Raster::new(&mut pixels, &Ruler::new(further), scale).draw_picture(&picture);
    encode_png(&pixels).map_err(|error| wrong(&error))
}

/// Pictures have a ground, so that nothing shines through. Most rows are as the one above, and
/// looking for anything else takes longer than drawing.
fn encode_png(pixels: &Pixmap) -> Result<Vec<u8>, EncodingError> {
    let is_opaque = pixels.pixels().iter().all(|pixel| pixel.alpha() == u8::MAX);
    let mut bytes = Vec::with_capacity(pixels.data().len());
    for pixel in pixels.pixels() {
        let demultiply = pixel.demultiply();
        bytes.extend([demultiply.red(), demultiply.green(), demultiply.blue()]);
        if !is_opaque {
            bytes.push(demultiply.alpha());
        }
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, pixels.width(), pixels.height());
    encoder.set_color(if is_opaque { ColorType::Rgb } else { ColorType::Rgba });
    encoder.set_depth(BitDepth::Eight);
    encoder.set_deflate_compression(DeflateCompression::FdeflateUltraFast);
    encoder.set_filter(Filter::Up);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&bytes)?;
    writer.finish()?;
    Ok(file)
}
