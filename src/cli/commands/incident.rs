//! `blastwave incident`: incident files.

use clap::{Args, Subcommand};
use std::path::{Component, Path, PathBuf};

use crate::cli::Failure;
use crate::cli::exit::Exit;
use crate::cli::inputs;
use crate::cli::output::ResultOutput;
use crate::cli::terminal::Terminal;
use blastwave::diagnostic::Sources;
use blastwave::import::{TimelineText, incident_of_timeline};
use blastwave::load;

/// Commands about incident files.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Make an incident file from a timeline
    ///
    /// A timeline is a text with a time at the beginning of each line: `14:06 payments failing, 30% of
    /// requests`. Lines are understood by the names of services and flows, and by words such as failed, degraded,
    /// recovered, deployed, noticed and rolled back. What is not understood stays as a comment.
    #[command(after_help = INIT_EXAMPLES)]
    Init(IncidentInitArgs),
}

/// Arguments of `blastwave incident init`.
#[derive(Debug, Args)]
pub(crate) struct IncidentInitArgs {
    /// The topology whose services and flows the timeline names
    #[arg(value_name = "TOPOLOGY")]
    topology: String,

    /// The timeline; `-` is standard input
    #[arg(value_name = "TIMELINE")]
    timeline: String,

    /// The name of the incident
    #[arg(long, value_name = "NAME", default_value = "unnamed incident")]
    name: String,

    /// Write the incident to this file; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  Make an incident file from a timeline, and replay it:
    blastwave incident init shop.yaml friday.txt --name \"Friday\" -o friday.yaml
    blastwave replay friday.yaml";

const INIT_EXAMPLES: &str = EXAMPLES;

/// Does what is asked with incident files.
pub(crate) fn run_incident(command: &IncidentCommand, terminal: Terminal) -> Result<Exit, Failure> {
    let IncidentCommand::Init(args) = command;
    if args.topology == "-" && args.timeline == "-" {
        return Err(Failure::usage("standard input can be read only once")
            .help("give the topology or the timeline as a file"));
    }
    let (topology, mut files) = inputs::read_topology(&args.topology)?;
    let mut sources = Sources::default();
    let source = match load::read_text(&args.timeline, &mut sources) {
        Ok(source) => source,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    files.push(args.timeline.clone());
    let output = ResultOutput::open(args.output.as_deref(), &files)?;
    let topology_path = seen_from(args.output.as_deref(), &args.topology);
    let text = TimelineText { source, text: &sources.get(source).text };
    match incident_of_timeline(&text, &topology, &topology_path, &args.name) {
        Ok(text) => {
            output.write_result(&text, terminal)?;
            Ok(Exit::Done)
        }
        Err(diagnostics) => Err(Failure::Input { diagnostics, sources }),
    }
}

/// The path of a file as another file names it, which names files from its own folder.
fn seen_from(output: Option<&str>, path: &str) -> String {
    let folder =
        output.filter(|output| *output != "-").and_then(|output| Path::new(output).parent());
    let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) else {
        return path.to_owned();
    };
    let is_plain = |path: &Path| {
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    if Path::new(path).is_absolute() {
        return path.to_owned();
    }
    if is_plain(folder) {
        let up = folder.components().filter(|part| matches!(part, Component::Normal(_)));
        let up: PathBuf = up.map(|_| "..").collect();
        return up.join(path).to_string_lossy().into_owned();
    }
    // From elsewhere only a whole path is sure to lead back.
    std::path::absolute(path)
        .map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::seen_from;

    #[test]
    fn the_topology_is_named_from_the_folder_of_the_incident() {
        assert_eq!(seen_from(None, "shop.yaml"), "shop.yaml");
        assert_eq!(seen_from(Some("friday.yaml"), "shop.yaml"), "shop.yaml");
        let up = seen_from(Some("incidents/2026/friday.yaml"), "shop.yaml");
        assert_eq!(std::path::Path::new(&up), std::path::Path::new("../../shop.yaml"));
    }
}
