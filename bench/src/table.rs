//! A bench: its operations, and what each is to be seen beside.

use std::collections::BTreeSet;
use std::fmt;

use crate::measure::{Timed, measure};

/// One bench, being put together.
pub(crate) struct Bench {
    title: &'static str,
    names: Vec<String>,
    operations: Vec<Timed>,
    rows: Vec<Row>,
    notes: Vec<Note>,
}

/// A line that follows from what was measured.
type Note = Box<dyn Fn(&Table) -> String>;

/// An operation of a bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation(usize);

/// What a subject cannot do without: operations, each with the number of times that it is needed. Each is
/// timed alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floor(Vec<(u32, Operation)>);

/// How many times as long a subject may take as what it stands beside.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// This often.
    AtMost(f64),
    /// The ratio is only shown.
    Shown,
}

/// An operation of ours, on its way to becoming rows of the table.
pub(crate) struct Subject<'a> {
    bench: &'a mut Bench,
    operation: Operation,
}

struct Row {
    subject: Operation,
    beside: Beside,
    limit: Limit,
}

enum Beside {
    Floor(Floor),
    /// Something that does the same job, or that one knows the cost of.
    Peer(Operation),
}

impl Bench {
    pub(crate) fn new(title: &'static str) -> Self {
        Self {
            title,
            names: Vec::new(),
            operations: Vec::new(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds an operation.
    pub(crate) fn operation(&mut self, name: impl Into<String>, timed: Timed) -> Operation {
        self.names.push(name.into());
        self.operations.push(timed);
        Operation(self.operations.len() - 1)
    }

    /// Says what an operation is to be seen beside.
    pub(crate) fn subject(&mut self, operation: Operation) -> Subject<'_> {
        Subject {
            bench: self,
            operation,
        }
    }

    /// Adds a line under the table.
    pub(crate) fn note(&mut self, note: impl Fn(&Table) -> String + 'static) {
        self.notes.push(Box::new(note));
    }

    /// Measures everything.
    pub(crate) fn run(mut self) -> Table {
        let takes = measure(&mut self.operations);
        Table { bench: self, takes }
    }
}

impl Subject<'_> {
    /// Beside what it cannot do without.
    pub(crate) fn floor(self, floor: Floor, limit: Limit) -> Self {
        self.row(Beside::Floor(floor), limit)
    }

    /// Beside another operation.
    pub(crate) fn peer(self, peer: Operation, limit: Limit) -> Self {
        self.row(Beside::Peer(peer), limit)
    }

    fn row(self, beside: Beside, limit: Limit) -> Self {
        self.bench.rows.push(Row {
            subject: self.operation,
            beside,
            limit,
        });
        self
    }
}

impl Floor {
    /// With one more operation, so many times.
    #[must_use]
    pub(crate) fn and(mut self, times: u32, operation: Operation) -> Self {
        self.0.push((times, operation));
        self
    }
}

impl Limit {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(limit) => ratio <= limit,
            Self::Shown => true,
        }
    }
}

/// What was measured.
pub(crate) struct Table {
    bench: Bench,
    /// Seconds, by operation.
    takes: Vec<f64>,
}

impl Table {
    /// How many limits do not hold.
    pub(crate) fn missed(&self) -> usize {
        let rows = self.bench.rows.iter();
        rows.filter(|row| !row.limit.holds(self.ratio(row))).count()
    }

    /// Seconds that an operation takes.
    pub(crate) fn takes(&self, operation: Operation) -> f64 {
        self.takes[operation.0]
    }

    fn ratio(&self, row: &Row) -> f64 {
        self.takes(row.subject) / self.takes_beside(row)
    }

    fn takes_beside(&self, row: &Row) -> f64 {
        match &row.beside {
            Beside::Floor(Floor(parts)) => parts
                .iter()
                .map(|(times, operation)| f64::from(*times) * self.takes(*operation))
                .sum(),
            Beside::Peer(peer) => self.takes(*peer),
        }
    }

    fn name(&self, operation: Operation) -> &str {
        &self.bench.names[operation.0]
    }

    fn name_beside(&self, row: &Row) -> String {
        match &row.beside {
            Beside::Floor(_) => "its floor".to_owned(),
            Beside::Peer(peer) => self.name(*peer).to_owned(),
        }
    }

    /// What each floor is made of, and what these parts take alone.
    fn write_floors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut alone = BTreeSet::new();
        for row in &self.bench.rows {
            let Beside::Floor(Floor(parts)) = &row.beside else {
                continue;
            };
            alone.extend(parts.iter().map(|(_, part)| *part));
            let parts = parts
                .iter()
                .map(|(times, part)| format!("{times} {}", self.name(*part)));
            let parts: Vec<_> = parts.collect();
            writeln!(
                f,
                "floor of {}: {}",
                self.name(row.subject),
                parts.join(", ")
            )?;
        }
        let alone = alone
            .into_iter()
            .map(|part| format!("{} {}", self.name(part), shown(self.takes(part))));
        let alone: Vec<_> = alone.collect();
        if alone.is_empty() {
            return Ok(());
        }
        writeln!(f, "alone: {}", alone.join(", "))
    }

    fn cells(&self, row: &Row) -> [String; 7] {
        let ratio = self.ratio(row);
        let (limit, verdict) = match row.limit {
            Limit::AtMost(limit) if row.limit.holds(ratio) => (format!("{limit:.2}"), "pass"),
            Limit::AtMost(limit) => (format!("{limit:.2}"), "MISS"),
            Limit::Shown => ("-".to_owned(), ""),
        };
        [
            self.name(row.subject).to_owned(),
            shown(self.takes(row.subject)),
            self.name_beside(row),
            shown(self.takes_beside(row)),
            format!("{ratio:.3}"),
            limit,
            verdict.to_owned(),
        ]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            self.bench.title,
            "takes",
            "beside",
            "takes",
            "ratio",
            "limit",
            "",
        ];
        let mut lines = vec![head.map(str::to_owned)];
        lines.extend(self.bench.rows.iter().map(|row| self.cells(row)));
        let width = |column: usize| {
            let cells = lines.iter().map(|line| line[column].chars().count());
            cells.max().unwrap_or(0)
        };
        for [subject, takes, beside, floor, ratio, limit, verdict] in &lines {
            let line = format!(
                "{subject:0$}  {takes:>1$}  {beside:2$}  {floor:>3$}  {ratio:>4$}  {limit:>5$}  {verdict}",
                width(0),
                width(1),
                width(2),
                width(3),
                width(4),
                width(5),
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        self.write_floors(f)?;
        for note in &self.bench.notes {
            writeln!(f, "{}", note(self))?;
        }
        Ok(())
    }
}

/// A time with its unit.
pub(crate) fn shown(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 1e-6 => (s * 1e9, "ns"),
        s if s < 1e-3 => (s * 1e6, "µs"),
        s => (s * 1e3, "ms"),
    };
    format!("{number:.1} {unit}")
}
