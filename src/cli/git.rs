//! Which files differ between two commits, and what that does to the program: asked of git.
//!
//! A pull request brings its own repository configuration and attributes. So only plumbing commands
//! are run, which obey neither aliases nor drivers, and every way to a program of the repository is
//! closed: external diffs, text conversion, file system monitors, and fetching of missing objects.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use super::Failure;
use blastwave::diagnostic::Sources;
use blastwave::load;
use blastwave::model::authorship::CommitText;
use blastwave::model::diff::{ChangedFile, Effect};

/// How much of what git complains about is read.
const COMPLAINT_MAX: u64 = 16 * 1024;
/// Larger files are not compared; they count as code.
const BLOB_MAX: u64 = 1 << 20;
/// After so many bytes of content the rest of the files counts as code unseen.
const CONTENT_MAX: u64 = 256 << 20;
/// So many commits of a range are read; of more, nobody can say that all were reviewed.
const COMMITS_MAX: usize = 10_000;
/// The mode of a submodule in a tree.
const SUBMODULE: &[u8] = b"160000";
/// The modes of regular files, executable or not.
const REGULAR: [&[u8]; 2] = [b"100644", b"100755"];

/// Returns the files that differ between the commits of a range, with what each does.
pub(super) fn changed_files(range: &str) -> Result<Vec<ChangedFile>, Failure> {
    refuse_outside_repository()?;
    let (from, to) = find_commits(range)?;
    let entries = raw_entries(range, &from, &to)?;
    let lines = line_counts(range, &from, &to)?;
    let mut blobs = Blobs::start_reader()?;
    let mut files = Vec::with_capacity(entries.len());
    for entry in entries {
        let effect = effect_of(&entry, &mut blobs)?;
        let counted = lines.binary_search_by(|(name, _)| name.cmp(&entry.name));
        let lines = counted.map_or(0, |index| lines[index].1);
        files.push(ChangedFile { name: entry.name, effect, lines });
    }
    Ok(files)
}

/// Returns who committed what is in a range, with the messages; merges say nothing of their own.
pub(super) fn commit_texts(range: &str) -> Result<Vec<CommitText>, Failure> {
    refuse_outside_repository()?;
    let (from, to) = find_commits(range)?;
    let commits = format!("{from}..{to}");
    let most = format!("--max-count={COMMITS_MAX}");
    let list = run_git(range, &["rev-list", "--header", "--no-merges", &most, &commits, "--"])?;
    let raw = list.split(|byte| *byte == 0).filter(|raw| !raw.is_empty());
    let mut texts: Vec<CommitText> = raw.map(commit_text).collect();
    if texts.len() == COMMITS_MAX {
        // One that says nothing stands for those that were not read.
        texts.push(CommitText::default());
    }
    Ok(texts)
}

/// Reads a commit as `git rev-list --header` writes it: fields, an empty line, and the message indented.
fn commit_text(raw: &[u8]) -> CommitText {
    let raw = String::from_utf8_lossy(raw);
    let (fields, message) = raw.split_once("\n\n").unwrap_or((&raw, ""));
    let author = fields.lines().find_map(|line| line.strip_prefix("author ")).unwrap_or_default();
    // Behind the address stand a time and a time zone.
    let author = author.rfind('>').map_or(author, |end| &author[..=end]);
    let lines = message.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
    CommitText { author: author.to_owned(), message: lines.collect::<Vec<_>>().join("\n") }
}

/// Returns the two commits that a range compares.
pub(super) fn commits_of_range(range: &str) -> Result<(String, String), Failure> {
    find_commits(range)
}

/// Returns the commit that a range starts from.
pub(super) fn base_of_range(range: &str) -> Result<String, Failure> {
    Ok(find_commits(range)?.0)
}

/// Returns the commit of a branch: that of the remote `origin` where it is known, else the local one.
///
/// The full name of the reference is used, since a tag of the same name would stand before a branch.
pub(super) fn tip_of_branch(branch: &str) -> Result<String, Failure> {
    let find = |folder: &str| {
        let reference = format!("{folder}/{branch}^{{commit}}");
        run_git(branch, &["rev-parse", "--verify", "--end-of-options", &reference])
    };
    let hash = find("refs/remotes/origin").or_else(|_| find("refs/heads")).map_err(|_| {
        Failure::usage(format!("git finds no branch `{branch}`, neither of `origin` nor here"))
            .help(format!("fetch it first: `git fetch origin {branch}`"))
    })?;
    Ok(String::from_utf8_lossy(&hash).trim().to_owned())
}

/// Returns the commit at which a branch and a commit parted; without a commit, the one that is checked out.
pub(super) fn merge_base(tip: &str, commit: Option<&str>) -> Result<String, Failure> {
    let commit = commit.unwrap_or("HEAD");
    let base = run_git("the two branches", &["merge-base", tip, commit]).map_err(|_| {
        Failure::usage("git does not know where the change left the branch of the waivers")
            .help("fetch the whole history: `git fetch --unshallow`")
    })?;
    Ok(String::from_utf8_lossy(&base).trim().to_owned())
}

