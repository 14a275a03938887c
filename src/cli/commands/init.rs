//! `blastwave init`: the first files of a repository, made from what lies in it.

use std::fs;
use std::path::Path;

use clap::Args;

use super::import::{check_output, join_lines};
use crate::cli::exit::Exit;
use crate::cli::output::ResultOutput;
use crate::cli::terminal::Terminal;
use crate::cli::{Failure, diagnostics_style};
use blastwave::diagnostic::{Diagnostic, Sources};
use blastwave::import::{self, EvidenceGraph, Options};
use blastwave::model::schema;
use blastwave::render::text::diagnostics;

/// Where to look, and where to write.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The repository
    #[arg(value_name = "DIRECTORY", default_value = ".")]
    directory: String,

    /// Take the place of files that are there already
    #[arg(long)]
    force: bool,

    /// Also write `AGENTS.md` and `.mcp.json`, which tell coding agents when to ask, and how
    #[arg(long)]
    agents: bool,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  In the repository that you stand in:
    blastwave init
  In another, in the place of files that are there:
    blastwave init ../shop --force";

/// A file to write: its path below the repository, its text, and what it is for.
struct InitDraft {
    path: &'static str,
    text: String,
    purpose: &'static str,
}

/// Workflow for GitHub Actions.
const GITHUB: &str = "\
# Comments on what a pull request may break: https://docs.github.com/actions
name: Blast radius
on: pull_request
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          fetch-depth: 0
          persist-credentials: false
      # Set both as variables of the repository: the archive of one release, and its SHA-256 as the
      # release lists it.
      - env:
          URL: ${{ vars.BLASTWAVE_URL }}
          CHECKSUM: ${{ vars.BLASTWAVE_SHA256 }}
        run: |
          curl --fail --silent --show-error --location --output \"$RUNNER_TEMP/blastwave.tar.gz\" \"$URL\"
          echo \"$CHECKSUM  $RUNNER_TEMP/blastwave.tar.gz\" | sha256sum --check --strict
          tar -xzf \"$RUNNER_TEMP/blastwave.tar.gz\" -C \"$RUNNER_TEMP\" --strip-components 1
          echo \"$RUNNER_TEMP\" >> \"$GITHUB_PATH\"
      - run: blastwave validate topology.yaml changes/first-change.yaml
      # Ends with 1 to stop, and with 3 where a person must look.
      - run: >-
          blastwave check topology.yaml
          --git-range ${{ github.event.pull_request.base.sha }}...${{ github.event.pull_request.head.sha }}
          --format markdown -o \"$GITHUB_STEP_SUMMARY\"
";

/// The same of GitLab.
const GITLAB: &str = "\
# Include it from .gitlab-ci.yml: `include: { local: .gitlab/blast-radius.yml }`
blast-radius:
  image: debian:bookworm-slim
  rules:
    - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"
  variables:
    GIT_DEPTH: \"0\"
  before_script:
    - apt-get update -qq && apt-get install -qq -y --no-install-recommends ca-certificates curl git
    # Set both as variables of the project: the archive of one release, and its SHA-256 as the release
    # lists it.
    - curl --fail --silent --show-error --location --output blastwave.tar.gz \"$BLASTWAVE_URL\"
    - echo \"$BLASTWAVE_SHA256  blastwave.tar.gz\" | sha256sum --check --strict
    - tar -xzf blastwave.tar.gz -C /usr/local/bin --strip-components 1 --wildcards '*/blastwave'
  script:
    - blastwave check topology.yaml --git-range \"$CI_MERGE_REQUEST_DIFF_BASE_SHA..HEAD\"
  # Caution: a warning that a person must look at, not a failure.
  allow_failure:
    exit_codes: 3
";

