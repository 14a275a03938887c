//! Watches over a run: Ctrl-C, `--timeout` and `--max-memory` end it within a second.
//!
//! An end is asked for first: simulations look at it after each window of trials, and may still write a
//! partial result. What does not look, such as a reader that waits for standard input, is ended from a
//! thread of its own.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::args::ResourceArgs;
use super::exit::Exit;
use super::memory;
use super::terminal::Terminal;

/// Time that a run may take where nobody says.
const USUAL_TIMEOUT: Duration = Duration::from_secs(3600);
/// Time between two looks. A program that fills memory as fast as it can fills some 50 MB in it.
const PERIOD: Duration = Duration::from_millis(20);
/// Time for a simulation to end in good order: to most people a second is still at once.
const GRACE: Duration = Duration::from_millis(700);
/// Time for a partial result: what was simulated so far is still to be summed up and written.
const PARTIAL_GRACE: Duration = Duration::from_secs(10);
/// Time to say why it ends: a reader that has stopped reading must not keep the program.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Why a run ends before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum EarlyEnd {
    /// Ctrl-C, or a code host that cancels a job.
    Interrupted = 1,
    /// The time of `--timeout` is over.
    Timeout = 2,
    /// More memory is held than `--max-memory` allows.
    Memory = 3,
}

/// Limits of the run, and what was seen of them. Signals and memory belong to the process, so there is one for all of it.
#[derive(Debug)]
struct RunWatch {
    interrupted: Arc<AtomicBool>,
    started: Instant,
    timeout: Duration,
    max_memory: u64,
    /// The first end that was seen; 0 before.
    end: AtomicU8,
    /// Whether a partial result was asked for.
    is_partial: AtomicBool,
    /// Whether a thread looks; otherwise whoever asks does.
    has_thread: AtomicBool,
    /// Whether a result was written.
    has_written: AtomicBool,
    /// The file that a result is written to before it takes its name.
    unfinished: Mutex<Option<PathBuf>>,
}

static WATCH: OnceLock<RunWatch> = OnceLock::new();

/// Watches from now on.
pub(crate) fn start_watching(limits: &ResourceArgs, terminal: Terminal) {
    let watch = WATCH.get_or_init(|| RunWatch {
        interrupted: Arc::default(),
        started: Instant::now(),
        timeout: limits.timeout.map_or(USUAL_TIMEOUT, |time| Duration::from_secs_f64(time.get())),
        max_memory: limits.max_memory.unwrap_or_else(memory::usual_limit),
        end: AtomicU8::new(0),
        is_partial: AtomicBool::new(false),
        has_thread: AtomicBool::new(true),
        has_written: AtomicBool::new(false),
        unfinished: Mutex::new(None),
    });
    let thread = thread::Builder::new().name("watchdog".to_owned());
    // Without a thread, as in a container with a limit on processes, Ctrl-C ends the program as it ends
    // any other until a simulation begins, which looks by itself.
    let is_watched = thread.spawn(move || watch.keep_watch(terminal)).is_ok();
    watch.has_thread.store(is_watched, Ordering::Relaxed);
    if is_watched {
        // If that fails too, Ctrl-C still ends the program, though without a word.
        drop(listen_for_interrupt());
    }
}

/// Has the first Ctrl-C ask for an end, and the second one end the program at once.
pub(crate) fn listen_for_interrupt() -> io::Result<()> {
    static LISTENS: AtomicBool = AtomicBool::new(false);
    let Some(watch) = WATCH.get() else { return Ok(()) };
    // A second registration would end the program at the first signal.
    if LISTENS.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let status = Exit::Interrupted as i32;
    // Code hosts cancel a job with SIGTERM; it leaves nothing half written either.
    for signal in [SIGINT, SIGTERM] {
        // In this order, so that the first signal sees the flag down, and the second sees it up.
        flag::register_conditional_shutdown(signal, status, Arc::clone(&watch.interrupted))?;
        flag::register(signal, Arc::clone(&watch.interrupted))?;
    }
    Ok(())
}

/// Leaves more time for a partial result, which was asked for.
pub(crate) fn expect_partial_result() {
    if let Some(watch) = WATCH.get() {
        watch.is_partial.store(true, Ordering::Relaxed);
    }
}