/// Returns a file as a commit has it; `None` where the commit has no such file.
pub(super) fn file_in_commit(commit: &str, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    let within = if Path::new(path).is_absolute() { from_root(path)? } else { format!("./{path}") };
    let failure = || format!("git cannot read `{path}` in `{commit}`");
    // Its own options, so that a name with wildcards means itself.
    let whole: &[&str] = if Path::new(path).is_absolute() { &["--full-tree"] } else { &[] };
    let arguments = [&["--literal-pathspecs", "ls-tree", "-z"], whole, &[commit, "--", &within]];
    let listed = answer_of(&arguments.concat(), failure)?;
    let entry = String::from_utf8_lossy(&listed);
    let mut facts = entry.split(['\t', ' ']);
    let (Some(mode), Some("blob"), Some(object)) = (facts.next(), facts.next(), facts.next())
    else {
        return Ok(None);
    };
    // What a link leads to may be outside of the repository, and then no commit protects it.
    if !REGULAR.contains(&mode.as_bytes()) {
        return Err(Failure::usage(format!("`{path}` is a link in `{commit}`, not a file")));
    }
    answer_of(&["cat-file", "blob", object], failure).map(Some)
}

/// Has the parts of a topology read as a commit has them, where it includes any: all YAML files below its
/// folder, so that none of them is taken from the files at hand.
pub(super) fn provide_parts(
    sources: &mut Sources,
    commit: &str,
    topology: &str,
) -> Result<(), Failure> {
    let includes = sources.provided(topology).is_some_and(|bytes| {
        let mut read = Sources::default();
        load::parse_document(topology, bytes.to_vec(), &mut read)
            .is_ok_and(|document| document.get("include").is_some())
    });
    if !includes {
        return Ok(());
    }
    let folder = Path::new(topology).parent().unwrap_or(Path::new(""));
    let shown = folder.to_string_lossy();
    let is_absolute = folder.is_absolute();
    let within = if is_absolute { from_root(&shown)? } else { format!("./{shown}") };
    let failure = || format!("git cannot list the files beside `{topology}` in `{commit}`");
    let whole: &[&str] = if is_absolute { &["--full-tree"] } else { &[] };
    let within = format!("{}/", within.trim_end_matches('/'));
    // Names from the current folder, as patterns see them.
    let arguments =
        [&["--literal-pathspecs", "ls-tree", "-r", "-z"], whole, &[commit, "--", &within]];
    let listed = answer_of(&arguments.concat(), failure)?;
    let mut blobs = Blobs::start_reader()?;
    for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let entry = String::from_utf8_lossy(entry);
        let Some((facts, name)) = entry.split_once('\t') else { continue };
        let mut facts = facts.split(' ');
        let (mode, object) = (facts.next().unwrap_or_default(), facts.nth(1).unwrap_or_default());
        let is_yaml = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
        if !is_yaml || !REGULAR.contains(&mode.as_bytes()) {
            continue;
        }
        let path = if is_absolute {
            let root = from_root(&shown)?;
            let rest = name.strip_prefix(root.trim_end_matches('/')).unwrap_or(name);
            format!("{shown}{rest}")
        } else {
            name.to_owned()
        };
        // What is too large to be read is not provided, and then matched by no pattern.
        if let Some(bytes) = blobs.read_object(object)? {
            sources.provide(&path, bytes);
        }
    }
    Ok(())
}

/// Returns a file as a revision has it, and the hash of that commit. The path is seen from the current folder.
pub(super) fn file_at(
    flag: &str,
    revision: &str,
    path: &str,
) -> Result<(Vec<u8>, String), Failure> {
    // A revision that begins with `-` would be taken for an option, and one with a colon for a
    // file.
    if revision.is_empty() || revision.starts_with('-') || revision.contains(':') {
        return Err(Failure::usage(format!("`{revision}` is not a revision of git"))
            .help(format!("write for example `{flag} origin/main`")));
    }
    refuse_outside_repository()?;
    let commit = find_commit(revision, revision)?;
    // Git takes a path in a commit from the root of the repository unless it begins with `./`.
    let within = if Path::new(path).is_absolute() { from_root(path)? } else { format!("./{path}") };
    let object = format!("{commit}:{within}");
    let bytes = answer_of(&["cat-file", "blob", &object], || {
        format!("git finds no `{path}` in `{revision}`")
    })?;
    Ok((bytes, commit))
}

