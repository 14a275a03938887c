//! One call of a tool: a process of its own that runs the command and is held to its limits.
//!
//! The answer is that of the command line because the command line gives it. And whatever happens to the
//! process, out of memory, out of time, a bug, ends this call alone.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// The longest answer, in bytes; what is longer is refused.
const ANSWER_MAX: u64 = 16 << 20;
/// How much of the messages is kept.
const MESSAGES_MAX: u64 = 64 << 10;
/// Time beyond its limit after which a process is ended from outside: it ends itself before that.
const GRACE: Duration = Duration::from_secs(3);

/// How calls are run.
#[derive(Clone, Debug)]
pub(super) struct CallLimits {
    /// This program.
    pub(super) program: PathBuf,
    /// The folder that all files lie in.
    pub(super) root: PathBuf,
    /// Time that a call may take.
    pub(super) timeout: Duration,
    /// Memory that a call may take, in bytes.
    pub(super) max_memory: u64,
}

/// A command line, and what it reads from standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) command: &'static str,
    pub(super) flags: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) input: Vec<u8>,
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum CallEnd {
    /// The command wrote its result; messages are notes.
    Answer { result: Vec<u8>, messages: String },
    /// There is no result, for reasons that the messages name.
    Refusal { messages: String },
}

/// Runs a command. Where the future is dropped, the process is ended.
pub(super) async fn run_command(
    line: CommandLine,
    limits: &CallLimits,
    cancelled: &CancellationToken,
) -> CallEnd {
    let refuse = |message: &str| CallEnd::Refusal { messages: message.to_owned() };
    let mut child = match spawn_command(&line, limits) {
        Ok(child) => child,
        Err(error) => return refuse(&format!("error: the call cannot be started: {error}\n")),
    };
    tokio::select! {
        () = cancelled.cancelled() => refuse("error: the call was cancelled\n"),
        () = tokio::time::sleep(limits.timeout + GRACE) => {
            let seconds = limits.timeout.as_secs_f64();
            refuse(&format!("error: the call took more than {seconds} s and was ended\n"))
        }
        end = end_of(&mut child, line.input) => end.unwrap_or_else(|error| {
            refuse(&format!("error: the answer of the call cannot be read: {error}\n"))
        }),
    }
}

fn spawn_command(line: &CommandLine, limits: &CallLimits) -> std::io::Result<Child> {
    let mut command = Command::new(&limits.program);
    command
        .arg(line.command)
        .args(["--format=json", "--no-progress", "--color=never", "--root=."])
        .arg(format!("--timeout={}s", limits.timeout.as_secs_f64()))
        .arg(format!("--max-memory={}KiB", limits.max_memory / 1024))
        .args(&line.flags)
        // Behind it nothing is an option, whatever a file is called.
        .arg("--")
        .args(&line.files)
        .current_dir(&limits.root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Gives a process its input, and waits until it has ended.
async fn end_of(child: &mut Child, input: Vec<u8>) -> std::io::Result<CallEnd> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that refuses its arguments closes the pipe unread, which is no failure.
            drop(stdin.write_all(&input).await);
        }
    };
    // All at once: a process waits where one of its pipes is full.
    let ((), result, messages) =
        tokio::join!(feed, read_up_to(stdout, ANSWER_MAX + 1), read_up_to(stderr, MESSAGES_MAX));
    let (result, messages) = (result?, messages?);
    if result.len() as u64 > ANSWER_MAX {
        let messages = "error: the answer is too long\n  help: ask for less `detail`\n".to_owned();
        return Ok(CallEnd::Refusal { messages });
    }
    let status = child.wait().await?;
    let mut messages = String::from_utf8_lossy(&messages).into_owned();
    Ok(match status.code() {
        // Other statuses than 0 are verdicts, and problems that were found, but no failure to answer.
        Some(0..=3) if !result.is_empty() => CallEnd::Answer { result, messages },
        _ => {
            if messages.is_empty() {
                messages = format!("error: the call ended without an answer ({status})\n");
            }
            CallEnd::Refusal { messages }
        }
    })
}

async fn read_up_to(stream: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let mut stream = stream.take(most);
        stream.read_to_end(&mut bytes).await?;
        // The rest is read as well: a process waits where a pipe is full.
        tokio::io::copy(&mut stream.into_inner(), &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}
