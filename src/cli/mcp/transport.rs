//! Lines of JSON between the server and its client, with bounds that a client cannot exceed.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{Stdin, Stdout};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio_util::sync::CancellationToken;

/// The longest message that is read, in bytes; a longer one is skipped. The largest arguments are a list of
/// changed files and the text of a change.
const LINE_MAX: usize = 4 << 20;
/// How many requests may be without an answer before the next one is read.
const REQUESTS_MAX: usize = 64;
/// Time that calls still have once the client has closed its side: enough to answer what a script has piped in.
const GRACE: Duration = Duration::from_secs(1);

/// A message on its way, which no longer needs the transport.
type Sending = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Standard input and output, shared so that a session can begin anew where a client began wrongly.
#[derive(Clone)]
pub(super) struct StdioTransport {
    lines: Arc<AsyncMutex<AsyncRwTransport<RoleServer, Stdin, Stdout>>>,
    pending: Arc<PendingRequests>,
    end: CancellationToken,
}

/// Requests that have no answer yet.
#[derive(Default)]
struct PendingRequests {
    ids: Mutex<BTreeSet<String>>,
    is_fewer: Notify,
}

impl PendingRequests {
    fn add(&self, id: String) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    fn remove(&self, id: &str) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.is_fewer.notify_one();
    }

    fn is_full(&self) -> bool {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).len() >= REQUESTS_MAX
    }
}

impl StdioTransport {
    /// Returns the transport; `end` is cancelled a moment after the client has closed its side.
    pub(super) fn new(end: CancellationToken) -> Self {
        let lines = AsyncRwTransport::new_server(tokio::io::stdin(), tokio::io::stdout());
        let lines = lines.with_max_line_length(LINE_MAX);
        Self { lines: Arc::new(AsyncMutex::new(lines)), pending: Arc::default(), end }
    }

    /// Keeps account of what the client asked for and no longer wants.
    fn note_received(&self, message: &ClientJsonRpcMessage) {
        match message {
            ClientJsonRpcMessage::Request(request) => self.pending.add(request.id.to_string()),
            // A request that is cancelled gets no answer.
            ClientJsonRpcMessage::Notification(notification) => {
                let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                else {
                    return;
                };
                if let Some(id) = &cancelled.params.request_id {
                    self.pending.remove(&id.to_string());
                }
            }
            _ => {}
        }
    }
}

impl Transport<RoleServer> for StdioTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let id = match &message {
            ServerJsonRpcMessage::Response(response) => Some(response.id.to_string()),
            ServerJsonRpcMessage::Error(error) => error.id.as_ref().map(ToString::to_string),
            _ => None,
        };
        // Nobody else holds it here: a session sends only between two receptions.
        let sending =
            self.lines.try_lock().map(|mut lines| -> Sending { Box::pin(lines.send(message)) });
        let pending = Arc::clone(&self.pending);
        async move {
            let sent = match sending {
                Ok(sending) => sending.await,
                Err(_) => Err(io::Error::other("the transport is in use")),
            };
            // After it is written: answers that nobody reads must not pile up in memory.
            if let Some(id) = id {
                pending.remove(&id);
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        // Here the client is made to wait, since every request may take memory until it is answered.
        while self.pending.is_full() {
            self.pending.is_fewer.notified().await;
        }
        let message = self.lines.lock().await.receive().await;
        if let Some(message) = &message {
            self.note_received(message);
        } else {
            let end = self.end.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GRACE).await;
                end.cancel();
            });
        }
        message
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.lines.lock().await.close().await
    }
}
