//! Import of a whole directory: which files can be read, and what keeps the others from it.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::recognition::{Recognition, Unrendered, recognize_file};
use super::{EvidenceGraph, Format, Options, read_files};
use crate::diagnostic::{Code, Diagnostic, Sources};
use crate::load;

/// Files by their format, and what is said of each.
#[derive(Debug, Default)]
pub struct Recognized {
    /// The files of each format, together, since some belong to one another.
    pub groups: Vec<(Format, Vec<String>)>,
    /// One line for each file, with its format or why it is left out.
    pub notes: Vec<String>,
    /// Files that must be rendered first, by path.
    unrendered: Vec<(String, Unrendered)>,
    /// Files of which nothing is known by themselves: each with the place of its note.
    unknown: Vec<(String, usize)>,
    /// Files of other tools, by path.
    others: Vec<(String, &'static str)>,
    /// Problems that keep files from being read.
    problems: Vec<Diagnostic>,
}

/// Looks at each file, in directories at all below them.
///
/// # Errors
/// No file is of a format that can be imported.
pub fn recognize_files(paths: &[String]) -> Result<Recognized, Vec<Diagnostic>> {
    let files: Vec<String> = paths.iter().flat_map(|path| load::files_below(path)).collect();
    let charts: BTreeSet<String> = files
        .iter()
        .filter_map(|path| path.strip_suffix("Chart.yaml").map(str::to_owned))
        .collect();
    let mut recognized = Recognized::default();
    for path in files {
        // One note for the chart says enough: none of its parts can be read before it is rendered.
        if !is_part_of_chart(&path, &charts) {
            recognized.add_path(path);
        }
    }
    if recognized.groups.is_empty() {
        return Err(recognized.nothing_found());
    }
    // Which facts come first must not depend on how the files are called.
    recognized.groups.sort_by_key(|(format, _)| *format);
    Ok(recognized)
}

/// Returns a problem without its place: the text that was looked at is not kept.
fn without_place(path: &str, problem: Diagnostic) -> Diagnostic {
    let message = match problem.primary {
        Some(_) => format!("`{path}` cannot be read: {}", problem.message),
        None => problem.message,
    };
    Diagnostic { message, primary: None, others: Vec::new(), fix: None, ..problem }
}

/// Returns a path without `.` and `NAME/..`, so that two ways to write it are equal.
fn without_dots(path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// Returns whether a file is rendered together with the chart above it.
fn is_part_of_chart(path: &str, charts: &BTreeSet<String>) -> bool {
    let parts = ["templates/", "charts/", "crds/", "ci/", "values", "Chart.lock", ".helmignore"];
    charts.iter().any(|chart| {
        path.strip_prefix(chart.as_str())
            .is_some_and(|rest| parts.iter().any(|part| rest.starts_with(part)))
    })
}

impl Recognized {
    fn add_path(&mut self, path: String) {
        let known = recognize_file(&path).unwrap_or_else(Recognition::Unreadable);
        match known {
            Recognition::Format(format) => {
                self.notes.push(format!("{path}: {}", format.name()));
                match self.groups.iter_mut().find(|(known, _)| *known == format) {
                    Some((_, files)) => files.push(path),
                    None => self.groups.push((format, vec![path])),
                }
            }
            Recognition::Unrendered(what) => {
                self.notes.push(format!(
                    "{path}: {}, left out; {}",
                    what.description(),
                    what.remedy()
                ));
                self.unrendered.push((path, what));
            }
            Recognition::Other(what) => {
                self.notes.push(format!("{path}: left out, it is {what}"));
                self.others.push((path, what));
            }
            Recognition::Unreadable(problems) => {
                let first =
                    problems.first().map_or("it cannot be read", |problem| &problem.message);
                self.notes.push(format!("{path}: left out, {first}"));
                self.problems
                    .extend(problems.into_iter().map(|problem| without_place(&path, problem)));
            }
            Recognition::Unknown => {
                self.notes.push(format!("{path}: not recognised, left out"));
                self.unknown.push((path, self.notes.len() - 1));
            }
        }
    }

    /// Adds what the files of each format say to a graph; a file that cannot be read is left out with a
    /// warning, and the others are imported all the same.
    ///
    /// Then the notes know of the configuration of gateways that Compose files mount: only their reader
    /// can tell.
    ///
    /// # Errors
    /// No file at all can be read.
    pub fn read_groups(
        &mut self,
        options: &Options,
        graph: &mut EvidenceGraph,
        sources: &mut Sources,
        progress: &dyn Fn(u64, Option<u64>),
    ) -> Result<(), Vec<Diagnostic>> {
        read_groups(&self.groups, options, graph, sources, progress)?;
        let mounted: BTreeSet<PathBuf> =
            graph.mounted_files.iter().map(|path| without_dots(path)).collect();
        for (path, note) in &self.unknown {
            if mounted.contains(&without_dots(path)) {
                self.notes[*note] = format!("{path}: read with the Compose file that mounts it");
            }
        }
        Ok(())
    }

    /// Returns why nothing can be imported: the most useful reason first.
    fn nothing_found(self) -> Vec<Diagnostic> {
        if let [(path, what), ..] = self.unrendered.as_slice() {
            let message = format!(
                "nothing can be imported before it is rendered: `{path}` is {}",
                what.description()
            );
            let mut remedies: Vec<String> = Vec::new();
            for (_, what) in &self.unrendered {
                // Three commands show how it is done; a repository may hold hundreds of charts.
                if !remedies.contains(&what.remedy()) && remedies.len() < 3 {
                    remedies.push(what.remedy());
                }
            }
            let problem = Diagnostic::file_error(Code::WrongKind, message);
            return vec![problem.help(remedies.join("; or "))];
        }
        if let [(path, what), ..] = self.others.as_slice() {
            let message = format!("`{path}` cannot be imported: it is {what}");
            return vec![Diagnostic::file_error(Code::WrongKind, message)];
        }
        if !self.problems.is_empty() {
            return self.problems;
        }
        let message = "none of the files looks like anything that can be imported";
        vec![
            Diagnostic::file_error(Code::WrongKind, message)
                .help("name the format: `blastwave import FORMAT FILE`"),
        ]
    }
}

fn read_groups(
    groups: &[(Format, Vec<String>)],
    options: &Options,
    graph: &mut EvidenceGraph,
    sources: &mut Sources,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<(), Vec<Diagnostic>> {
    let mut is_read = false;
    let mut left_out: Vec<(String, Vec<Diagnostic>)> = Vec::new();
    for (format, files) in groups {
        // An importer may stop halfway: it works on a copy until it is through.
        let mut attempt = graph.clone();
        match read_files(*format, files, options, &mut attempt, sources, progress) {
            Ok(()) => {
                *graph = attempt;
                is_read = true;
            }
            Err(problems) if files.len() == 1 => left_out.push((files[0].clone(), problems)),
            Err(problems) => {
                // One broken file must not hide the others. Those that can be read alone are then
                // read together, since they may belong to one another.
                let (good, bad) = separate_unreadable(*format, files, options, sources, progress);
                let mut attempt = graph.clone();
                let again = read_files(*format, &good, options, &mut attempt, sources, progress);
                if !bad.is_empty() && !good.is_empty() && again.is_ok() {
                    *graph = attempt;
                    is_read = true;
                    left_out.extend(bad);
                } else {
                    left_out.push((files[0].clone(), problems));
                }
            }
        }
    }
    if !is_read {
        return Err(left_out.into_iter().flat_map(|(_, problems)| problems).collect());
    }
    for (path, problems) in left_out {
        for mut problem in problems {
            problem.severity = crate::diagnostic::Severity::Warning;
            problem.message = format!("`{path}` is left out: {}", problem.message);
            // The help is for those who meant just this file.
            problem.help = None;
            problem.fix = None;
            graph.warn_all(vec![problem]);
        }
    }
    Ok(())
}

/// Tells the files that can be read alone from those that cannot.
fn separate_unreadable(
    format: Format,
    files: &[String],
    options: &Options,
    sources: &mut Sources,
    progress: &dyn Fn(u64, Option<u64>),
) -> (Vec<String>, Vec<(String, Vec<Diagnostic>)>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for file in files {
        let one = std::slice::from_ref(file);
        match read_files(format, one, options, &mut EvidenceGraph::default(), sources, progress) {
            // What has no service by itself may say something of those of another file.
            Err(problems) if problems.iter().all(|problem| problem.code != Code::Empty) => {
                bad.push((file.clone(), problems));
            }
            _ => good.push(file.clone()),
        }
    }
    (good, bad)
}