/// Refuses a repository that is kept outside of the folder to stay in: its objects are files as well.
fn refuse_outside_repository() -> Result<(), Failure> {
    let Some(folder) = load::confinement() else { return Ok(()) };
    let kept =
        answer_of(&["rev-parse", "--git-common-dir"], || "this is no git repository".to_owned())?;
    let kept = PathBuf::from(String::from_utf8_lossy(&kept).trim_end().to_owned());
    // Alternates are folders of objects of other repositories.
    let has_alternates = kept.join("objects/info/alternates").exists();
    if load::is_within(&kept.to_string_lossy(), folder) && !has_alternates {
        return Ok(());
    }
    Err(Failure::usage("the repository is kept outside of `--root`")
        .help("give the names of the files with `--changed-files`"))
}

/// Returns a path as seen from the root of the repository; one outside of it stays as it is, and is not found.
fn from_root(path: &str) -> Result<String, Failure> {
    let root =
        answer_of(&["rev-parse", "--show-toplevel"], || "this is no git repository".to_owned())?;
    let root = PathBuf::from(String::from_utf8_lossy(&root).trim_end().to_owned());
    // Git tells the root with links resolved, so the path must be too.
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    Ok(real.strip_prefix(&root).unwrap_or(&real).to_string_lossy().into_owned())
}

/// Returns the two commits that a range compares.
fn find_commits(range: &str) -> Result<(String, String), Failure> {
    let wrong = || {
        Failure::usage(format!("`{range}` is not a range of git"))
            .help("write for example `--git-range origin/main...HEAD`")
    };
    let (from, to, is_merge_base) = match (range.split_once("..."), range.split_once("..")) {
        (Some((from, to)), _) => (from, to, true),
        (None, Some((from, to))) => (from, to, false),
        (None, None) => return Err(wrong()),
    };
    // Both sides empty would compare `HEAD` with itself; a `-` would be taken for an option.
    if range == ".." || range == "..." || [from, to].iter().any(|item| item.starts_with('-')) {
        return Err(wrong());
    }
    let (from, to) = (find_commit(range, from)?, find_commit(range, to)?);
    if !is_merge_base {
        return Ok((from, to));
    }
    // Three dots mean what was added since the two parted, so the base is where they did.
    let base = run_git(range, &["merge-base", &from, &to])?;
    Ok((String::from_utf8_lossy(&base).trim().to_owned(), to))
}

/// Returns the hash of a commit; nothing stands for `HEAD`, as in git.
fn find_commit(range: &str, name: &str) -> Result<String, Failure> {
    let name = if name.is_empty() { "HEAD" } else { name };
    // The hash is used from here on: a branch may move while files are read.
    let commit = format!("{name}^{{commit}}");
    let hash = run_git(range, &["rev-parse", "--verify", "--end-of-options", &commit])?;
    Ok(String::from_utf8_lossy(&hash).trim().to_owned())
}

/// A file that differs: its modes and its objects on both sides.
struct TreeEntry {
    modes: [Vec<u8>; 2],
    objects: [String; 2],
    name: Vec<u8>,
}

/// Options of every comparison of trees: renames count on both sides, submodules count.
const COMPARE: [&str; 9] = [
    "diff-tree",
    "-r",
    "-z",
    "--no-renames",
    "--ignore-submodules=none",
    "--no-ext-diff",
    "--no-textconv",
    "--no-abbrev",
    "--no-relative",
];

fn raw_entries(range: &str, from: &str, to: &str) -> Result<Vec<TreeEntry>, Failure> {
    let list = run_git(range, &[&COMPARE[..], &["--raw", from, to, "--"]].concat())?;
    let mut fields = list.split(|byte| *byte == 0);
    let mut entries = Vec::new();
    while let (Some(facts), Some(name)) =
        (fields.next().filter(|field| !field.is_empty()), fields.next())
    {
        let facts: Vec<&[u8]> = facts.split(|byte| *byte == b' ').collect();
        let [before, after, old, new, _] = facts.as_slice() else {
            return Err(Failure::usage(format!("`git diff-tree` of `{range}` is not understood")));
        };
        // Git writes a colon before the first mode.
        let before = before.strip_prefix(b":").unwrap_or(before);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        entries.push(TreeEntry {
            modes: [before.to_vec(), after.to_vec()],
            objects: [text(old), text(new)],
            name: name.to_vec(),
        });
    }
    Ok(entries)
}

