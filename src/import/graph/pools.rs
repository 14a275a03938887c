//! Sizes of pools that programs are told by variables and arguments: connections of a client, workers and
//! threads of a server.
//!
//! Only values of well-known names are looked at, and of these only small numbers: nothing else of a
//! variable is ever written.

use std::collections::BTreeMap;

use super::EvidenceGraph;
use super::addresses::words_of;
use super::limits::pool_size;
use super::references::Variable;

/// Words that pools of connections are called by, without the words for what they lead to.
const CONNECTION_POOLS: &[&[&str]] = &[
    &["POOL", "SIZE"],
    &["POOL", "MAX"],
    &["POOL", "MAXSIZE"],
    &["MAX", "POOL", "SIZE"],
    &["POOL", "MAX", "SIZE"],
    &["MAXIMUM", "POOL", "SIZE"],
    &["HIKARI", "MAXIMUM", "POOLSIZE"],
    &["MAXIMUMPOOLSIZE"],
    &["MAX", "CONNECTIONS"],
    &["MAX", "OPEN", "CONNS"],
    &["MAX", "OPEN", "CONNECTIONS"],
    &["MAX", "CONNS"],
    &["CONNECTION", "LIMIT"],
    &["POOL", "MAX", "CONNECTIONS"],
    &["POOL", "MAX", "ACTIVE"],
];

/// Words before them that say that a pool leads to a database.
const OF_DATABASES: &[&str] = &[
    "DB",
    "DATABASE",
    "DATASOURCE",
    "HIKARI",
    "JDBC",
    "SQL",
    "PG",
    "PGPOOL",
    "POSTGRES",
    "POSTGRESQL",
    "MYSQL",
    "MARIADB",
    "SQLALCHEMY",
    "GORM",
    "TYPEORM",
    "PRISMA",
    "KNEX",
    "R2DBC",
    "MONGO",
    "MONGODB",
];

/// Variables that say how many requests a server works on at once.
const SERVER_THREADS: &[&[&str]] = &[
    &["SERVER", "TOMCAT", "THREADS", "MAX"],
    &["SERVER", "TOMCAT", "MAX", "THREADS"],
    &["SERVER", "JETTY", "THREADS", "MAX"],
    &["SERVER", "JETTY", "MAX", "THREADS"],
    &["SERVER", "UNDERTOW", "THREADS", "WORKER"],
    &["QUARKUS", "THREAD", "POOL", "MAX", "THREADS"],
    &["PM", "MAX", "CHILDREN"],
    &["PHP", "FPM", "PM", "MAX", "CHILDREN"],
    &["FPM", "PM", "MAX", "CHILDREN"],
];

/// Workers of a program, by its arguments and variables.
#[derive(Default)]
struct Workers {
    /// Processes, as stated.
    processes: Option<f64>,
    /// Threads of each process.
    threads: Option<f64>,
    /// Connections of each process, where it is no thread that a request needs.
    connections: Option<f64>,
}

/// The server that a command starts, as far as it tells its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerProgram {
    Gunicorn,
    Uvicorn,
    Puma,
    Waitress,
    Postgres,
    Mysql,
}