/// Looks at the repository, and writes a topology, a first change, their schemas, and the job that checks.
pub(crate) fn run_init(args: &InitArgs, terminal: Terminal) -> Result<Exit, Failure> {
    let mut sources = Sources::default();
    let folder = Path::new(&args.directory);
    if !folder.is_dir() {
        return Err(Failure::usage(format!("`{}` is no directory", args.directory)));
    }
    let (graph, warnings) = match import_repository(&args.directory, terminal, &mut sources) {
        Ok(imported) => imported,
        Err(diagnostics) => return Err(Failure::Input { diagnostics, sources }),
    };
    if !warnings.is_empty() {
        let style = diagnostics_style(terminal.colors_messages());
        terminal.write_note(&diagnostics::render_diagnostics(&warnings, &sources, style));
    }
    let mut drafts = draft_files(folder, &graph);
    if args.agents {
        drafts.extend(agent_drafts());
    }
    // The topology is checked before the first file is written, so that none is left behind.
    check_output(&drafts[0].text).map_err(|diagnostics| Failure::Input { diagnostics, sources })?;
    // All or nothing: half of the files would not work together.
    let taken: Vec<&str> =
        drafts.iter().map(|draft| draft.path).filter(|path| folder.join(path).exists()).collect();
    if !taken.is_empty() && !args.force {
        let message = format!("{} would be overwritten; nothing was written", taken.join(", "));
        return Err(Failure::usage(message)
            .help("`--force` takes their place; `blastwave import ... --merge topology.yaml` adds to a topology"));
    }
    let mut lines = Vec::new();
    for draft in &drafts {
        let path = folder.join(draft.path);
        write_file(&path, &draft.text, terminal)?;
        lines.push(format!("wrote {}: {}", path.display(), draft.purpose));
    }
    let topology = folder.join(drafts[0].path);
    let mut summary = import::summary_lines(&graph, &topology.display().to_string());
    // Its last line names the next command after an import, which is another one here.
    summary.pop();
    let change = folder.join(drafts[1].path);
    summary.push(format!(
        // Paths may hold blanks, and the line is there to be copied.
        "next:         blastwave check {} --change {}",
        import::shell_word(&topology.display().to_string()),
        import::shell_word(&change.display().to_string())
    ));
    terminal.write_result(&join_lines(&lines)).map_err(crate::cli::output::OutputError::Stdout)?;
    terminal.write_note(&join_lines(&summary));
    Ok(Exit::Done)
}

/// Imports what lies in the repository.
fn import_repository(
    directory: &str,
    terminal: Terminal,
    sources: &mut Sources,
) -> Result<(EvidenceGraph, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut recognized = import::recognize_files(&[directory.to_owned()])?;
    let mut graph = EvidenceGraph::default();
    let options = Options::default();
    let read = recognized.read_groups(&options, &mut graph, sources, &|_, _| {});
    terminal.write_note(&join_lines(&recognized.notes));
    read?;
    import::settle_graph(&mut graph);
    let warnings = graph.take_warnings();
    Ok((graph, warnings))
}

/// The files to write; the topology first, the change second.
fn draft_files(folder: &Path, graph: &EvidenceGraph) -> Vec<InitDraft> {
    // With links resolved, since `.` has no name of its own.
    let name = fs::canonicalize(folder).ok();
    let name = name.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    // A root folder has no name.
    let topology = import::write_topology(name.as_deref().unwrap_or("system"), graph);
    // The most called service is the one whose break shows most.
    let service = import::most_called(graph).unwrap_or_default();
    let change = format!(
        "# yaml-language-server: $schema=../change.schema.json\n\
         # What if a new version of this service breaks? Put in what you plan, and how you ship it.\n\
         version: 1\nchange: first-change\nfailure_probability: 10%\n\
         targets: [{{ service: {}, modes: down }}]\n\
         rollout: all-at-once\ndetection: 30m\nrollback: 30m\n",
        import::yaml_scalar(&service)
    );
    let mut drafts = vec![
        InitDraft {
            path: "topology.yaml",
            text: format!("# yaml-language-server: $schema=topology.schema.json\n{topology}"),
            purpose: "the services and how they depend on each other; review it",
        },
        InitDraft {
            path: "changes/first-change.yaml",
            text: change,
            purpose: "a change to begin with",
        },
        InitDraft {
            path: "topology.schema.json",
            text: schema::TOPOLOGY.to_owned(),
            purpose: "for editors that complete keys",
        },
        InitDraft {
            path: "change.schema.json",
            text: schema::CHANGE.to_owned(),
            purpose: "for editors that complete keys",
        },
    ];
    let is_gitlab = folder.join(".gitlab-ci.yml").exists() && !folder.join(".github").exists();
    let (path, text) = if is_gitlab {
        (".gitlab/blast-radius.yml", GITLAB)
    } else {
        (".github/workflows/blast-radius.yml", GITHUB)
    };
    drafts.push(InitDraft { path, text: text.to_owned(), purpose: "checks what is proposed" });
    drafts
}

/// Returns the files for coding agents.
fn agent_drafts() -> [InitDraft; 2] {
    let server = "{ \"mcpServers\": { \"blastwave\": { \"command\": \"blastwave\", \
                  \"args\": [\"mcp\", \"topology.yaml\"] } } }\n";
    [
        InitDraft {
            path: "AGENTS.md",
            text: include_str!("agents-sample.md").to_owned(),
            purpose: "tells coding agents when to ask",
        },
        InitDraft {
            path: ".mcp.json",
            text: server.to_owned(),
            purpose: "tells coding agents how to start the server",
        },
    ]
}

fn write_file(path: &Path, text: &str, terminal: Terminal) -> Result<(), Failure> {
    let fail = |error: std::io::Error| {
        Failure::usage(format!("cannot write `{}`: {error}", path.display()))
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    let output = ResultOutput::open(path.to_str(), &[])?;
    output.write_result(text, terminal)?;
    Ok(())
}
