//! A bench: its operations, and what each is to be seen beside.

use std::collections::BTreeSet;
use std::fmt;

use crate::measure::{ROUNDS, Timed, measure};

/// Stands in a column that has nothing to say.
const NOTHING: &str = "-";

/// One bench, being put together.
pub(crate) struct Bench {
    title: &'static str,
    names: Vec<String>,
    /// One for each operation.
    costs: Vec<Cost>,
    rows: Vec<Row>,
    notes: Vec<Note>,
    not_run: Vec<String>,
    rounds: usize,
}

/// A line that follows from what was measured.
type Note = Box<dyn Fn(&Table) -> String>;

/// What an operation costs.
enum Cost {
    /// Time, to be measured.
    Time(Timed),
    /// So many bytes.
    Bytes(f64),
}

/// An operation of a bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation(usize);

/// What a subject cannot do without: operations, each with the number of times that it is needed. Each is
/// timed alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floor(Vec<(u32, Operation)>);

/// What a subject may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// This many times as much as what it stands beside.
    AtMost(f64),
    /// So many seconds or bytes, whatever stands beside it.
    Within(f64),
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
    /// Nothing: the limit is of its own.
    Nothing,
}

impl Bench {
    pub(crate) fn new(title: &'static str) -> Self {
        Self {
            title,
            names: Vec::new(),
            costs: Vec::new(),
            rows: Vec::new(),
            notes: Vec::new(),
            not_run: Vec::new(),
            rounds: ROUNDS,
        }
    }

    /// Adds an operation.
    pub(crate) fn operation(&mut self, name: impl Into<String>, timed: Timed) -> Operation {
        self.costing(name.into(), Cost::Time(timed))
    }

    /// Adds one that costs bytes.
    pub(crate) fn bytes(&mut self, name: impl Into<String>, bytes: u64) -> Operation {
        #[expect(clippy::cast_precision_loss, reason = "nothing here is that large")]
        self.costing(name.into(), Cost::Bytes(bytes as f64))
    }

    fn costing(&mut self, name: String, cost: Cost) -> Operation {
        self.names.push(name);
        self.costs.push(cost);
        Operation(self.costs.len() - 1)
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

    /// Says that a part of it cannot be run here, and why.
    pub(crate) fn not_run(&mut self, why: impl Into<String>) {
        self.not_run.push(why.into());
    }

    /// So many rounds are enough, because each takes long.
    pub(crate) fn rounds(&mut self, rounds: usize) {
        self.rounds = rounds;
    }

    /// Measures everything.
    pub(crate) fn run(mut self) -> Table {
        let timed = self.costs.iter_mut().filter_map(|cost| match cost {
            Cost::Time(timed) => Some(timed),
            Cost::Bytes(_) => None,
        });
        let mut times = measure(&mut timed.collect::<Vec<_>>(), self.rounds).into_iter();
        let takes = self.costs.iter().map(|cost| match cost {
            Cost::Time(_) => times.next().expect("each was measured"),
            Cost::Bytes(bytes) => *bytes,
        });
        let takes = takes.collect();
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

    /// Beside nothing.
    pub(crate) fn alone(self, limit: Limit) -> Self {
        self.row(Beside::Nothing, limit)
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
    fn holds(self, takes: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::AtMost(limit) => ratio.is_some_and(|ratio| ratio <= limit),
            Self::Within(limit) => takes <= limit,
            Self::Shown => true,
        }
    }
}

/// What was measured.
pub(crate) struct Table {
    bench: Bench,
    /// Seconds or bytes, by operation.
    takes: Vec<f64>,
}

impl Table {
    /// How many limits do not hold.
    pub(crate) fn missed(&self) -> usize {
        let rows = self.bench.rows.iter();
        rows.filter(|row| !self.holds(row)).count()
    }

    fn holds(&self, row: &Row) -> bool {
        row.limit.holds(self.takes(row.subject), self.ratio(row))
    }

    /// Seconds or bytes that an operation takes.
    pub(crate) fn takes(&self, operation: Operation) -> f64 {
        self.takes[operation.0]
    }

    fn ratio(&self, row: &Row) -> Option<f64> {
        Some(self.takes(row.subject) / self.takes_beside(row)?)
    }

    fn takes_beside(&self, row: &Row) -> Option<f64> {
        match &row.beside {
            Beside::Floor(Floor(parts)) => {
                let part = |(times, part): &(u32, Operation)| f64::from(*times) * self.takes(*part);
                Some(parts.iter().map(part).sum())
            }
            Beside::Peer(peer) => Some(self.takes(*peer)),
            Beside::Nothing => None,
        }
    }

    fn name(&self, operation: Operation) -> &str {
        &self.bench.names[operation.0]
    }

    /// In the unit of this operation.
    fn shown(&self, of: Operation, takes: f64) -> String {
        match self.bench.costs[of.0] {
            Cost::Time(_) => shown(takes),
            Cost::Bytes(_) if takes < 1e6 => format!("{takes:.0} B"),
            Cost::Bytes(_) => format!("{:.1} MB", takes / 1e6),
        }
    }

    fn name_beside(&self, row: &Row) -> String {
        match &row.beside {
            Beside::Floor(_) => "its floor".to_owned(),
            Beside::Peer(peer) => self.name(*peer).to_owned(),
            Beside::Nothing => NOTHING.to_owned(),
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
            .map(|part| format!("{} {}", self.name(part), self.shown(part, self.takes(part))));
        let alone: Vec<_> = alone.collect();
        if alone.is_empty() {
            return Ok(());
        }
        writeln!(f, "alone: {}", alone.join(", "))
    }

    fn cells(&self, row: &Row) -> [String; 7] {
        let beside = self.takes_beside(row);
        let beside = beside.map(|takes| self.shown(row.subject, takes));
        let ratio = self.ratio(row).map(|ratio| format!("{ratio:.3}"));
        let or_nothing = |cell: Option<String>| cell.unwrap_or_else(|| NOTHING.to_owned());
        let limit = match row.limit {
            Limit::AtMost(limit) => format!("{limit:.2}"),
            Limit::Within(limit) => self.shown(row.subject, limit),
            Limit::Shown => NOTHING.to_owned(),
        };
        let verdict = match row.limit {
            Limit::Shown => "",
            _ if self.holds(row) => "pass",
            _ => "MISS",
        };
        [
            self.name(row.subject).to_owned(),
            self.shown(row.subject, self.takes(row.subject)),
            self.name_beside(row),
            or_nothing(beside),
            or_nothing(ratio),
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
        for why in &self.bench.not_run {
            writeln!(f, "NOT RUN: {why}")?;
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
