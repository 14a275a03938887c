//! Files that other files name: read where they lie in the same project, and named where they do not.

use std::path::PathBuf;

use super::Options;
use super::graph::EvidenceGraph;
use crate::diagnostic::{Code, Place};
use crate::load;

/// More files than this are not followed from one.
const FILES_MAX: usize = 10_000;

/// Finds the files that a file names, beside it or below the project.
pub(super) struct NamedFiles {
    allow_outside: bool,
    /// The repository or folder of the first file, and the folder in which the program runs.
    folders: Vec<PathBuf>,
    count: usize,
}

impl NamedFiles {
    pub(super) fn new(first: &str, options: &Options) -> Self {
        let mut folders = vec![load::project_folder(first)];
        folders.extend(std::env::current_dir().and_then(|folder| folder.canonicalize()).ok());
        Self { allow_outside: options.allow_outside, folders, count: 0 }
    }

    /// Returns the path of what `file` calls `name`; warns where it cannot be read or lies outside.
    pub(super) fn find_file(
        &mut self,
        file: &str,
        name: &str,
        place: Place,
        graph: &mut EvidenceGraph,
    ) -> Option<String> {
        let name = name.trim();
        if name.contains("://") {
            let message = format!("`{name}` lies elsewhere, and was not fetched");
            graph.warn(Code::Dangling, message, place);
            return None;
        }
        let name = name.strip_prefix("file:").unwrap_or(name);
        let path = path_beside(file, name);
        if !std::path::Path::new(&path).exists() {
            let message = format!("`{name}` is not there, beside `{file}`");
            graph.warn(Code::Dangling, message, place);
            return None;
        }
        let is_within = self.folders.iter().any(|folder| load::is_within(&path, folder));
        if !self.allow_outside && !is_within {
            let message = format!(
                "`{name}` lies outside of the project, and was not read; `--allow-outside` reads it"
            );
            graph.warn(Code::Dangling, message, place);
            return None;
        }
        self.count += 1;
        (self.count <= FILES_MAX).then_some(path)
    }
}

/// Returns a path that is relative to the folder of a file, without `.` and `..` where they can be left
/// out.
fn path_beside(file: &str, name: &str) -> String {
    if name.starts_with('/') {
        return name.to_owned();
    }
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let start = if folder.starts_with('/') { "/" } else { "" };
    format!("{start}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_folder_of_the_file() {
        assert_eq!(path_beside("catalog.yaml", "./a/b.yaml"), "a/b.yaml");
        assert_eq!(path_beside("post/x.dsl", "../base/y.dsl"), "base/y.dsl");
        assert_eq!(path_beside("/a/x", "../../../y"), "/../../y");
        assert_eq!(path_beside("x", "/abs"), "/abs");
    }
}