/// Returns how many requests a server has in progress at once, by its command and its variables; only of
/// programs whose way of counting is known.
pub(in crate::import) fn server_pool<'a>(
    command: impl Iterator<Item = &'a str>,
    variables: &BTreeMap<&str, &str>,
) -> Option<u32> {
    // A command may be one text or a list of words.
    let words: Vec<&str> = command.flat_map(str::split_whitespace).collect();
    let by_variable = || {
        let found = variables.iter().find(|(key, _)| {
            let key = words_of(key);
            SERVER_THREADS.iter().any(|words| key == *words)
        });
        found.and_then(|(_, value)| number_of(value))
    };
    let Some(program) = words.iter().find_map(|word| program_of(word)) else {
        return by_variable().and_then(pool_size);
    };
    let value = |key: &str| variables.get(key).and_then(|value| number_of(value));
    // Gunicorn reads further arguments from this variable.
    let more = variables.get("GUNICORN_CMD_ARGS").copied().unwrap_or_default();
    let all: Vec<&str> = words.iter().copied().chain(more.split_whitespace()).collect();
    let pool = match program {
        ServerProgram::Gunicorn => {
            let workers = Workers {
                processes: option_value(&all, &["-w", "--workers"]).or(value("WEB_CONCURRENCY")),
                threads: option_value(&all, &["--threads"]),
                connections: is_asynchronous(&all)
                    // 1,000 connections are gunicorn's default for such workers.
                    .then(|| option_value(&all, &["--worker-connections"]).unwrap_or(1_000.0)),
            };
            // Workers of uvicorn take what comes.
            let is_unlimited = all.iter().any(|word| word.contains("UvicornWorker"));
            workers.requests_in_progress().filter(|_| !is_unlimited)
        }
        ServerProgram::Uvicorn => {
            let processes = option_value(&all, &["--workers"]).or(value("WEB_CONCURRENCY"));
            option_value(&all, &["--limit-concurrency"]).map(|each| each * processes.unwrap_or(1.0))
        }
        ServerProgram::Puma => {
            let threads = all.iter().position(|word| matches!(*word, "-t" | "--threads"));
            // Puma takes a range of threads: `1:5`.
            let threads = threads.and_then(|at| number_of(all.get(at + 1)?.rsplit(':').next()?));
            let threads = threads.or(value("RAILS_MAX_THREADS")).or(value("PUMA_MAX_THREADS"));
            let processes = option_value(&all, &["-w", "--workers"]).or(value("WEB_CONCURRENCY"));
            threads.map(|threads| threads * processes.unwrap_or(1.0).max(1.0))
        }
        ServerProgram::Waitress => option_value(&all, &["--threads"]),
        ServerProgram::Postgres | ServerProgram::Mysql => all.iter().find_map(|word| {
            // MySQL reads options with dashes and with underscores alike.
            let word = word.trim_start_matches("--").replace('-', "_");
            number_of(word.strip_prefix("max_connections=")?)
        }),
    };
    pool.or_else(by_variable).and_then(pool_size)
}

impl Workers {
    /// Returns how many requests all of them have in progress; `None` where not even one is stated.
    fn requests_in_progress(&self) -> Option<f64> {
        let each = self.connections.or(self.threads);
        match (self.processes, each) {
            (None, None) => None,
            // One process and one thread are the defaults of all these servers.
            (processes, each) => Some(processes.unwrap_or(1.0) * each.unwrap_or(1.0)),
        }
    }
}

fn program_of(word: &str) -> Option<ServerProgram> {
    match word.rsplit('/').next().unwrap_or(word) {
        "gunicorn" => Some(ServerProgram::Gunicorn),
        "uvicorn" => Some(ServerProgram::Uvicorn),
        "puma" => Some(ServerProgram::Puma),
        "waitress-serve" => Some(ServerProgram::Waitress),
        "postgres" => Some(ServerProgram::Postgres),
        "mysqld" | "mariadbd" => Some(ServerProgram::Mysql),
        // Images start the server where the command begins with an option.
        _ if word.contains("max_connections=") => Some(ServerProgram::Postgres),
        _ if word.starts_with("--max-connections=") => Some(ServerProgram::Mysql),
        _ => None,
    }
}

/// Whether workers of gunicorn have many requests in one thread.
fn is_asynchronous(words: &[&str]) -> bool {
    let at = words.iter().position(|word| matches!(*word, "-k" | "--worker-class"));
    let class = at.and_then(|at| words.get(at + 1).copied());
    let joined = words.iter().find_map(|word| word.strip_prefix("--worker-class="));
    class.or(joined).is_some_and(|class| ["gevent", "eventlet", "tornado"].contains(&class))
}

/// The number behind one of these options, as its own word or after `=`.
fn option_value(words: &[&str], names: &[&str]) -> Option<f64> {
    words.iter().enumerate().find_map(|(index, word)| {
        let (name, joined) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (*word, None),
        };
        if !names.contains(&name) {
            return None;
        }
        number_of(joined.or_else(|| words.get(index + 1).copied())?)
    })
}

