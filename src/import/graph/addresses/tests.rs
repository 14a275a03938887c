//! Every form of an address, with every kind of neighbour.

use proptest::prelude::*;

use super::*;

fn hosts(key: &str, value: &str) -> Vec<String> {
    in_variable(key, value).addresses.into_iter().map(|address| address.host).collect()
}

#[track_caller]
fn check(key: &str, value: &str, expected: &[&str]) {
    assert_eq!(hosts(key, value), expected, "{key}={value}");
}

#[test]
fn addresses_are_found_in_all_their_forms() {
    check("CART_ADDR", "cart:7070", &["cart"]);
    check("MONGO_HOST", "user-db", &["user-db"]);
    check("PGHOST", "ledger-db", &["ledger-db"]);
    check("EventBusConnection", "rabbitmq", &["rabbitmq"]);
    check("ConnectionString", "Server=sqldata;Database=x;User Id=sa;Password=p", &["sqldata"]);
    check("X", "Server=tcp:sql.example.com,1433;Database=x", &["sql.example.com"]);
    check("X", "Data Source=db\\INSTANCE;Database=x", &["db"]);
    check("DB_CONNECTION_STRING", "Host=astronomy-db;Username=u", &["astronomy-db"]);
    check("X", "host=db port=5432 user=u password=p", &["db"]);
    check("URL", "postgres://u:p@db:5432/x", &["db"]);
    check("URL", "amqp://user:pa/ss@mq:5672/v", &["mq"]);
    check("URL", "redis://:p?s#s@cache:6379/0", &["cache"]);
    check("X", "jdbc:postgresql://db/x?endpoint=seaweedfs:8333", &["db", "seaweedfs"]);
    check("X", "jdbc:sqlserver://db:1433;databaseName=x;user=sa", &["db"]);
    check("X", "jdbc:oracle:thin:@db:1521:XE", &["db"]);
    check("X", "jdbc:oracle:thin:@//db:1521/XE", &["db"]);
    check("X", "root:secret@tcp(db:3306)/shop?parseTime=true", &["db"]);
    check("DB_DSN", "root:secret@tcp(db)/shop", &["db"]);
    check("B", "SASL_SSL://kafka1:10091,SASL_SSL://kafka2:10092", &["kafka1", "kafka2"]);
    check("B", "bus-0.bus:9092,bus-1.bus:9092", &["bus-0.bus", "bus-1.bus"]);
    check("X", "mongodb://a:w@d1,d2:27018,d3/shop?replicaSet=rs0", &["d1", "d2", "d3"]);
    check("V", "1@kafka1:13091", &["kafka1"]);
    check("TARGET", "dns:///bus-headless:9092", &["bus-headless"]);
    check("TARGET", "dns://8.8.8.8/bus:9092", &["bus"]);
    check("X", "postgresql:///x?host=ledger-db", &["ledger-db"]);
    check("identityUrl", "http://identity-api", &["identity-api"]);
    check(
        "X",
        "-Xmx1g -Dspring.datasource.url=jdbc:mysql://db:3306/x -Dcart.host=cart",
        &["db", "cart"],
    );
    check(
        "P",
        "master.rpc.address: master\nqueue.servers=a:1,b:2\nstate.backend: files\n",
        &["master", "a", "b"],
    );
    check(
        "SPRING_JSON",
        "{\"a\":{\"url\":\"http://stock\"},\"b\":[{\"host\":\"cart\"}],\"name\":\"x\"}",
        &["stock", "cart"],
    );
}

