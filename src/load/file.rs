//! Reads files and standard input, but never more than the tool can use.

use std::fs::File;
use std::io::{self, Read as _};

use super::confinement::{confinement, permitted_path};
use crate::diagnostic::{Code, Diagnostic};
use crate::suggest;

/// The largest input: places are counted in 32 bits, and a value takes ten times its text in memory.
pub const BYTES_MAX: u64 = 400 * 1024 * 1024;

/// Name of standard input in messages.
pub const STDIN: &str = "<stdin>";

/// The most files that are looked for below one directory.
const FILES_MAX: usize = 10_000;

/// The files below a directory, sorted by path, without hidden ones; the path itself when it is no
/// directory.
pub fn files_below(path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(std::path::PathBuf::from(path), 0)];
    // One that may not be read is refused where it is opened.
    if !permitted_path(path).is_ok_and(|path| path.is_dir()) {
        return vec![path.to_owned()];
    }
    while let Some((folder, depth)) = open.pop() {
        // A folder that may not be read is passed over: the others may hold what is looked for.
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // What is hidden or installed was not written by the people who ask, and may be many
            // thousands of files.
            if name.starts_with('.') || name == "node_modules" || found.len() >= FILES_MAX {
                continue;
            }
            match entry.file_type() {
                // Deeper folders are no one's configuration; links are not followed at all, so
                // there are no loops.
                Ok(kind) if kind.is_dir() && depth < 16 => open.push((entry.path(), depth + 1)),
                Ok(kind) if kind.is_file() => {
                    found.push(entry.path().to_string_lossy().into_owned());
                }
                _ => {}
            }
        }
    }
    // Systems list folders in any order, and results must not depend on it.
    found.sort();
    found
}

/// The first bytes of a file, to see what it is.
///
/// # Errors
/// It cannot be read.
pub fn first_bytes(path: &str, count: usize) -> Result<Vec<u8>, Box<Diagnostic>> {
    let (file, _) = open_file(path)?;
    let mut bytes = Vec::new();
    file.take(count as u64)
        // Only the start is read: the file may be far larger than what tells its kind.
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable_file(path, &error))?;
    Ok(bytes)
}

/// Whether there is a file at this path.
pub fn is_file(path: &str) -> bool {
    permitted_path(path).is_ok_and(|path| path.is_file())
}

/// Returns how many bytes a regular file has.
pub fn file_size(path: &str) -> Option<u64> {
    let metadata = std::fs::metadata(permitted_path(path).ok()?).ok()?;
    metadata.is_file().then_some(metadata.len())
}

/// Opens a file that is read piece by piece, and tells how much of it was read.
///
/// # Errors
/// It cannot be opened.
pub fn open_counted<'p>(
    path: &str,
    progress: &'p dyn Fn(u64, Option<u64>),
) -> Result<impl io::Read + 'p, Box<Diagnostic>> {
    let (file, size) = open_file(path)?;
    let size = Some(size);
    Ok(io::BufReader::with_capacity(1 << 20, Counted { file, read: 0, size, progress }))
}

/// A file that counts what is read of it.
struct Counted<'p> {
    file: File,
    read: u64,
    size: Option<u64>,
    progress: &'p dyn Fn(u64, Option<u64>),
}

impl io::Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        (self.progress)(self.read, self.size);
        Ok(count)
    }
}

/// Returns the folder that files named in a file may lie in: the repository around it, or else its own
/// folder.
pub fn project_folder(path: &str) -> std::path::PathBuf {
    let path = std::path::Path::new(path);
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let folder = if folder.as_os_str().is_empty() { std::path::Path::new(".") } else { folder };
    // With links resolved, since `is_within` compares resolved paths.
    let Ok(folder) = folder.canonicalize() else { return folder.to_owned() };
    let is_permitted =
        |folder: &&std::path::Path| confinement().is_none_or(|within| folder.starts_with(within));
    let mut folders = folder.ancestors().take_while(is_permitted);
    let repository = folders.find(|folder| folder.join(".git").exists());
    repository.unwrap_or(&folder).to_owned()
}

/// Whether a file lies in a folder, links followed; a file that is not there lies nowhere else.
pub fn is_within(path: &str, folder: &std::path::Path) -> bool {
    std::path::Path::new(path).canonicalize().is_ok_and(|path| path.starts_with(folder))
}

/// All bytes of a file; `-` is standard input.
pub(super) fn all_bytes(path: &str) -> Result<Vec<u8>, Box<Diagnostic>> {
    if path == "-" {
        return read_limited(STDIN, io::stdin().lock());
    }
    let (file, size) = open_file(path)?;
    if size > BYTES_MAX {
        return Err(too_large(path, Some(size)));
    }
    read_limited(path, file)
}