fn number_of(text: &str) -> Option<f64> {
    let text = text.trim();
    // Seven digits are more than any pool, and longer numbers may be a secret.
    let is_number = !text.is_empty() && text.len() <= 7 && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Gives the dependencies on databases the sizes of the pools that variables state. Where a service has
/// several databases, and the name of its variable tells none of them, nothing is taken.
pub(in crate::import) fn connect_pools(variables: &[Variable], graph: &mut EvidenceGraph) {
    for variable in variables {
        let words = words_of(&variable.key);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ends = CONNECTION_POOLS.iter().filter(|pool| words.ends_with(pool));
        // The longest match leaves the fewest words that could name the database.
        let Some(pool) = ends.max_by_key(|pool| pool.len()) else { continue };
        let Some(size) = number_of(&variable.value).and_then(pool_size) else { continue };
        let before = &words[..words.len() - pool.len()];
        let is_of_database =
            before.iter().any(|word| OF_DATABASES.contains(word)) || pool.contains(&"HIKARI");
        let caller = graph.service_name(&variable.caller);
        let databases: Vec<(String, String)> = graph
            .dependencies
            .range((caller.clone(), String::new())..)
            .take_while(|((known, _), _)| *known == caller)
            .filter(|((_, callee), dependency)| {
                let kind = graph.services.get(callee).and_then(|callee| callee.kind.as_deref());
                kind == Some("database") && !dependency.is_start
            })
            .map(|(pair, _)| pair.clone())
            .collect();
        let is_named = |pair: &&(String, String)| {
            let callee = words_of(&pair.1);
            // All words before the pool must belong to the database: `ORDERS_DB_POOL_SIZE` is that
            // of `orders-db`.
            !before.is_empty() && before.iter().all(|word| callee.iter().any(|own| own == word))
        };
        let named: Vec<&(String, String)> = databases.iter().filter(is_named).collect();
        let pair = match (named.as_slice(), databases.as_slice()) {
            ([one], _) => *one,
            // A pool that names no database is one of it only where its words speak of databases.
            ([], [one]) if is_of_database => one,
            _ => continue,
        };
        if let Some(dependency) = graph.dependencies.get_mut(pair) {
            dependency.max_in_flight_each.get_or_insert(size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_counted_as_each_server_counts_them() {
        for (command, variables, expected) in [
            ("gunicorn -w 4 --threads 2 app:app", &[][..], Some(8)),
            ("/usr/bin/gunicorn --workers=3 app:app", &[], Some(3)),
            ("gunicorn app:app", &[("WEB_CONCURRENCY", "5")], Some(5)),
            ("gunicorn app:app", &[("GUNICORN_CMD_ARGS", "--workers 2 --threads=8")], Some(16)),
            ("gunicorn -k gevent -w 2 app:app", &[], Some(2_000)),
            ("gunicorn -k uvicorn.workers.UvicornWorker -w 2 app:app", &[], None),
            ("gunicorn app:app", &[], None),
            ("uvicorn app:app --workers 4", &[], None),
            ("uvicorn app:app --workers 4 --limit-concurrency 50", &[], Some(200)),
            ("bundle exec puma -t 1:5 -w 2", &[], Some(10)),
            ("java -jar app.jar", &[("SERVER_TOMCAT_THREADS_MAX", "120")], Some(120)),
            ("postgres -c max_connections=200", &[], Some(200)),
            ("--max-connections=500", &[], Some(500)),
            ("java -jar app.jar", &[("SERVER_TOMCAT_THREADS_MAX", "hunter2")], None),
            ("java -jar app.jar", &[("WEB_CONCURRENCY", "5")], None),
        ] {
            let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
            assert_eq!(server_pool([command].into_iter(), &variables), expected, "{command}");
        }
    }

    #[test]
    fn a_pool_belongs_to_the_database_that_it_names_or_to_the_only_one() {
        let pool = |key: &str, databases: &[&str]| {
            let mut graph = EvidenceGraph::default();
            for name in databases {
                graph.service_or_new(name).kind = Some("database".to_owned());
                let evidence = crate::model::topology::Evidence::Inferred;
                graph.depend_on("web", name, evidence, "t");
            }
            graph.service_or_new("web").replicas = Some(3);
            let (caller, value) = ("web".to_owned(), "10".to_owned());
            let variable = Variable { caller, key: key.to_owned(), value, ..Variable::default() };
            connect_pools(&[variable], &mut graph);
            graph.settle_limits();
            let limited = graph.dependencies.iter().filter_map(|((_, callee), dependency)| {
                Some(format!("{callee} {}", dependency.max_in_flight?))
            });
            limited.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(pool("DB_POOL_SIZE", &["ledger"]), "ledger 30");
        assert_eq!(pool("SPRING_DATASOURCE_HIKARI_MAXIMUM_POOL_SIZE", &["ledger"]), "ledger 30");
        assert_eq!(pool("SPRING_DATASOURCE_HIKARI_MAXIMUMPOOLSIZE", &["ledger"]), "ledger 30");
        assert_eq!(pool("ORDERS_POOL_SIZE", &["ledger", "orders"]), "orders 30");
        assert_eq!(pool("DB_POOL_SIZE", &["ledger", "orders"]), "");
        assert_eq!(pool("THREAD_POOL_SIZE", &["ledger"]), "");
        assert_eq!(pool("DB_POOL_NAME", &["ledger"]), "");
    }
}
