//! The answers of the server: what it is, its tools, its resources.

use std::sync::Arc;

use blastwave::{load, policy};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource,
    ResourceContents, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::call::{self, CallEnd, CallLimits};
use super::tools::{self, Defaults, SCHEMAS, TOOLS};

/// The largest file that is given as a resource, in bytes: what is larger is no reading for an agent.
const RESOURCE_MAX: u64 = 1 << 20;

const INSTRUCTIONS: &str = "Blastwave says what fails, for how long and at what cost when a planned \
    change breaks. Before you open a pull request that changes services, infrastructure, configuration or a \
    schema, call `check_change` with the change file, or `blast_radius_of_files` with the files you touch. \
    `stop` means do not ship; `caution` means that a person must look; say so to the user, with the reasons. \
    What is unknown is reported as unknown: do not take it for safe.";

/// The server behind one session.
#[derive(Clone)]
pub(super) struct BlastServer {
    limits: Arc<CallLimits>,
    defaults: Arc<Defaults>,
    /// How many calls may run at once.
    slots: Arc<Semaphore>,
    /// Cancelled when the client has gone.
    end: CancellationToken,
}

impl BlastServer {
    pub(super) fn new(
        limits: CallLimits,
        defaults: Defaults,
        calls: usize,
        end: CancellationToken,
    ) -> Self {
        Self {
            limits: Arc::new(limits),
            defaults: Arc::new(defaults),
            slots: Arc::new(Semaphore::new(calls)),
            end,
        }
    }

    /// Runs a tool as soon as there is room for another call.
    async fn answer_call(
        &self,
        request: CallToolRequestParams,
        cancelled: &CancellationToken,
    ) -> Result<CallToolResult, ErrorData> {
        let tool = tools::find_tool(&request.name)
            .map_err(|message| ErrorData::invalid_params(message, None))?;
        let arguments = request.arguments.unwrap_or_default();
        // An error that the model reads and can mend, unlike one of the protocol.
        let line = match tool.command_line(&arguments, &self.defaults) {
            Ok(line) => line,
            Err(problems) => return Ok(error_result(format!("error: {problems}\n"))),
        };
        let slot = tokio::select! {
            slot = self.slots.acquire() => slot,
            () = cancelled.cancelled() => return Ok(error_result("error: the call was cancelled\n")),
        };
        let end = call::run_command(line, &self.limits, cancelled).await;
        drop(slot);
        let (result, messages) = match end {
            CallEnd::Refusal { messages } => return Ok(error_result(messages)),
            CallEnd::Answer { result, messages } => (result, messages),
        };
        Ok(match tool.structured_result(&result) {
            Ok(value) => answer_result(value, messages),
            Err(error) => error_result(format!("error: the answer is no JSON: {error}\n")),
        })
    }

    /// Returns the texts that a client can read: address, title, description and type.
    fn resources(&self) -> Vec<Resource> {
        let mut resources = Vec::new();
        let mut add = |uri: String, title: &str, mime: &str| {
            let name = uri.trim_start_matches(SCHEME).replace('/', "-");
            resources.push(Resource::new(uri, name).with_title(title).with_mime_type(mime));
        };
        let files = [
            (TOPOLOGY_URI, &self.defaults.topology, "The topology, or the scenario that names it"),
            (POLICY_URI, &self.defaults.policy, "The policy that changes are judged by"),
        ];
        for (uri, path, title) in files {
            // A folder of files is no text to read.
            if path.as_deref().is_some_and(load::is_file) {
                add(uri.to_owned(), title, "application/yaml");
            }
        }
        add(DEFAULT_POLICY_URI.to_owned(), "The built-in policy", "application/yaml");
        for (name, _, title) in SCHEMAS {
            add(format!("{SCHEMA_URI}{name}"), title, "application/schema+json");
        }
        resources
    }

    fn resource_text(&self, uri: &str) -> Result<String, ErrorData> {
        let missing =
            || ErrorData::resource_not_found(format!("there is no resource `{uri}`"), None);
        if let Some(name) = uri.strip_prefix(SCHEMA_URI) {
            let found = SCHEMAS.iter().find(|(known, ..)| *known == name);
            return found.map(|(_, text, _)| (*text).to_owned()).ok_or_else(missing);
        }
        let path = match uri {
            DEFAULT_POLICY_URI => return Ok(policy::DEFAULT.to_owned()),
            TOPOLOGY_URI => self.defaults.topology.as_deref(),
            POLICY_URI => self.defaults.policy.as_deref(),
            _ => None,
        };
        file_text(path.ok_or_else(missing)?)
    }
}

const SCHEME: &str = "blastwave://";
const TOPOLOGY_URI: &str = "blastwave://topology";
const POLICY_URI: &str = "blastwave://policy";
const DEFAULT_POLICY_URI: &str = "blastwave://policy/default";
const SCHEMA_URI: &str = "blastwave://schema/";

/// Reads a file that the server was started with, as it is now.
fn file_text(path: &str) -> Result<String, ErrorData> {
    if load::file_size(path).is_some_and(|size| size > RESOURCE_MAX) {
        let message = format!("`{path}` has more than {RESOURCE_MAX} bytes");
        return Err(ErrorData::invalid_request(message, None));
    }
    let bytes = load::read_bytes(path)
        .map_err(|problem| ErrorData::resource_not_found(problem.message, None))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn error_result(message: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(message)])
}

/// Returns a result: the structured part, the same as text for clients that know no other, and the notes.
fn answer_result(value: serde_json::Value, messages: String) -> CallToolResult {
    let mut result = CallToolResult::structured(value);
    if !messages.is_empty() {
        result.content.push(ContentBlock::text(messages));
    }
    result
}

impl ServerHandler for BlastServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        ServerConfig::new(capabilities)
            .with_server_info(
                Implementation::new("blastwave", env!("CARGO_PKG_VERSION")).with_title("Blastwave"),
            )
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(TOOLS.iter().map(described_tool).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // Of the request, for a client that cancels it, and of the session, for one that has gone.
        let cancelled = context.ct.clone();
        let answer = self.answer_call(request, &cancelled);
        tokio::select! {
            answer = answer => answer.map(CallToolResponse::from),
            () = self.end.cancelled() => Ok(error_result("error: the client has gone\n").into()),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(self.resources()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let text = self.resource_text(&request.uri)?;
        let resources = self.resources();
        let mime = resources.into_iter().find(|resource| resource.uri == request.uri);
        let mime = mime.and_then(|resource| resource.mime_type).unwrap_or_default();
        let contents = ResourceContents::text(text, request.uri).with_mime_type(mime);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}

fn described_tool(tool: &tools::Tool) -> Tool {
    let annotations = ToolAnnotations::new()
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(false);
    Tool::new(tool.name, tool.description, Arc::new(tool.input_schema()))
        .with_title(tool.title)
        .with_raw_output_schema(Arc::new(tool.output_schema()))
        .with_annotations(annotations)
}
