//! Every row and every column of every table, altered in every way in which a row can be: the wallet does not
//! open. The tables are those that the file names; one that `filled` does not fill fails here.

use std::collections::BTreeSet;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::filled::fill;
use super::{Place, WalletError};
use crate::wallet::schema;

/// What a row is found by: the same for as long as it is there, so that there is nothing to set back.
const FIXED: &[(&str, &str)] = &[
    ("entities", "kind"),
    ("wallet", "wallet_id"),
    ("wallet", "data_key"),
];

/// One row each; what is in them has no older form but the tally's.
const SINGLE: &[&str] = &["wallet", "tally"];

#[derive(Debug, Clone, PartialEq)]
struct Table {
    name: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
struct Column {
    name: String,
    nullable: bool,
    key: bool,
    /// Another name of the row's number.
    alias: bool,
    /// The table whose ids stand here.
    refers: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    number: i64,
    values: Vec<Value>,
}

/// One thing done to a table, as what it holds afterwards.
struct Alteration {
    way: &'static str,
    column: Option<String>,
    table: Table,
}

#[test]
fn no_row_is_changed_moved_swapped_set_back_removed_or_put_back_unnoticed() {
    let place = Place::new();
    fill(&place.open().unwrap(), 1).unwrap();
    let old = read(&place.sql());
    fill(&place.open().unwrap(), 2).unwrap();
    let now = read(&place.sql());
    let file = place.bytes();

    let mut done = BTreeSet::new();
    let mut count = 0;
    for table in &now {
        let unchanged = place.open_altered(&file, |sql| write(sql, table));
        unchanged.unwrap_or_else(|error| panic!("{} as it was: {error}", table.name));
        let before = old.iter().find(|old| old.name == table.name).unwrap();
        for alteration in alterations(table, before, &now) {
            let Alteration { way, column, table } = alteration;
            let what = format!("{way}: {}.{column:?}: {:?}", table.name, table.rows);
            assert_ne!(table, now[at(&now, &table.name)], "{what}");
            let opened = place.open_altered(&file, |sql| write(sql, &table));
            let error = opened.err().unwrap_or_else(|| panic!("unnoticed: {what}"));
            // Whose keys the wallet's own row names is found out before anything is counted.
            let said = matches!(error, WalletError::Changed) || table.name == "wallet";
            assert!(said, "{error}: {what}");
            done.insert((way, table.name, column));
            count += 1;
        }
    }
    println!("{count} alterations");
    complete(&now, &done);
}

/// Whether everything was tried with every table and column that there is.
fn complete(tables: &[Table], done: &BTreeSet<(&'static str, String, Option<String>)>) {
    let must = |way, table: &Table, column: Option<&Column>| {
        let column = column.map(|column| column.name.clone());
        let done = done.contains(&(way, table.name.clone(), column.clone()));
        assert!(done, "{way} was not tried: {}.{column:?}", table.name);
    };
    assert_eq!(tables.len(), 10, "the tables that the file has");
    for table in tables {
        must("removed", table, None);
        must("doubled", table, None);
        let single = SINGLE.contains(&table.name.as_str());
        if !single {
            must("put back", table, None);
            must("reordered", table, None);
        }
        for column in &table.columns {
            must("altered", table, Some(column));
            let fixed = FIXED.contains(&(&table.name, &column.name));
            if !(fixed || column.key || column.refers.is_some()) {
                must("set back", table, Some(column));
            }
            if !single {
                must("swapped", table, Some(column));
            }
            if column.refers.is_some() {
                must("moved", table, Some(column));
            }
            if column.nullable {
                must("emptied", table, Some(column));
            }
        }
    }
}

fn alterations(table: &Table, old: &Table, all: &[Table]) -> Vec<Alteration> {
    let mut out = Vec::new();
    let mut push = |way, column: Option<&Column>, rows: Vec<Row>| {
        let table = Table {
            rows,
            ..table.clone()
        };
        if table.rows != all[at(all, &table.name)].rows {
            out.push(Alteration {
                way,
                column: column.map(|column| column.name.clone()),
                table,
            });
        }
    };
    let with = |index: usize, change: &dyn Fn(&mut Row)| {
        let mut rows = table.rows.clone();
        change(&mut rows[index]);
        rows
    };
    let next = table.rows.iter().map(|row| row.number).max().unwrap_or(0) + 1;
    let key = table.columns.iter().position(|column| column.key).unwrap();
    for (index, row) in table.rows.iter().enumerate() {
        let mut rows = table.rows.clone();
        rows.remove(index);
        push("removed", None, rows);

        let mut rows = table.rows.clone();
        let mut twin = row.clone();
        twin.number = next;
        twin.values[key] = match &row.values[key] {
            Value::Integer(_) => Value::Integer(next),
            value => other(value),
        };
        rows.push(twin);
        push("doubled", None, rows);

        for (column, described) in table.columns.iter().enumerate() {
            let set = |value: Value| with(index, &|row| row.values[column] = value.clone());
            push("altered", Some(described), set(other(&row.values[column])));
            if described.nullable {
                push("emptied", Some(described), set(Value::Null));
            }
            let before = old
                .rows
                .iter()
                .find(|old| old.values[key] == row.values[key]);
            if let Some(before) = before {
                push(
                    "set back",
                    Some(described),
                    set(before.values[column].clone()),
                );
            }
            if let Some(refers) = &described.refers {
                for target in &all[at(all, refers)].rows {
                    push("moved", Some(described), set(target.values[0].clone()));
                }
            }
            for with in index + 1..table.rows.len() {
                let mut rows = table.rows.clone();
                rows[index].values[column] = table.rows[with].values[column].clone();
                rows[with].values[column] = row.values[column].clone();
                push("swapped", Some(described), rows);
            }
        }
        for with in index + 1..table.rows.len() {
            let mut rows = table.rows.clone();
            rows[index].number = table.rows[with].number;
            rows[with].number = row.number;
            if let Some(alias) = table.columns.iter().position(|column| column.alias) {
                rows[index].values[alias] = Value::Integer(rows[index].number);
                rows[with].values[alias] = Value::Integer(rows[with].number);
            }
            push("reordered", None, rows);
        }
    }
    for row in &old.rows {
        let there = table
            .rows
            .iter()
            .any(|now| now.values[key] == row.values[key]);
        if !there {
            let mut rows = table.rows.clone();
            rows.push(Row {
                number: next.max(row.number),
                ..row.clone()
            });
            push("put back", None, rows);
        }
    }
    out
}

fn other(value: &Value) -> Value {
    match value {
        Value::Null => Value::Blob(vec![0]),
        Value::Integer(number) => Value::Integer(number + 1000),
        Value::Real(number) => Value::Real(number + 1.0),
        Value::Text(text) => Value::Text(format!("{text}x")),
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            *bytes.last_mut().unwrap() ^= 1;
            Value::Blob(bytes)
        }
    }
}

fn at(tables: &[Table], name: &str) -> usize {
    tables.iter().position(|table| table.name == name).unwrap()
}

fn read(sql: &Connection) -> Vec<Table> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut names = sql.prepare(names).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    names.map(|name| read_table(sql, name.unwrap())).collect()
}

