//! `blastwave mcp`: a server of the Model Context Protocol, for coding agents.
//!
//! The server itself only speaks the protocol. Every call of a tool runs a command of this program in a process
//! of its own, within the root, with limits of time and memory.
//! **Invariant:** nothing but the protocol is written to standard output, and no call can end the server.

mod call;
mod server;
mod tools;
mod transport;

use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use rmcp::service::{ServerInitializeError, ServiceExt as _};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::args::ResourceArgs;
use super::exit::Exit;
use blastwave::diagnostic::Sources;
use blastwave::load;

use call::CallLimits;
use server::BlastServer;
use tools::Defaults;
use transport::StdioTransport;

/// Time that a call may take where nobody says: clients wait about a minute.
const USUAL_TIMEOUT: Duration = Duration::from_secs(50);
/// Memory that a call may take where nobody says.
const USUAL_MEMORY: u64 = 1_000_000_000;
/// Time between two looks whether the server is to end.
const PERIOD: Duration = Duration::from_millis(50);
/// Time for calls to end once the server is to.
const GRACE: Duration = Duration::from_millis(500);

/// Arguments of `blastwave mcp`.
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// The topology or scenario of calls that name none, a path below the root
    #[arg(value_name = "TOPOLOGY")]
    topology: Option<String>,

    /// The policy of checks that name none, a path below the root
    #[arg(long, value_name = "FILE", help_heading = "Calls")]
    policy: Option<String>,

    /// Run at most this many calls at once; others wait [default: one for each processor, at least 2]
    #[arg(long, value_name = "N", help_heading = "Calls")]
    calls: Option<NonZeroUsize>,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  As a server of an agent that stands in the repository:
    blastwave mcp topology.yaml --policy policy.yaml
  For another repository, with tighter limits for each call:
    blastwave mcp --root ../shop shop.yaml --timeout 20s --max-memory 500MB";

/// Serves until the client closes standard input, or the program is told to end.
pub(crate) fn run_mcp(args: &McpArgs, resources: &ResourceArgs) -> Result<Exit, Failure> {
    let (limits, defaults) = (call_limits(resources)?, read_defaults(args)?);
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let calls = args.calls.map_or(processors.max(2), NonZeroUsize::get);
    // One thread is enough to pass messages on: the work is done by other processes.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start the server: {error}")))?;
    let end = CancellationToken::new();
    let server = BlastServer::new(limits, defaults, calls, end.clone());
    let served = runtime.block_on(serve_sessions(server, end));
    // A read of standard input cannot be called back, so nothing is waited for.
    runtime.shutdown_background();
    served
}

fn call_limits(resources: &ResourceArgs) -> Result<CallLimits, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::usage(format!("cannot find this program: {error}")))?;
    // Also where no root is named: the server reads files itself, as resources.
    super::stay_within(Some(resources.root.as_deref().unwrap_or(".")))?;
    let root = load::confinement().unwrap_or(Path::new("."));
    // Default paths are seen from the root, as those of calls are.
    std::env::set_current_dir(root)
        .map_err(|error| Failure::usage(format!("cannot enter `{}`: {error}", root.display())))?;
    let timeout = resources.timeout.map(|timeout| Duration::from_secs_f64(timeout.get()));
    Ok(CallLimits {
        program,
        root: root.to_owned(),
        timeout: timeout.unwrap_or(USUAL_TIMEOUT),
        max_memory: resources.max_memory.unwrap_or(USUAL_MEMORY),
    })
}

/// Checks what calls leave open: a server that could answer none of them does not start.
fn read_defaults(args: &McpArgs) -> Result<Defaults, Failure> {
    let paths = [("TOPOLOGY", &args.topology), ("--policy", &args.policy)];
    for (flag, path) in paths {
        let Some(path) = path else { continue };
        tools::check_path(path).map_err(|problem| Failure::usage(format!("{flag}: {problem}")))?;
        // A folder is read file by file, by the calls.
        if Path::new(path).is_dir() {
            continue;
        }
        load::first_bytes(path, 1).map_err(|problem| Failure::Input {
            diagnostics: vec![*problem],
            sources: Sources::default(),
        })?;
    }
    Ok(Defaults { topology: args.topology.clone(), policy: args.policy.clone() })
}

/// Serves one session, and the next where a client began one wrongly.
async fn serve_sessions(server: BlastServer, end: CancellationToken) -> Result<Exit, Failure> {
    let interrupted = listen_for_signals()
        .map_err(|error| Failure::usage(format!("cannot listen for Ctrl-C: {error}")))?;
    let transport = StdioTransport::new(end.clone());
    let sessions = async {
        loop {
            match server.clone().serve_with_ct(transport.clone(), end.child_token()).await {
                Ok(session) => break drop(session.waiting().await),
                Err(
                    ServerInitializeError::ConnectionClosed(_)
                    | ServerInitializeError::TransportError { .. }
                    | ServerInitializeError::Cancelled,
                ) => break,
                // Whatever came instead of a beginning was refused; the client may try again.
                Err(_) => {}
            }
        }
    };
    tokio::select! {
        () = sessions => Ok(Exit::Done),
        () = interruption(&interrupted) => {
            end.cancel();
            tokio::time::sleep(GRACE).await;
            Ok(Exit::Interrupted)
        }
    }
}

/// Returns what the first Ctrl-C, or the signal that code hosts send, sets; the second one ends the program at
/// once.
fn listen_for_signals() -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::<AtomicBool>::default();
    for signal in [SIGINT, SIGTERM] {
        let status = Exit::Interrupted as i32;
        // In this order, so that the first signal sees the flag down, and the second sees it up.
        flag::register_conditional_shutdown(signal, status, Arc::clone(&interrupted))?;
        flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(interrupted)
}

async fn interruption(interrupted: &AtomicBool) {
    while !interrupted.load(Ordering::Relaxed) {
        tokio::time::sleep(PERIOD).await;
    }
}
