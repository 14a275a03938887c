//! The files that a change touches: from a list, or from git.

use clap::Args;

use super::Failure;
use super::git;
use blastwave::diagnostic::Diagnostic;
use blastwave::load;
use blastwave::model::authorship::Authorship;
use blastwave::project::{ChangedFiles, FileList};

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
        conflicts_with_all = ["change", "breaks", "git_range", "plan", "manifests"]
    )]
    pub(crate) changed_files: Option<String>,

    /// Names of changed files end with NUL bytes, as `git diff --name-only -z` writes them
    #[arg(short = 'z', long, help_heading = "What breaks", requires = "changed_files")]
    null: bool,

    /// The same for the files that differ between two commits of the repository in the current folder
    ///
    /// `A..B` compares two commits, `A...B` what B added since it left A. Files are left out in which only
    /// comments differ, or white space that the language ignores, and so are tests, documentation and
    /// generated files; the report names them. Nothing that the repository configures is run. Who made and
    /// reviewed the change, and what it relies on, is read from the trailers and links of the commits.
    #[arg(
        long,
        value_name = "A..B",
        help_heading = "What breaks",
        conflicts_with_all = ["change", "breaks", "plan", "manifests"]
    )]
    git_range: Option<String>,

    /// How such a change is shipped: a change file without `targets`
    ///
    /// It stands before what the topology declares with `rollout`, `detection` and `rollback`.
    #[arg(long, value_name = "FILE", help_heading = "What breaks")]
    rollout: Option<String>,

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
    /// Returns the commit that the range of git starts from; `None` without a range.
    pub(crate) fn base_commit(&self) -> Result<Option<String>, Failure> {
        self.git_range.as_deref().map(git::base_of_range).transpose()
    }

    /// Returns the changed files; `None` where none were asked for.
    pub(crate) fn file_list(&self) -> Result<Option<FileList>, NoList> {
        if self.ignore_files.iter().any(|pattern| pattern.trim().is_empty()) {
            // An unset variable in a script must not make every file belong to nobody.
            let message = "an empty pattern for `--ignore-files`";
            return Err(Failure::usage(message)
                .help("write for example `--ignore-files 'docs/**'`, or leave it out")
                .into());
        }
        let mut authorship = Authorship::default();
        let files = match (&self.changed_files, &self.git_range) {
            (Some(path), _) => {
                let bytes = load::read_bytes(path).map_err(NoList::Unreadable)?;
                self.refuse_nul_bytes(&bytes)?;
                ChangedFiles::Names { bytes, is_null_separated: self.null }
            }
            (None, Some(range)) => {
                authorship = Authorship::of_commits(&git::commit_texts(range)?);
                ChangedFiles::Contents(git::changed_files(range)?)
            }
            (None, None) => {
                self.refuse_lonely_flags()?;
                return Ok(None);
            }
        };
        let (shipped_as, ignored) = (self.rollout.clone(), self.ignore_files.clone());
        Ok(Some(FileList { files, shipped_as, ignored, authorship }))
    }

    fn refuse_nul_bytes(&self, bytes: &[u8]) -> Result<(), NoList> {
        // A list of lines with NUL bytes in it is one long name, which would match nothing.
        if self.null || !bytes.contains(&0) {
            return Ok(());
        }
        let message = "the list of changed files holds NUL bytes";
        Err(Failure::usage(message).help("say `--null` if names end with them").into())
    }

    /// Refuses flags that only speak of a diff where there is none.
    pub(crate) fn refuse_lonely_flags(&self) -> Result<(), Failure> {
        let flag = match (self.ignore_files.is_empty(), &self.rollout) {
            (true, None) => return Ok(()),
            (false, _) => "--ignore-files",
            (true, Some(_)) => "--rollout",
        };
        let message = format!("`{flag}` needs `--changed-files` or `--git-range`");
        Err(Failure::usage(message))
    }
}
