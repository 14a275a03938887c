//! Where a result goes: to standard output, or to a file that is written completely or not at all.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::WriteArgs;
use super::terminal::Terminal;
use super::watchdog;
use blastwave::render::text::TextStyle;

/// How many names of temporary files are tried.
const ATTEMPTS: usize = 16;
/// A file of a run that was killed this much earlier is in nobody's use: no run takes longer by default.
const STALE: Duration = Duration::from_secs(2 * 3600);

/// Where a result goes.
#[derive(Debug)]
pub(crate) enum ResultOutput {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

/// A result that cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The file cannot be written.
    #[error("cannot write `{path}`: {reason}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Standard output cannot be written.
    #[error("cannot write the result: {0}")]
    Stdout(io::Error),
}

impl ResultOutput {
    /// The output of a path; tries whether it can be written, before anything is simulated.
    ///
    /// A result never takes the place of what it was made from.
    pub(crate) fn open(path: Option<&str>, inputs: &[String]) -> Result<Self, OutputError> {
        let Some(path) = path.filter(|path| *path != "-") else { return Ok(Self::Stdout) };
        let fail = |reason: String| OutputError::File { path: path.to_owned(), reason };
        let target = resolve_path(Path::new(path));
        if target.is_dir() {
            return Err(fail("it is a directory".to_owned()));
        }
        if inputs.iter().any(|input| is_same(Path::new(input), &target)) {
            return Err(fail("it is one of the inputs".to_owned()));
        }
        // The folder must take a new file, so one is made and removed.
        if is_regular(&target) {
            let (file, beside) =
                file_beside(&target).map_err(|error| fail(explain_error(&error)))?;
            drop(file);
            fs::remove_file(beside).map_err(|error| fail(explain_error(&error)))?;
        }
        Ok(Self::File(target))
    }

    /// Whether colours can be seen there.
    pub(crate) fn has_color(&self, terminal: Terminal) -> bool {
        match self {
            Self::Stdout => terminal.colors_results(),
            Self::File(_) => terminal.colors_files(),
        }
    }

    /// The width of the terminal, where it goes to one.
    pub(crate) fn terminal_width(&self) -> Option<usize> {
        match self {
            Self::Stdout => Terminal::terminal_width(),
            Self::File(_) => None,
        }
    }

    /// How text shall look there: as wide as was asked for, or as the terminal.
    pub(crate) fn text_style(&self, args: &WriteArgs, terminal: Terminal) -> TextStyle {
        let width = args.width.or(self.terminal_width()).unwrap_or(TextStyle::USUAL);
        TextStyle { width, ascii: args.ascii, color: self.has_color(terminal) }
    }

    /// Writes a result.
    pub(crate) fn write_result(&self, text: &str, terminal: Terminal) -> Result<(), OutputError> {
        self.write_bytes(text.as_bytes(), terminal)
    }

    /// Writes a result that may be no text.
    pub(crate) fn write_bytes(&self, bytes: &[u8], terminal: Terminal) -> Result<(), OutputError> {
        let written = match self {
            Self::Stdout => terminal.result_bytes(bytes).map_err(OutputError::Stdout),
            Self::File(path) => replace_file(path, bytes).map_err(|error| OutputError::File {
                path: path.display().to_string(),
                reason: explain_error(&error),
            }),
        };
        if written.is_ok() {
            watchdog::note_written();
        }
        written
    }
}

/// Where a path leads: renaming would otherwise put a file in the place of a link to it.
fn resolve_path(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn is_same(input: &Path, target: &Path) -> bool {
    fs::canonicalize(input).is_ok_and(|input| input == target)
}

/// A file, or nothing yet: not a device or a pipe, which cannot be replaced.
fn is_regular(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}

/// Writes beside the file and then renames: whoever looks sees the old text or the new one, and a
/// full disk or a lost machine leaves the old one.
fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A device or a pipe is written to directly: a rename would put a file in its place.
    if !is_regular(path) {
        return OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let (mut file, beside) = file_beside(path)?;
    watchdog::note_unfinished(Some(&beside));
    let written = file
        .write_all(bytes)
        // Before the rename, so that nobody sees the file with other rights.
        .and_then(|()| keep_permissions(path, &file))
        // On the disk before the name is taken: after a loss of power the file would else be empty.
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error tells what is wrong; that this one fails too would tell nothing more.
        drop(fs::remove_file(&beside));
    }
    watchdog::note_unfinished(None);
    written
}

