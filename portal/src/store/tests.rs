//! What every store promises, whichever database is behind it.

use latchkey_env::{SystemClock, SystemRandom};
use latchkey_test_database::Fresh;

use super::*;

/// A place for a store, on whichever database the tests run.
struct Place {
    folder: tempfile::TempDir,
    fresh: Option<Fresh>,
}

impl Place {
    fn make() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            fresh: Fresh::make(),
        }
    }

    async fn open(&self) -> Store {
        let database = match &self.fresh {
            None => Database::Sqlite,
            Some(fresh) => Database::postgres(&fresh.address(), None).unwrap(),
        };
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        Store::open(&database, self.folder.path(), clock, random)
            .await
            .unwrap()
    }
}

fn put(tx: &mut dyn Tx, name: &str, value: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO portal_secret (name, value) VALUES (?1, ?2)",
        params![name, value],
    )?;
    Ok(())
}

/// Whether anything was told up to now; that whoever listens may have missed something is no such thing.
fn was_told(wakes: &mut Listening) -> bool {
    std::iter::from_fn(|| wakes.heard()).any(|wake| wake != Wake::Anything)
}

async fn names(store: &Store) -> Vec<String> {
    store
        .read(|tx| {
            tx.query("SELECT name FROM portal_secret ORDER BY name", &[])?
                .iter()
                .map(|row| row.at(0))
                .collect::<Result<_, StoreError>>()
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn an_operation_that_fails_leaves_nothing_and_hurts_no_other_in_its_group() {
    let place = Place::make();
    let store = place.open().await;
    let mut wakes = store.wakes(&[Wake::Outbox]);
    let good = store.write(Scope::Portal, |tx| put(tx, "good", b"1"));
    let bad = store.write(Scope::Portal, |tx| {
        put(tx, "bad", b"1")?;
        tx.wake(Wake::Outbox);
        Err::<(), _>(StoreError::Unreadable("test"))
    });
    let panics = store.write(Scope::Portal, |tx| {
        put(tx, "panics", b"1")?;
        tx.wake(Wake::Outbox);
        panic!("on purpose");
        #[expect(unreachable_code, reason = "gives the closure its type")]
        Ok::<(), StoreError>(())
    });
    let twice = store.write(Scope::Portal, |tx| {
        put(tx, "twice", b"1")?;
        put(tx, "twice", b"2")
    });
    let (good, bad, panics, twice) = tokio::join!(good, bad, panics, twice);
    assert!(good.is_ok());
    assert!(matches!(bad, Err(StoreError::Unreadable("test"))));
    assert!(matches!(panics, Err(StoreError::Panicked)));
    assert!(matches!(twice, Err(StoreError::Duplicate)));
    assert_eq!(names(&store).await, ["good"]);
    assert!(!was_told(&mut wakes), "what was rolled back wakes nobody");
}

#[tokio::test]
async fn what_waits_together_is_committed_together_and_each_has_its_own_answer() {
    let place = Place::make();
    let store = place.open().await;
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    let blocker = store.write(Scope::Portal, move |_| {
        held.lock().unwrap().recv().ok();
        Ok::<_, StoreError>(())
    });
    let many = (0..50).map(|n| {
        store.write(Scope::Portal, move |tx| {
            put(tx, &format!("{n:02}"), b"x")?;
            Ok::<_, StoreError>(n)
        })
    });
    let release = async {
        tokio::task::yield_now().await;
        hold.send(()).unwrap();
    };
    let (first, all, ()) = tokio::join!(blocker, futures_util::future::join_all(many), release);
    first.unwrap();
    let all: Vec<i32> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    assert_eq!(names(&store).await.len(), 50);
}

#[tokio::test]
async fn a_dropped_caller_loses_no_write_and_holds_no_transaction() {
    let place = Place::make();
    let store = place.open().await;
    let mut wakes = store.wakes(&[Wake::Outbox]);
    {
        let mut write = Box::pin(store.write(Scope::Portal, |tx| {
            tx.wake(Wake::Outbox);
            put(tx, "kept", b"1")
        }));
        // Polled once, so that it is on its way, and then dropped.
        tokio::select! {
            biased;
            _ = &mut write => {}
            () = std::future::ready(()) => {}
        }
    }
    while wakes.next().await.unwrap() != Wake::Outbox {}
    assert_eq!(names(&store).await, ["kept"]);
}

#[tokio::test]
async fn a_reader_cannot_write_and_sees_what_was_committed_before_it() {
    let place = Place::make();
    let store = place.open().await;
    store
        .write(Scope::Portal, |tx| put(tx, "one", b"1"))
        .await
        .unwrap();
    assert_eq!(names(&store).await, ["one"]);
    let refused = store.read(|tx| put(tx, "two", b"1")).await;
    assert!(matches!(refused, Err(StoreError::Database(_))));
}

#[tokio::test]
async fn an_acknowledged_write_is_there_after_the_store_is_opened_again() {
    let place = Place::make();
    let store = place.open().await;
    store
        .write(Scope::Portal, |tx| put(tx, "kept", b"1"))
        .await
        .unwrap();
    drop(store);
    let store = place.open().await;
    assert_eq!(names(&store).await, ["kept"]);
}

#[tokio::test]
async fn what_goes_on_after_a_refused_statement_is_not_kept() {
    let place = Place::make();
    let store = place.open().await;
    let mut wakes = store.wakes(&[Wake::Outbox]);
    let went_on = store.write(Scope::Portal, |tx| {
        put(tx, "before", b"1")?;
        tx.wake(Wake::Outbox);
        // As if nothing had been.
        let _ = put(tx, "before", b"2");
        Ok::<_, StoreError>(())
    });
    assert!(matches!(went_on.await, Err(StoreError::Duplicate)));
    assert!(names(&store).await.is_empty());
    assert!(!was_told(&mut wakes));
}

#[tokio::test]
async fn an_operation_works_on_no_other_property_than_its_own() {
    let place = Place::make();
    let store = place.open().await;
    let [one, other] = [1, 2].map(|n| PropertyId([n; 16]));
    let lock = move |tx: &mut dyn Tx| tx.lock_property(one);
    assert!(store.write(one, lock).await.is_ok());
    for scope in [Scope::Portal, Scope::Property(other)] {
        assert!(matches!(
            store.write(scope, lock).await,
            Err(StoreError::Scope)
        ));
    }
}

#[tokio::test]
async fn a_text_that_not_every_database_keeps_is_kept_in_none() {
    let place = Place::make();
    let store = place.open().await;
    let refused = store.write(Scope::Portal, |tx| put(tx, "nul\0", b"1"));
    assert!(matches!(refused.await, Err(StoreError::NotStorable)));
    let refused = store.read(|tx| {
        tx.query(
            "SELECT value FROM portal_secret WHERE name = ?1",
            params!["nul\0"],
        )
        .map(drop)
    });
    assert!(matches!(refused.await, Err(StoreError::NotStorable)));
}

/// Both stores count up at once, as often: each time from what was read within the operation.
async fn count_up(
    stores: [&Store; 2],
    scope: Scope,
    once: impl FnOnce(&mut dyn Tx) -> Result<(), StoreError> + Clone + Send + 'static,
) {
    let counts = (0..100).map(|n| stores[n % 2].write(scope, once.clone()));
    for outcome in futures_util::future::join_all(counts).await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn no_two_stores_work_on_one_property_at_a_time() {
    let place = Place::make();
    let (one, other) = (place.open().await, place.open().await);
    let id = PropertyId([7; 16]);
    let made = one.write(id, move |tx| {
        tx.execute(
            "INSERT INTO property (id, name, zone, offsets, holidays, grant_lifetime, issuer_key,
                 reader_ca_key, epoch, last_change, last_door, last_audit, audit_head, created_at)
             VALUES (?1, '', '', '', '', 0, ?1, ?1, 0, 0, 0, 0, ?1, 0)",
            params![id],
        )
    });
    made.await.unwrap();
    let read = move |tx: &mut dyn Tx| {
        let row = tx.first("SELECT last_door FROM property WHERE id = ?1", params![id])?;
        row.ok_or(StoreError::Unreadable("property"))?.at::<i64>(0)
    };
    let count = move |tx: &mut dyn Tx| {
        let next = read(tx)? + 1;
        tx.execute(
            "UPDATE property SET last_door = ?2 WHERE id = ?1",
            params![id, next],
        )
        .map(drop)
    };
    count_up([&one, &other], id.into(), count).await;
    assert_eq!(one.read(read).await.unwrap(), 100);
}

#[tokio::test]
async fn who_holds_a_name_of_the_portal_reads_what_the_last_holder_wrote() {
    let place = Place::make();
    let (one, other) = (place.open().await, place.open().await);
    let zero = |tx: &mut dyn Tx| put(tx, "count", &[0]);
    one.write(Scope::Portal, zero).await.unwrap();
    let read = |tx: &mut dyn Tx| {
        let row = tx.first("SELECT value FROM portal_secret WHERE name = 'count'", &[])?;
        row.ok_or(StoreError::Unreadable("count"))?.at::<[u8; 1]>(0)
    };
    let count = move |tx: &mut dyn Tx| {
        tx.lock("count")?;
        let [count] = read(tx)?;
        tx.execute(
            "UPDATE portal_secret SET value = ?1 WHERE name = 'count'",
            params![[count + 1]],
        )
        .map(drop)
    };
    count_up([&one, &other], Scope::Portal, count).await;
    assert_eq!(one.read(read).await.unwrap(), [100]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask test postgres"]
async fn a_server_is_spoken_to_in_tls_and_its_certificate_is_checked() {
    let place = Place::make();
    let address = place.fresh.as_ref().unwrap().address();
    let address = format!("{address}?sslmode=require");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/localhost.cert.pem");
    let open = async |certificates: Option<&Path>| {
        let database = Database::postgres(&address, certificates).unwrap();
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        Store::open(&database, place.folder.path(), clock, random).await
    };
    let store = open(Some(&own)).await.unwrap();
    let ssl = store.read(|tx| {
        tx.first(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            &[],
        )?
        .ok_or(StoreError::Unreadable("ssl"))?
        .at::<bool>(0)
    });
    assert!(ssl.await.unwrap());
    // No public authority has signed it.
    let refused = open(None).await.err().unwrap();
    assert!(matches!(refused, StoreError::Unreachable(_)), "{refused}");
}
