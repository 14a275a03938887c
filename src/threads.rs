//! Threads to work with. Where the system gives none, as in a container with a limit on processes, the
//! thread that asks does all the work.

use std::sync::Once;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Makes sure that work can be spread, before it is for the first time. rayon panics where its own pool
/// cannot be started.
pub(crate) fn ensure_threads() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let threads = ThreadPoolBuilder::new().build_global();
        if threads.is_err() {
            // It fails once more where the program has set up a pool of its own: then there is one.
            drop(ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global());
        }
    });
}

/// Returns a pool of so many threads, by default one for each processor, or of the present thread alone
/// where no other can be started.
///
/// # Errors
/// Returns why there is none: the present thread belongs to a pool already.
pub fn start_threads(count: Option<usize>) -> Result<ThreadPool, ThreadPoolBuildError> {
    let builder = || ThreadPoolBuilder::new().num_threads(count.unwrap_or(0));
    builder().build().or_else(|_| builder().num_threads(1).use_current_thread().build())
}
