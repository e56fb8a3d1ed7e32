//! The tour's voice: what happened, by whom, at which door and how long it took; for people, or as JSON lines.

use std::io::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use latchkey_env::SharedClock;
use serde::Serialize;

const BOLD: Style = Style::new().bold();
const SOFT: Style = Style::new().dimmed();
const YES: Style = AnsiColor::Green.on_default().bold();
const NO: Style = AnsiColor::Yellow.on_default().bold();

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// A door opened.
    Opened,
    /// A door refused, as it should.
    Refused,
    /// Something else was done.
    Done,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Chapter {
        number: usize,
        title: &'a str,
    },
    Step {
        ending: Ending,
        who: &'a str,
        what: &'a str,
        milliseconds: Option<u64>,
    },
    Note {
        text: &'a str,
    },
    End {
        chapters: usize,
        steps: usize,
        milliseconds: u64,
    },
}

/// Tells the tour.
pub(crate) struct Narrator {
    json: bool,
    clock: SharedClock,
    started: Duration,
    chapters: usize,
    steps: usize,
}

impl Narrator {
    pub(crate) fn new(clock: SharedClock, json: bool) -> Self {
        let started = clock.monotonic();
        Self {
            json,
            clock,
            started,
            chapters: 0,
            steps: 0,
        }
    }

    /// Begins a chapter.
    pub(crate) fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        let number = self.chapters;
        self.print(&Line::Chapter { number, title }, || {
            format!("\n{BOLD}{number:>2}  {title}{BOLD:#}")
        });
    }

    /// Tells one step.
    pub(crate) fn step(&mut self, ending: Ending, who: &str, what: &str, took: Option<Duration>) {
        self.steps += 1;
        let milliseconds = took.map(|took| took.as_millis().try_into().unwrap_or(u64::MAX));
        self.print(
            &Line::Step {
                ending,
                who,
                what,
                milliseconds,
            },
            || {
                let (style, sign) = match ending {
                    Ending::Opened => (YES, "✓"),
                    Ending::Refused => (NO, "✗"),
                    Ending::Done => (SOFT, "·"),
                };
                let time = milliseconds
                    .map(|ms| format!("{SOFT}{:>8}{SOFT:#}", duration(ms)))
                    .unwrap_or_default();
                let what = match ending {
                    Ending::Done => what.to_owned(),
                    Ending::Opened | Ending::Refused => format!("{style}{what}{style:#}"),
                };
                let gap = 92_usize.saturating_sub(6 + columns(who) + 2 + columns(&plain(&what)));
                format!("    {style}{sign}{style:#} {who}  {what}{:gap$}{time}", "")
            },
        );
    }

    /// Tells how far something has come.
    pub(crate) fn progress(&mut self, text: &str) {
        let took = self.clock.monotonic().saturating_sub(self.started);
        self.step(Ending::Done, "Start", text, Some(took));
    }

    /// Says where to go on.
    pub(crate) fn invitation(&self, page: std::net::SocketAddr, portal: &str) {
        // A reader that has gone away is no fault of the demo's.
        let _ = writeln!(
            anstream::stdout(),
            "\n{BOLD}The property stays up. Open its page:{BOLD:#}  http://{page}/\n\
             \n  A phone of your own, in another terminal:\
             \n    cargo run -- phone sign-in akua.boateng@mail.example\
             \n  The portal's API: {portal}/openapi.json\
             \n  Sign-in codes from its mail appear below. Ctrl-C ends everything.\n"
        );
    }

    /// Says why it matters.
    pub(crate) fn note(&mut self, text: &str) {
        self.print(&Line::Note { text }, || {
            format!("      {SOFT}{text}{SOFT:#}")
        });
    }

    /// Ends the tour.
    pub(crate) fn end(&mut self) {
        let took = self.clock.monotonic().saturating_sub(self.started);
        let milliseconds = took.as_millis().try_into().unwrap_or(u64::MAX);
        let (chapters, steps) = (self.chapters, self.steps);
        self.print(&Line::End { chapters, steps, milliseconds }, || {
            format!("\n{YES}Everything went as it should:{YES:#} {chapters} chapters, {steps} steps, {}.", duration(milliseconds))
        });
    }

    fn print(&self, line: &Line<'_>, for_people: impl FnOnce() -> String) {
        let text = if self.json {
            serde_json::to_string(line).unwrap_or_default()
        } else {
            for_people()
        };
        // A reader that has gone away, `| head` say, is no fault of the tour's.
        let _ = writeln!(anstream::stdout(), "{text}");
    }
}

fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..=999 => format!("{milliseconds} ms"),
        _ => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn columns(text: &str) -> usize {
    text.chars().count()
}
