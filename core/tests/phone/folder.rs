//! The whole folder, copied without the sealing key.

use std::path::Path;

use aliro::reader::Memory as _;
use latchkey_core::wallet::{FileSealingKey, Wallet, WalletError};
use latchkey_env::SystemRandom;
use latchkey_protocol::api::auth::CredentialUse;
use latchkey_protocol::roles::Role;

use crate::door::{Script, TestDoor};
use crate::world::{EMAIL, GATE, KEY, PASS, POOL, PROPERTY, RITA, World, at, membership};

fn whole(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        files.push((name, std::fs::read(path).unwrap()));
    }
    files
}

fn found(files: &[(String, Vec<u8>)], needle: &[u8]) -> Option<String> {
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
    files
        .iter()
        .find(|(_, bytes)| holds(bytes))
        .map(|(name, _)| name.clone())
}

#[tokio::test]
async fn it_shows_no_name_no_door_and_no_secret() {
    let mut world = World::new().await;
    world.wire.state().memberships = vec![membership(Role::Manager)];
    let script = Script::remembering(GATE, 1);
    let memory = script.memory.clone().unwrap();
    let door = TestDoor::start(&world, script).await;
    world.doors[0].stream_address = Some(door.address.clone());
    let phone = world.signed_in().await;
    phone
        .unlock(at(GATE), &Default::default(), &|_| {})
        .await
        .unwrap();
    let mut remembered = Vec::new();
    memory.search(&mut |_, key| {
        remembered.extend_from_slice(key.expose());
        false
    });
    assert_eq!(remembered.len(), 32);

    // Taken while the wallet is open, so that the write-ahead log is full of all this.
    let files = whole(&world.folder());
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        names.contains(&"wallet.db") && names.contains(&"wallet.db-wal"),
        "{names:?}"
    );

    let url = world.wire.url();
    let (access, code) = (
        world.registered(CredentialUse::Access),
        world.registered(CredentialUse::Code),
    );
    let token = world.wire.state().access.clone().unwrap();
    let grant = world.grant().document.0;
    let needles: Vec<(&str, Vec<u8>)> = vec![
        ("portal", url.trim_start_matches("http://").into()),
        ("e-mail", EMAIL.into()),
        ("property's name", "Harbour View".into()),
        ("person's name", "Rita".into()),
        ("key's name", "Apartment 12".into()),
        ("door's name", "Harbour gate".into()),
        ("door's name", "Pool house".into()),
        ("door's place", "By the water".into()),
        ("door's address", door.address.clone().into()),
        ("access token", token.into()),
        ("refresh token", "refresh-".into()),
        ("access credential", access.x().to_vec()),
        ("code key", code.x().to_vec()),
        ("grant", grant[grant.len() - 24..].to_vec()),
        ("remembered key", remembered),
        ("door's state", b"later state".to_vec()),
        ("property's id", PROPERTY.0.to_vec()),
        ("property's id", PROPERTY.to_string().into()),
        ("door's id", GATE.0.to_vec()),
        ("door's id", POOL.to_string().into()),
        ("key's id", KEY.to_string().into()),
        ("person's id", RITA.to_string().into()),
        ("pass's id", PASS.to_string().into()),
        (
            "private key (PKCS#8)",
            vec![0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07],
        ),
    ];
    for (what, needle) in &needles {
        assert_eq!(found(&files, needle), None, "{what}");
    }
    // The search finds what is there.
    assert!(found(&files, b"CREATE TABLE entities").is_some());

    let copy = world.dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for (name, bytes) in &files {
        std::fs::write(copy.join(name), bytes).unwrap();
    }
    let elsewhere = FileSealingKey::new(
        world.dir.path().join("k"),
        std::sync::Arc::new(SystemRandom),
    );
    let opened = Wallet::open(&copy, &elsewhere, std::sync::Arc::new(SystemRandom));
    assert!(matches!(opened, Err(WalletError::SealingKeyMissing(_))));
}

/// Killed at any moment: what is on disk then opens, and holds all that was said to be kept.
#[tokio::test]
async fn a_copy_taken_at_any_moment_opens_whole() {
    let mut world = World::new().await;
    let door = TestDoor::start(&world, Script::opening(GATE, 1)).await;
    world.doors[0].stream_address = Some(door.address.clone());
    let phone = world.signed_in().await;
    let folder = world.folder();
    let keys = || {
        FileSealingKey::new(
            world.dir.path().join("keys"),
            std::sync::Arc::new(SystemRandom),
        )
    };
    let copies = std::sync::Mutex::new(Vec::new());
    phone
        .unlock(at(GATE), &Default::default(), &|_| {
            copies.lock().unwrap().push(whole(&folder));
        })
        .await
        .unwrap();
    let copies = copies.into_inner().unwrap();
    assert!(copies.len() >= 4);
    for (number, files) in copies.into_iter().enumerate() {
        let copy = world.dir.path().join(format!("copy-{number}"));
        std::fs::create_dir(&copy).unwrap();
        for (name, bytes) in files {
            // Shared memory is gone after a kill.
            if name != "wallet.db-shm" {
                std::fs::write(copy.join(name), bytes).unwrap();
            }
        }
        Wallet::open(&copy, &keys(), std::sync::Arc::new(SystemRandom)).unwrap();
    }
}
