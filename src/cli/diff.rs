//! The files that a change touches: from a list, or from git.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::thread;

use clap::Args;

use super::Failure;
use blastwave::diagnostic::Diagnostic;
use blastwave::load;
use blastwave::project::FileList;

/// How much of what git complains about is read.
const COMPLAINT_MAX: u64 = 16 * 1024;

/// Which files are changed, and which of them do not matter.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DiffArgs {
    /// Take the services whose `paths` these files match for what breaks; `-` is standard input
    ///
    /// One name on each line, seen from the root of the repository, as `git diff --name-only` writes
    /// them. Patterns are those of `CODEOWNERS`: of several services that a file matches, the last in
    /// the topology file counts. Several services are one change with one cause. The kind of the
    /// change is guessed from the names, and said to be. Files that match nothing ask for caution: what
    /// they break is not known.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "What breaks",
        conflicts_with_all = ["change", "breaks", "git_range"]
    )]
    pub(crate) changed_files: Option<String>,

    /// Names of changed files end with NUL bytes, as `git diff --name-only -z` writes them
    #[arg(short = 'z', long, help_heading = "What breaks", requires = "changed_files")]
    null: bool,

    /// The same for the files that `git diff --name-only -z A..B` names in the current folder
    #[arg(
        long,
        value_name = "A..B",
        help_heading = "What breaks",
        conflicts_with_all = ["change", "breaks"]
    )]
    git_range: Option<String>,

    /// Changed files that belong to no service, on purpose: `docs/**`; can be repeated
    ///
    /// Only for files that match no service. A change of nothing else proceeds.
    #[arg(long, value_name = "GLOB", help_heading = "What breaks")]
    ignore_files: Vec<String>,
}

/// Why there is no list.
pub(crate) enum NoList {
    Unreadable(Box<Diagnostic>),
    Failure(Failure),
}

impl From<Failure> for NoList {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl DiffArgs {
    /// The list of files; nothing where none was asked for.
    pub(crate) fn list(&self) -> Result<Option<FileList>, NoList> {
        let (bytes, is_null) = match (&self.changed_files, &self.git_range) {
            (Some(path), _) => (load::bytes(path).map_err(NoList::Unreadable)?, self.null),
            (None, Some(range)) => (git(range)?, true),
            (None, None) if self.ignore_files.is_empty() => return Ok(None),
            (None, None) => {
                let message = "`--ignore-files` needs `--changed-files` or `--git-range`";
                return Err(Failure::usage(message).into());
            }
        };
        if !is_null && bytes.contains(&0) {
            let message = "the list of changed files holds NUL bytes";
            return Err(Failure::usage(message).help("say `--null` if names end with them").into());
        }
        Ok(Some(FileList { bytes, is_null_separated: is_null, ignored: self.ignore_files.clone() }))
    }
}

/// What `git diff` names. A renamed file is named as it was and as it is.
fn git(range: &str) -> Result<Vec<u8>, Failure> {
    if range.is_empty() || range.starts_with('-') {
        return Err(Failure::usage(format!("`{range}` is not a range of git"))
            .help("write for example `--git-range origin/main...HEAD`"));
    }
    let cannot = |error: &io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "there is no such program".to_owned(),
            _ => error.to_string(),
        };
        Failure::usage(format!("cannot run `git`: {reason}"))
            .help("give the names of the files with `--changed-files`")
    };
    let mut child = Command::new("git")
        .args([
            "-c",
            "diff.relative=false",
            "diff",
            "--name-only",
            "-z",
            "--no-renames",
            range,
            "--",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot(&error))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let complaint = thread::spawn(move || all(stderr, COMPLAINT_MAX));
    let list = all(stdout, load::BYTES_MAX + 1).map_err(|error| cannot(&error))?;
    let status = child.wait().map_err(|error| cannot(&error))?;
    if list.len() as u64 > load::BYTES_MAX {
        return Err(Failure::usage(format!("`git diff` names too many files in `{range}`")));
    }
    if !status.success() {
        let complaint = complaint.join().ok().and_then(Result::ok).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint);
        let first = complaint.lines().next().unwrap_or("nothing");
        let first: String =
            first.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        return Err(Failure::usage(format!("`git diff` of `{range}` failed"))
            .help(format!("git says: {}", first.trim())));
    }
    Ok(list)
}

/// All that a stream gives, up to a limit.
fn all(stream: Option<impl Read>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