/// A new file in the same directory, since a rename cannot cross file systems.
fn file_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    // A number of the process would repeat in containers, where a run that was killed left its file.
    let mut last_error = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..ATTEMPTS {
        let number = RandomState::new().build_hasher().finish();
        let beside = path.with_file_name(format!(".{name}.{number:016x}.tmp"));
        match OpenOptions::new().write(true).create_new(true).open(&beside) {
            Ok(file) => {
                remove_stale(&file, &beside, &name);
                return Ok((file, beside));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last_error = error,
            Err(error) => return Err(error),
        }
    }
    Err(last_error)
}

/// Removes what runs that were killed have left for the same result. What cannot be removed stays.
fn remove_stale(file: &File, beside: &Path, name: &str) {
    let made = |metadata: io::Result<fs::Metadata>| metadata.and_then(|data| data.modified()).ok();
    // The new file tells the time of the file system, which need not be that of the machine.
    let (Some(now), Some(folder)) = (made(file.metadata()), beside.parent()) else { return };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let number = found
            .strip_prefix('.')
            .and_then(|rest| rest.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".tmp"));
        // Only names of our own form: another program may leave files beside.
        let is_ours = number.is_some_and(|number| {
            number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let age = made(entry.metadata()).and_then(|then| now.duration_since(then).ok());
        if is_ours && age.is_some_and(|age| age > STALE) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

fn keep_permissions(path: &Path, file: &File) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) => file.set_permissions(metadata.permissions()),
        Err(_) => Ok(()),
    }
}

fn explain_error(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::InvalidInput => "this cannot be the name of a file".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.txt");
        for text in ["first", "second"] {
            replace_file(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(names(folder.path()), ["report.txt"]);
        }
    }

    #[test]
    fn a_failure_keeps_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.txt");
        replace_file(&path, b"first").unwrap();
        // What a killed run left beside it is in nobody's way.
        let (_, left) = file_beside(&path).unwrap();
        replace_file(&path, b"second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        fs::remove_file(left).unwrap();
        // A directory has come to be where the file was: it cannot be renamed over.
        let folder_at = folder.path().join("folder");
        fs::create_dir_all(folder_at.join("inside")).unwrap();
        assert!(replace_file(&folder_at, b"third").is_err());
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn what_killed_runs_have_left_is_removed_once_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.txt");
        let old = folder.path().join(".report.txt.0123456789abcdef.tmp");
        let fresh = folder.path().join(".report.txt.0123456789abcdee.tmp");
        let foreign = folder.path().join(".report.txt.mine.tmp");
        for (path, hours) in [(&old, 3_u64), (&fresh, 1), (&foreign, 3)] {
            let file = File::create(path).unwrap();
            let made = file.metadata().unwrap().modified().unwrap();
            file.set_modified(made - Duration::from_secs(hours * 3600)).unwrap();
        }
        replace_file(&path, b"first").unwrap();
        assert!(!old.exists() && fresh.exists() && foreign.exists());
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_work_begins() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("shop.yaml");
        fs::write(&input, "x").unwrap();
        let open = |path: &Path| {
            let path = path.to_str().unwrap();
            let inputs = [input.to_str().unwrap().to_owned()];
            ResultOutput::open(Some(path), &inputs).map_err(|error| error.to_string())
        };
        assert!(open(folder.path()).unwrap_err().ends_with("it is a directory"));
        assert!(open(&input).unwrap_err().ends_with("it is one of the inputs"));
        let nowhere = folder.path().join("missing").join("report.txt");
        assert!(open(&nowhere).unwrap_err().ends_with("there is no such directory"));
        assert!(open(&folder.path().join("report.txt")).is_ok());
        assert_eq!(names(folder.path()), ["shop.yaml"]);
        assert!(matches!(ResultOutput::open(Some("-"), &[]), Ok(ResultOutput::Stdout)));
    }
}
