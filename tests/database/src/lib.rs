//! The portal's tests run on SQLite, or on the PostgreSQL server that the environment names: `cargo xtask test postgres`
//! starts one and runs them there. Each test gets a database of its own.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use postgres::{Client, NoTls};

/// Names the server: an address such as `postgres://user@127.0.0.1:5432/postgres`, whose user may create databases.
pub const SERVER: &str = "LATCHKEY_TEST_DATABASE";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database on the server, gone with this.
#[derive(Debug)]
pub struct Fresh {
    server: String,
    name: String,
}

impl Fresh {
    /// Makes one; none when the tests run on SQLite.
    ///
    /// # Panics
    /// When the server that the environment names makes none: a test that was to run on PostgreSQL must not pass on
    /// something else.
    #[must_use]
    pub fn make() -> Option<Self> {
        let server = std::env::var(SERVER).ok()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("latchkey_{}_{count}", std::process::id());
        let create = format!("CREATE DATABASE {name}");
        alone(&server, move |client| client.batch_execute(&create));
        Some(Self { server, name })
    }

    /// Its address.
    ///
    /// # Panics
    /// When the server's address has no database to replace.
    #[must_use]
    pub fn address(&self) -> String {
        let (before, after) = self
            .server
            .rsplit_once("/postgres")
            .unwrap_or_else(|| panic!("{SERVER} must name the database `postgres`"));
        format!("{before}/{}{after}", self.name)
    }
}

impl Fresh {
    /// What the server calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells the server of all databases something, over a connection to another of them.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn administer(&self, statements: String) {
        alone(&self.server, move |client| {
            client.batch_execute(&statements)
        });
    }

    /// Changes what is stored, behind the portal's back.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn alter(&self, statements: String) {
        alone(&self.address(), move |client| {
            client.batch_execute(&statements)
        });
    }

    /// The first column of all rows.
    ///
    /// # Panics
    /// When the server refuses the query, or the column holds no bytes.
    #[must_use]
    pub fn bytes(&self, query: &str) -> Vec<Vec<u8>> {
        let query = query.to_owned();
        alone(&self.address(), move |client| {
            let rows = client.query(&query, &[])?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        alone(&self.server, move |client| client.batch_execute(&drop));
    }
}

/// On a thread of its own: tests run within a runtime, which this client would block.
fn alone<T: Send + 'static>(
    address: &str,
    work: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send + 'static,
) -> T {
    let address = address.to_owned();
    let done = thread::spawn(move || {
        let mut client = Client::connect(&address, NoTls)?;
        work(&mut client)
    });
    match done.join() {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => panic!("{SERVER}: {error}"),
        Err(panicked) => std::panic::resume_unwind(panicked),
    }
}