/// Returns why the run is to end, if it is.
pub(crate) fn early_end() -> Option<EarlyEnd> {
    let watch = WATCH.get()?;
    if !watch.has_thread.load(Ordering::Relaxed) {
        watch.look();
    }
    watch.early_end()
}

/// Remembers a file that is no result yet, so that a run which is ended leaves none; `None` once it
/// has its name.
pub(crate) fn note_unfinished(path: Option<&Path>) {
    if let Some(watch) = WATCH.get() {
        let mut unfinished = watch.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        *unfinished = path.map(Path::to_owned);
    }
}

/// Remembers that a result was written: no limit ends a run any more that is as good as done.
pub(crate) fn note_written() {
    if let Some(watch) = WATCH.get() {
        watch.has_written.store(true, Ordering::Relaxed);
    }
}

/// Returns the sentence that says why a run ended, and after how many trials, where that is known.
pub(crate) fn end_message(end: EarlyEnd, trials: Option<u64>) -> String {
    let watch = WATCH.get();
    let done = match trials {
        None => String::new(),
        Some(0) => " before the first trials were done".to_owned(),
        Some(trials) => format!(" after {trials} trials; `--partial` would have reported them"),
    };
    if watch.is_some_and(|watch| watch.has_written.load(Ordering::Relaxed)) {
        return "interrupted: what was written stays\n".to_owned();
    }
    match end {
        EarlyEnd::Interrupted => format!("interrupted{done}: nothing was written\n"),
        EarlyEnd::Timeout => {
            let seconds = watch.map_or(0.0, |watch| watch.timeout.as_secs_f64());
            format!("out of time{done}: nothing was written\n  help: `--timeout` is {seconds} s\n")
        }
        EarlyEnd::Memory => {
            let limit = memory::size_in_words(watch.map_or(0, |watch| watch.max_memory));
            format!(
                "out of memory{done}: nothing was written\n  help: `--max-memory` is {limit}; a larger \
                 one needs a machine that has it\n"
            )
        }
    }
}

impl RunWatch {
    /// Looks until there is a reason to end, and then sees to it.
    fn keep_watch(&self, terminal: Terminal) {
        while self.early_end().is_none() {
            thread::sleep(PERIOD);
            self.look();
        }
        let Some(end) = self.early_end() else { return };
        let is_partial = self.is_partial.load(Ordering::Relaxed);
        match end {
            // Every moment may take more memory.
            EarlyEnd::Memory => {}
            _ if is_partial => thread::sleep(PARTIAL_GRACE),
            _ => thread::sleep(GRACE),
        }
        self.end_process(end, terminal);
    }

    /// Notes the first reason to end that there is.
    fn look(&self) {
        // Ctrl-C counts even where a result was written; the limits do not.
        let found = if self.interrupted.load(Ordering::Relaxed) {
            EarlyEnd::Interrupted
        } else if self.has_written.load(Ordering::Relaxed) {
            return;
        } else if self.started.elapsed() >= self.timeout {
            EarlyEnd::Timeout
        } else if memory::held().is_some_and(|held| held > self.max_memory) {
            EarlyEnd::Memory
        } else {
            return;
        };
        // Only the first one counts, so that whatever speaks of it names the same.
        if self.early_end().is_none() {
            self.end.store(found as u8, Ordering::Relaxed);
        }
    }

    fn early_end(&self) -> Option<EarlyEnd> {
        [EarlyEnd::Interrupted, EarlyEnd::Timeout, EarlyEnd::Memory]
            .into_iter()
            .find(|end| *end as u8 == self.end.load(Ordering::Relaxed))
    }

    /// Ends the program where it stands.
    fn end_process(&self, end: EarlyEnd, terminal: Terminal) -> ! {
        // Held until the end, so that no file is begun any more.
        let unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = unfinished.as_deref() {
            // Where it has taken its name by now, nothing is left to be removed.
            drop(fs::remove_file(path));
        }
        let message = move || {
            if terminal.has_progress() && io::stderr().is_terminal() {
                // The bar stands in the line.
                terminal.write_message("\n");
            }
            terminal.write_message(&end_message(end, None));
        };
        // In a thread of its own, since a reader that has stopped reading would block it for ever.
        if let Ok(said) = thread::Builder::new().spawn(message) {
            let started = Instant::now();
            while !said.is_finished() && started.elapsed() < LAST_WORDS {
                thread::sleep(Duration::from_millis(1));
            }
        }
        process::exit(Exit::Interrupted as i32);
    }
}