/// Opens a regular file and returns it with its size.
pub(super) fn open_file(path: &str) -> Result<(File, u64), Box<Diagnostic>> {
    let refuse = |reason: &str, help: &str| {
        let message = format!("cannot read `{path}`: {reason}");
        Err(Box::new(Diagnostic::file_error(Code::Unreadable, message).help(help)))
    };
    // Asked before it is opened: to open a pipe waits for whoever writes to it, perhaps for ever.
    let permitted = permitted_path(path)?;
    let metadata = std::fs::metadata(&permitted).map_err(|error| unreadable_file(path, &error))?;
    if metadata.is_dir() {
        return refuse("it is a directory", "name a file in it");
    }
    if !metadata.is_file() {
        return refuse("it is not a regular file", "write `-` and give it on standard input");
    }
    let file = File::open(&permitted).map_err(|error| unreadable_file(path, &error))?;
    Ok((file, metadata.len()))
}

/// All that a stream gives; a pipe does not tell beforehand how much that is.
fn read_limited(name: &str, stream: impl io::Read) -> Result<Vec<u8>, Box<Diagnostic>> {
    let mut bytes = Vec::new();
    stream
        // One byte more than allowed shows that there is more, without reading it all.
        .take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable_file(name, &error))?;
    if bytes.len() as u64 > BYTES_MAX { Err(too_large(name, None)) } else { Ok(bytes) }
}

pub(super) fn too_large(name: &str, size: Option<u64>) -> Box<Diagnostic> {
    let mebibytes = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let limit = mebibytes(BYTES_MAX);
    let message = match size {
        Some(size) => format!("`{name}` has {} MiB; at most {limit} can be read", mebibytes(size)),
        None => format!("`{name}` has more than {limit} MiB"),
    };
    Box::new(Diagnostic::file_error(Code::TooLarge, message).help("is this the right file?"))
}

pub(super) fn unreadable_file(path: &str, error: &io::Error) -> Box<Diagnostic> {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::InvalidInput => "this cannot be the name of a file".to_owned(),
        _ => error.to_string(),
    };
    let diagnostic =
        Diagnostic::file_error(Code::Unreadable, format!("cannot read `{path}`: {reason}"));
    Box::new(match similar_file(path) {
        Some(similar) if error.kind() == io::ErrorKind::NotFound => {
            diagnostic.help(format!("did you mean `{similar}`?"))
        }
        _ => diagnostic,
    })
}

/// A file beside the missing one whose name is nearly the same.
fn similar_file(path: &str) -> Option<String> {
    let path = std::path::Path::new(path);
    let wanted = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // The message is about the missing file; a folder that cannot be read only costs the
    // suggestion.
    let entries = std::fs::read_dir(folder.unwrap_or(std::path::Path::new("."))).ok()?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    // Sorted, so that of two names that are equally near the same one is always suggested.
    names.sort();
    let nearest = suggest::nearest(wanted, names.iter().map(String::as_str))?;
    Some(path.with_file_name(nearest).to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &str) -> String {
        all_bytes(path).unwrap_err().message
    }

    #[test]
    fn a_missing_file_is_named_and_a_similar_one_offered() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("topology.yaml"), "x").unwrap();
        let path = folder.path().join("topolgy.yaml");
        let problem = all_bytes(path.to_str().unwrap()).unwrap_err();
        assert!(problem.message.ends_with("there is no such file"), "{}", problem.message);
        assert!(problem.help.unwrap().contains("topology.yaml"));
    }

    #[test]
    fn a_directory_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(message(folder.path().to_str().unwrap()).ends_with("it is a directory"));
    }

    #[test]
    #[cfg(unix)]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            let path = pipe.to_str().unwrap();
            assert!(message(path).ends_with("it is not a regular file"));
            assert!(first_bytes(path, 1).is_err());
        }
        assert!(message("/dev/zero").ends_with("it is not a regular file"));
    }

    #[test]
    fn an_unusable_name_is_refused() {
        assert!(message("a\0b").ends_with("this cannot be the name of a file"));
    }

    #[test]
    fn a_file_too_large_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // A hole: it takes no room on the disk, and reading it would take seconds.
        file.as_file().set_len(500 * 1024 * 1024).unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(message(path), format!("`{path}` has 500 MiB; at most 400 can be read"));
    }

    #[test]
    fn a_stream_is_cut_off_at_the_limit() {
        let problem = read_limited(STDIN, io::repeat(b'a')).unwrap_err();
        assert_eq!(problem.message, "`<stdin>` has more than 400 MiB");
    }
}
