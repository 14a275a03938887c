//! Ctrl-C: the first one ends the simulation in good order, the second one the program.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::exit::Exit;

/// Whether the user wants it to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    flag: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on.
    ///
    /// Until then, Ctrl-C ends the program as it ends any other: nothing has been written yet.
    pub(crate) fn start_listening() -> io::Result<Self> {
        let interrupt = Self::default();
        // In this order, so that the first signal sees the flag down, and the second sees it up.
        let status = Exit::Interrupted as i32;
        flag::register_conditional_shutdown(SIGINT, status, Arc::clone(&interrupt.flag))?;
        flag::register(SIGINT, Arc::clone(&interrupt.flag))?;
        Ok(interrupt)
    }

    /// Whether it came.
    pub(crate) fn has_come(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }
}