fn read_table(sql: &Connection, name: String) -> Table {
    let refers = |column: &str| {
        let query = "SELECT \"table\" FROM pragma_foreign_key_list(?1) WHERE \"from\" = ?2";
        sql.query_row(query, [&name, column], |row| row.get(0)).ok()
    };
    let query = "SELECT name, \"notnull\", pk, type FROM pragma_table_xinfo(?1) ORDER BY cid";
    let mut query = sql.prepare(query).unwrap();
    let columns = query.query_map([&name], |row| {
        let (column, key): (String, bool) = (row.get(0)?, row.get(2)?);
        Ok(Column {
            refers: refers(&column),
            nullable: !row.get::<_, bool>(1)? && !key,
            key,
            alias: key && row.get::<_, String>(3)? == "INTEGER",
            name: column,
        })
    });
    let columns: Vec<_> = columns.unwrap().map(Result::unwrap).collect();
    let mut query = sql
        .prepare(&format!(
            "SELECT rowid AS number, * FROM {name} ORDER BY rowid"
        ))
        .unwrap();
    let rows = query.query_map([], |row| {
        Ok(Row {
            number: row.get(0)?,
            values: (0..columns.len())
                .map(|at| row.get(at + 1))
                .collect::<rusqlite::Result<_>>()?,
        })
    });
    let rows = rows.unwrap().map(Result::unwrap).collect();
    Table {
        name,
        columns,
        rows,
    }
}

