//! Streams, colours and widths: the only place that speaks to the terminal.

use std::io::{self, Write as _};

use anstream::{AutoStream, ColorChoice};
use blastwave::render::without_commands;

use super::args::{ColorWhen, ConsoleArgs};

/// The two streams and how to use them. Results go to standard output, all else to standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    color: ColorChoice,
    is_quiet: bool,
    has_progress: bool,
}

impl Terminal {
    /// As the user wants it.
    pub(crate) fn new(args: ConsoleArgs) -> Self {
        let color = match args.color {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::Always,
            ColorWhen::Never => ColorChoice::Never,
        };
        Self { color, is_quiet: args.quiet, has_progress: !args.quiet && !args.no_progress }
    }

    /// Whether a progress bar is wanted, where there is a terminal for it.
    pub(crate) fn has_progress(self) -> bool {
        self.has_progress
    }

    /// Whether results on standard output have colours.
    pub(crate) fn colors_results(self) -> bool {
        self.resolve_color(AutoStream::choice(&io::stdout()))
    }

    /// Whether a result in a file has colours: only where they are asked for.
    pub(crate) fn colors_files(self) -> bool {
        self.color == ColorChoice::Always
    }

    /// Whether messages have colours.
    pub(crate) fn colors_messages(self) -> bool {
        self.resolve_color(AutoStream::choice(&io::stderr()))
    }

    fn resolve_color(self, found: ColorChoice) -> bool {
        match self.color {
            ColorChoice::Auto => !matches!(found, ColorChoice::Never),
            chosen => chosen == ColorChoice::Always,
        }
    }

    /// How wide the terminal is that results go to, if they go to one.
    pub(crate) fn terminal_width() -> Option<usize> {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(usize::from(width.0))
    }

    /// Writes a result to standard output.
    ///
    /// A reader that has seen enough and closed the pipe is no failure: the verdict stands.
    pub(crate) fn write_result(self, text: &str) -> io::Result<()> {
        self.result_bytes(text.as_bytes())
    }

    /// The same of a result that may be no text.
    pub(crate) fn result_bytes(self, bytes: &[u8]) -> io::Result<()> {
        let choice = if self.colors_results() { ColorChoice::Always } else { ColorChoice::Never };
        let mut stream = AutoStream::new(io::stdout().lock(), choice);
        let written = stream.write_all(bytes).and_then(|()| stream.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Says something that a person may want to know.
    pub(crate) fn write_note(self, text: &str) {
        if !self.is_quiet {
            self.write_message(text);
        }
    }

    /// Says what went wrong.
    pub(crate) fn write_error(self, text: &str) {
        let style = if self.colors_messages() { "\u{1b}[1m\u{1b}[31m" } else { "" };
        let reset = if self.colors_messages() { "\u{1b}[0m" } else { "" };
        self.write_message(&format!("{style}error{reset}: {text}\n"));
    }

    /// Writes to standard error. If even that is closed, there is nobody left to tell.
    pub(crate) fn write_message(self, text: &str) {
        let choice = if self.colors_messages() { ColorChoice::Always } else { ColorChoice::Never };
        let text = without_commands(text);
        let mut stream = AutoStream::new(io::stderr().lock(), choice);
        drop(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()));
    }
}