/// Returns how many lines were added and removed in each file, sorted by name. Files that are no text
/// have none.
fn line_counts(range: &str, from: &str, to: &str) -> Result<Vec<(Vec<u8>, u64)>, Failure> {
    let list = run_git(range, &[&COMPARE[..], &["--numstat", "--text", from, to, "--"]].concat())?;
    let mut counts = Vec::new();
    for entry in list.split(|byte| *byte == 0) {
        let mut fields = entry.splitn(3, |byte| *byte == b'\t');
        let (Some(added), Some(removed), Some(name)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let number =
            |digits: &[u8]| String::from_utf8_lossy(digits).parse::<u64>().unwrap_or_default();
        counts.push((name.to_vec(), number(added).saturating_add(number(removed))));
    }
    counts.sort();
    Ok(counts)
}

fn effect_of(entry: &TreeEntry, blobs: &mut Blobs) -> Result<Effect, Failure> {
    let [before, after] = &entry.modes;
    if before == SUBMODULE || after == SUBMODULE {
        return Ok(Effect::Dependency);
    }
    // By name first: it costs nothing, and generated files may be large.
    if let Some(effect) = Effect::of_name(&entry.name) {
        return Ok(effect);
    }
    // A file that appears, goes, becomes a link or becomes executable does so by more than its text.
    let is_edited = before == after && REGULAR.contains(&before.as_slice());
    if !is_edited {
        return Ok(Effect::Behaviour);
    }
    let [old, new] = &entry.objects;
    match (blobs.read_object(old)?, blobs.read_object(new)?) {
        (Some(old), Some(new)) => Ok(Effect::of_texts(&entry.name, &old, &new)),
        _ => Ok(Effect::Behaviour),
    }
}

/// Contents of files, from one process of git.
struct Blobs {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    left: u64,
}

impl Blobs {
    fn start_reader() -> Result<Self, Failure> {
        let mut child = git_command(&["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| cannot_run(&error))?;
        let requests = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { child, requests, answers, left: CONTENT_MAX })
    }

    /// Returns the content of an object; `None` where it is too large, or is not there.
    fn read_object(&mut self, object: &str) -> Result<Option<Vec<u8>>, Failure> {
        // The rest counts as code unseen, which is the careful answer.
        if self.left == 0 {
            return Ok(None);
        }
        self.read_answer(object).map_err(|error| cannot_run(&error))
    }

    fn read_answer(&mut self, object: &str) -> io::Result<Option<Vec<u8>>> {
        writeln!(self.requests, "{object}")?;
        self.requests.flush()?;
        let mut head = String::new();
        self.answers.read_line(&mut head)?;
        // The answer begins with the hash that was asked for.
        let mut words = head.split_whitespace().skip(1);
        // An object that is missing, as in a partial clone, is answered without a length.
        let (Some("blob"), Some(length)) = (words.next(), words.next()) else { return Ok(None) };
        let length: u64 = length.parse().map_err(io::Error::other)?;
        let is_kept = length <= BLOB_MAX;
        let mut body = self.answers.by_ref().take(length);
        let mut content = Vec::new();
        if is_kept {
            body.read_to_end(&mut content)?;
        } else {
            // What is not kept must be read too: the next answer begins behind it.
            io::copy(&mut body, &mut io::sink())?;
        }
        // A line break stands behind every content.
        self.answers.read_exact(&mut [0])?;
        self.left = self.left.saturating_sub(length);
        Ok(is_kept.then_some(content))
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        // It only waits for requests; what it answered was read already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns git with all ways closed by which a repository could have a program run.
fn git_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        // A replacement would show other contents than the commit has.
        .args(["--no-pager", "--no-replace-objects", "-c", "core.fsmonitor=false"])
        .args(["-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never"])
        .args(arguments)
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_EXTERNAL_DIFF")
        .stdin(Stdio::null());
    command
}

/// Runs git over a range and returns what it writes.
fn run_git(range: &str, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    answer_of(arguments, || format!("git cannot compare `{range}`"))
}

/// Runs git and returns what it writes; `failure` says what did not work where it complains.
fn answer_of(arguments: &[&str], failure: impl Fn() -> String) -> Result<Vec<u8>, Failure> {
    let mut child = git_command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_run(&error))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Both are read at once: git waits where one of them is full.
    let complaint = thread::spawn(move || read_up_to(stderr, COMPLAINT_MAX));
    // One byte more than allowed shows that there was more.
    let list = read_up_to(stdout, load::BYTES_MAX + 1).map_err(|error| cannot_run(&error))?;
    let status = child.wait().map_err(|error| cannot_run(&error))?;
    if list.len() as u64 > load::BYTES_MAX {
        return Err(Failure::usage(failure()).help("git answers with too much"));
    }
    if !status.success() {
        let complaint = complaint.join().ok().and_then(Result::ok).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint);
        // The first line says what is wrong; the rest is advice for people at a shell.
        let first = complaint.lines().next().unwrap_or("nothing");
        // Git repeats names from the repository, which may hold escapes.
        let first: String = first.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        return Err(Failure::usage(failure()).help(format!("git says: {}", first.trim())));
    }
    Ok(list)
}

fn cannot_run(error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such program".to_owned(),
        _ => error.to_string(),
    };
    Failure::usage(format!("cannot run `git`: {reason}"))
        .help("give the names of the files with `--changed-files`")
}

fn read_up_to(stream: Option<impl Read>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