/// Makes a table hold these rows.
fn write(sql: &Connection, table: &Table) -> rusqlite::Result<()> {
    let tx = sql.unchecked_transaction()?;
    tx.execute(&format!("DELETE FROM {}", table.name), [])?;
    for row in &table.rows {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        if !table.columns.iter().any(|column| column.alias) {
            names.push("rowid");
            values.push(Value::Integer(row.number));
        }
        names.extend(table.columns.iter().map(|column| column.name.as_str()));
        values.extend(row.values.iter().cloned());
        let insert = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            table.name,
            names.join(", "),
            vec!["?"; names.len()].join(", ")
        );
        tx.execute(&insert, rusqlite::params_from_iter(values))?;
    }
    tx.commit()
}

/// Not rows of ours, and counted all the same.
#[test]
fn nor_are_the_tables_their_version_and_sqlites_counters_altered() {
    let place = Place::new();
    fill(&place.open().unwrap(), 1).unwrap();
    let first = place.bytes();
    fill(&place.open().unwrap(), 2).unwrap();
    let file = place.bytes();
    let alterations = [
        "UPDATE sqlite_sequence SET seq = 0",
        "DELETE FROM sqlite_sequence",
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('entities', 7)",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 2",
        "CREATE TABLE more (id INTEGER PRIMARY KEY)",
        "CREATE VIEW more AS SELECT * FROM entities",
        "CREATE INDEX more ON portals (record)",
        "CREATE TRIGGER more AFTER UPDATE ON properties BEGIN DELETE FROM readers; END",
        "DROP INDEX entities_by_kind",
        "DROP TABLE readers",
        "DROP TABLE tally",
        "DROP TABLE wallet",
        "ALTER TABLE entities ADD COLUMN more INTEGER",
        // Nobody is told what the index leaves out.
        "PRAGMA writable_schema = ON;
         CREATE TEMP TABLE kept AS SELECT rowid AS number, * FROM sqlite_schema
             WHERE name = 'entities_by_kind';
         UPDATE entities SET kind = 99 WHERE rowid = 1;
         DELETE FROM sqlite_schema WHERE name = 'entities_by_kind';
         PRAGMA writable_schema = RESET;
         UPDATE entities SET kind = 6 WHERE rowid = 1;
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema (rowid, type, name, tbl_name, rootpage, sql)
             SELECT number, type, name, tbl_name, rootpage, sql FROM kept;
         PRAGMA writable_schema = RESET",
        // All of it is gone, and a new wallet would hide that.
        "DELETE FROM wallet",
        "DELETE FROM wallet; DELETE FROM tally",
        // To have it taken on trust again.
        "DROP TABLE tally; PRAGMA user_version = 2",
        "DROP TABLE tally; DROP TABLE readers; PRAGMA user_version = 1",
    ];
    for alteration in alterations {
        let opened = place.open_altered(&file, |sql| sql.execute_batch(alteration));
        let noticed = matches!(opened, Err(WalletError::Changed));
        assert!(noticed, "{alteration}: {opened:?}");
    }
    let newer = format!("PRAGMA user_version = {}", schema::NEWEST + 1);
    let opened = place.open_altered(&file, |sql| sql.execute_batch(&newer));
    assert!(matches!(opened, Err(WalletError::TooNew)));
    // What remains: the whole file of before.
    place.open_altered(&first, |_| Ok(())).unwrap();
}