#[test]
fn credentials_files_and_switches_are_no_addresses() {
    check("POSTGRES_USER", "temporal", &[]);
    check("DB_NAME", "gitlab", &[]);
    check("DB", "Username=otelu;Password=otelp", &[]);
    check("SEARCH_PROVIDER", "rabbitmq", &[]);
    check("ADMIN_USERS", "postgres,sentry", &[]);
    assert_eq!(in_variable("PaymentUrlHC", "http://payment-api/hc").purpose, Purpose::NotCalled);
    check("MODE", "worker", &[]);
    check("SINCE", "12:30", &[]);
    check("X", "sqlite:///var/shop.db", &[]);
    check("X", "s3://bucket/x?endpoint=http://seaweedfs:8333&region=eu", &["seaweedfs"]);
    check("SOCKET_ADDR", "unix:///var/run/x.sock", &[]);
    for word in ["True", "None", "null", "off"] {
        check("MAIL_SERVER", word, &[]);
    }
}

#[test]
fn arguments_give_hosts_only_behind_their_flags() {
    let of = |text: &str| -> Vec<String> {
        in_arguments([text]).into_iter().map(|(address, _)| address.host).collect()
    };
    assert_eq!(of("-d 60 -r 200 -c 2 -h edge-router"), ["edge-router"]);
    assert_eq!(of("run worker --rpc-host=taskbroker:50051"), ["taskbroker"]);
    assert_eq!(of("--quote=http://quote:80"), ["quote"]);
    assert_eq!(of("celery -A registrar"), Vec::<String>::new());
}

#[test]
fn what_a_command_waits_for_is_needed_to_start() {
    let found = in_arguments(["./wait-for-it.sh db:5432 -- run --cart-url=http://cart:80"]);
    let found: Vec<(&str, Purpose)> =
        found.iter().map(|(address, purpose)| (address.host.as_str(), *purpose)).collect();
    assert_eq!(found, [("db", Purpose::Start), ("cart", Purpose::Unstated)]);
}

#[test]
fn files_give_hosts_without_their_comments() {
    let text =
        "# old: http://old:80\nstock:\n  url: http://stock:80 # today\ncart.host = cart\n// x:1\n";
    let found: Vec<String> = in_file(text).into_iter().map(|address| address.host).collect();
    assert_eq!(found, ["stock", "cart"]);
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{1,8}(-[a-z0-9]{1,4})?(\\.[a-z]{2,5}){0,3}"
        .prop_filter("a word for nothing, or a file", |name| {
            host::is_host(name) && host::host_of(name, true).is_some()
        })
}

proptest! {
    /// Whatever the form, the hosts come out, in order, and nothing of the credentials does.
    #[test]
    fn hosts_come_out_of_every_form(
        names in prop::collection::vec(name(), 1..4),
        port in 1_u32..65536,
        password in "[A-Za-z][A-Za-z0-9/?#,]{0,11}Z",
        form in 0_usize..9,
    ) {
        let ports: Vec<String> = names.iter().map(|name| format!("{name}:{port}")).collect();
        let list = ports.join(",");
        let bare = names.join(",");
        let one = &names[..1];
        let first = &ports[0];
        let (value, expected): (String, &[String]) = match form {
            0 => (format!("mongodb://app:{}@{list}/shop?replicaSet=rs0", password.replace(',', "")), &names),
            1 => (list, &names),
            2 => (bare, &names),
            3 => (format!("jdbc:postgresql://{list}/x?user=u&password=Zq"), &names),
            4 => (format!("app:Zq@tcp({first})/shop?parseTime=true"), one),
            5 => (format!("Server=tcp:{},{port};Database=x;Password=Zq", names[0]), one),
            6 => (format!("host={} port={port} user=u password=Zq", names[0]), one),
            7 => (ports.iter().map(|port| format!("PLAINTEXT://{port}")).collect::<Vec<_>>().join(","), &names),
            _ => (format!("postgres://u:{password}@{first}/x"), one),
        };
        prop_assert_eq!(hosts("SHOP_HOSTS", &value), expected, "{}", value);
    }

    #[test]
    fn no_text_makes_the_scanner_panic(key in ".{0,20}", value in ".{0,200}") {
        in_variable(&key, &value);
        in_arguments([value.as_str()]);
        in_file(&value);
    }
}
