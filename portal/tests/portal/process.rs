//! The program as its operators run it: a process with a console, a log, signals.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::program::{Serving, Site};

const OWNER: &str = "olga@harbour.example";
const FILE: &str = r#"
[property]
name = "Yard"
zone = "Europe/Berlin"
[owner]
name = "Olga"
email = "olga@harbour.example"
"#;

#[tokio::test]
async fn it_ends_when_it_is_asked_to_and_its_log_names_requests_and_holds_no_secrets() {
    let site = Site::with(FILE);
    let mut server = site.server();
    server
        .args(["--log-format", "json"])
        .env("RUST_LOG", "trace");
    let mut serving = Serving::start(server.stderr(Stdio::piped()));
    let mut log = serving.process.child().stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut all = String::new();
        log.read_to_string(&mut all).map(|_| all)
    });
    let device = serving.sign_in(OWNER).await;
    let answer = device.get("/v1/me").await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();

    let killed = Command::new("kill")
        .args(["-TERM", &serving.process.child().id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let status = serving.process.child().wait().unwrap();
    assert!(status.success(), "{status}");
    let log = reader.join().unwrap().unwrap();
    assert!(log.contains(&id), "the request is in the log by its id");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
    }
    for (what, secret) in [
        ("access token", device.access.as_str()),
        ("refresh token", device.refresh.as_str()),
        ("address", OWNER),
        ("name", "Olga"),
    ] {
        assert!(!log.contains(secret), "the log holds the {what}");
    }
}

#[test]
fn a_file_with_a_mistake_makes_nothing_and_says_where() {
    let site = Site::new();
    let made = site.create(&FILE.replace("zone = \"Europe/Berlin\"", "zone = \"Berlin\""));
    assert!(!made.status.success());
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(said.contains("did you mean `Europe/Berlin`"), "{said}");
}

#[test]
fn a_row_of_the_audit_chain_that_was_altered_is_found() {
    let site = Site::with(FILE);
    site.place.alter(&site.data(), |_| {
        "UPDATE audit SET subject = 'somebody else' WHERE number = 3".to_owned()
    });
    let audit = site.audit();
    assert!(!audit.status.success());
    let said = String::from_utf8_lossy(&audit.stderr);
    assert!(said.contains("broken at row 3"), "{said}");
}

#[test]
fn an_operator_begins_a_new_epoch_for_all_properties_or_one() {
    let site = Site::with(FILE);
    let begun = site.begin_epoch(&[]);
    let said = String::from_utf8_lossy(&begun.stdout);
    assert!(said.contains("(Yard): epoch 2 has begun"), "{said}");
    let property = said.split(' ').nth(1).unwrap();
    let begun = site.begin_epoch(&["--property", property]);
    let said = String::from_utf8_lossy(&begun.stdout);
    assert!(said.contains("epoch 3 has begun"), "{said}");
    let unknown = site.begin_epoch(&["--property", "00112233445566778899aabbccddeeff"]);
    assert!(!unknown.status.success());
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("no property"), "{said}");
}
