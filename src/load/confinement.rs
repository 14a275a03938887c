//! The folder that every file must lie in, where one is set: for questions of people one does not know.

use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::diagnostic::{Code, Diagnostic};

// Of the process, because files name further files: a scenario its topology, an incident its change. A value
// that is handed through would be forgotten at one of them.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Refuses, from now on, to read any file that does not lie in this folder, with links followed. The first
/// call counts.
///
/// # Errors
/// The folder is not there.
pub fn confine_to(folder: &str) -> Result<(), Box<Diagnostic>> {
    let refuse = |reason: &str| {
        let message = format!("cannot stay within `{folder}`: {reason}");
        Box::new(Diagnostic::file_error(Code::Unreadable, message))
    };
    let resolved = Path::new(folder).canonicalize().map_err(|error| refuse(&error.to_string()))?;
    if !resolved.is_dir() {
        return Err(refuse("it is no folder"));
    }
    FOLDER.get_or_init(|| resolved);
    Ok(())
}

/// Returns the folder that every file must lie in, with links resolved; `None` where none is set.
pub fn confinement() -> Option<&'static Path> {
    FOLDER.get().map(PathBuf::as_path)
}

/// Returns the path to open for a path that was named.
pub(super) fn permitted_path(path: &str) -> Result<PathBuf, Box<Diagnostic>> {
    match confinement() {
        Some(folder) => path_within(path, folder),
        None => Ok(PathBuf::from(path)),
    }
}

/// Returns a path with links resolved, if it lies in a folder. A file that is not there lies where the folders
/// on the way to it do.
fn path_within(path: &str, folder: &Path) -> Result<PathBuf, Box<Diagnostic>> {
    let named = Path::new(path);
    // What is opened is the resolved path: a link that is put in its place afterwards is not followed.
    let resolved = match named.canonicalize() {
        Ok(resolved) => Some(resolved),
        Err(_) => resolved_parent(named),
    };
    resolved.filter(|resolved| resolved.starts_with(folder)).ok_or_else(|| {
        let message = format!("cannot read `{path}`: it lies outside of the folder to stay in");
        let help = format!("name a file below `{}`; links are followed", folder.display());
        Box::new(Diagnostic::file_error(Code::Unreadable, message).help(help))
    })
}

/// Resolves what there is of a path to a file that is not there.
fn resolved_parent(path: &Path) -> Option<PathBuf> {
    // After a folder that is missing, `..` could lead anywhere.
    let is_plain = |part: Component<'_>| !matches!(part, Component::ParentDir);
    let mut missing = Vec::new();
    let mut rest = path;
    loop {
        missing.push(rest.file_name()?);
        rest = rest.parent()?;
        let there = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
        if let Ok(resolved) = there.canonicalize() {
            return Some(resolved.join(missing.iter().rev().collect::<PathBuf>()));
        }
        if !rest.components().all(is_plain) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_permitted(path: &Path, folder: &Path) -> bool {
        path_within(path.to_str().unwrap(), &folder.canonicalize().unwrap()).is_ok()
    }

    #[test]
    fn only_what_lies_in_the_folder_is_permitted() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("in");
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        std::fs::write(folder.join("deep/a.yaml"), "x").unwrap();
        std::fs::write(around.path().join("secret.yaml"), "x").unwrap();
        std::fs::create_dir(around.path().join("inside-by-name-only")).unwrap();
        for inside in ["deep/a.yaml", "deep/missing.yaml", "missing/b.yaml", "deep/../deep/a.yaml"]
        {
            assert!(is_permitted(&folder.join(inside), &folder), "{inside}");
        }
        for outside in [
            "../secret.yaml",
            "../missing.yaml",
            "deep/../../secret.yaml",
            "no/../../secret.yaml",
            "../inside-by-name-only",
            "..",
            "/etc/passwd",
            "/missing",
        ] {
            assert!(!is_permitted(&folder.join(outside), &folder), "{outside}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_judged_by_where_they_lead() {
        use std::os::unix::fs::symlink;
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("in");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.yaml"), "x").unwrap();
        std::fs::write(around.path().join("secret.yaml"), "x").unwrap();
        symlink("a.yaml", folder.join("stays")).unwrap();
        symlink("../secret.yaml", folder.join("leaves")).unwrap();
        symlink(around.path(), folder.join("up")).unwrap();
        assert!(is_permitted(&folder.join("stays"), &folder));
        assert!(!is_permitted(&folder.join("leaves"), &folder));
        assert!(!is_permitted(&folder.join("up/secret.yaml"), &folder));
        assert!(!is_permitted(&folder.join("up/missing.yaml"), &folder));
    }
}
