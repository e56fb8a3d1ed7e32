//! Times operations in turns.
//!
//! A ratio holds only if both of its sides saw the same machine. Other people's work, the clock's pace and
//! the heat of the processor change within seconds, so all operations of a bench take turns: a short
//! sample of each, round after round, in one run. Each operation's time is then a low quantile of its
//! samples, which is what it takes while nobody disturbs it.
//!
//! A loop of our own, because what is there does something else: criterion and divan time one function
//! after the other and keep a ratio for nobody; tango pairs samples as here, but of two builds of one
//! function, one of them loaded as a library.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long one sample takes at least: long beside reading the clock, short beside the time for which a
/// busy machine lets one process run.
const SAMPLE: Duration = Duration::from_micros(200);

/// How long a bench is measured.
const RUN: Duration = Duration::from_secs(12);

/// Rounds that are run even if they take longer, unless a bench says otherwise.
pub(crate) const ROUNDS: usize = 100;

/// Of its samples sorted, the one that counts: at a tenth.
const QUANTILE: usize = 10;

/// An operation that can be timed.
pub(crate) struct Timed {
    sample: Box<dyn FnMut(u32) -> Duration>,
}

impl Timed {
    /// One that needs nothing prepared.
    pub(crate) fn new<T>(mut run: impl FnMut() -> T + 'static) -> Self {
        Self::prepared(|| (), move |()| run())
    }

    /// One that uses up what `prepare` makes, which is not timed.
    pub(crate) fn prepared<I, T>(
        mut prepare: impl FnMut() -> I + 'static,
        mut run: impl FnMut(I) -> T + 'static,
    ) -> Self {
        let sample = move |times| {
            // Once for nothing, because another operation has just had the processor's caches.
            black_box(run(prepare()));
            let inputs: Vec<I> = (0..times).map(|_| prepare()).collect();
            let start = now();
            for input in inputs {
                black_box(run(input));
            }
            start.elapsed()
        };
        Self {
            sample: Box::new(sample),
        }
    }

    /// A long one that finds what only `prepare` can have left: prepared anew before each time.
    pub(crate) fn each<I, T>(
        mut prepare: impl FnMut() -> I + 'static,
        mut run: impl FnMut(I) -> T + 'static,
    ) -> Self {
        Self::told(move || {
            let input = prepare();
            elapsed(|| run(input))
        })
    }

    /// One that says itself how long it took.
    pub(crate) fn told(mut run: impl FnMut() -> Duration + 'static) -> Self {
        Self {
            sample: Box::new(move |times| (0..times).map(|_| run()).sum()),
        }
    }

    /// How often it is to be run for a sample that is long enough.
    fn times(&mut self) -> u32 {
        let mut times = 1;
        while (self.sample)(times) < SAMPLE {
            times *= 2;
        }
        times
    }
}

/// What each of the operations takes, in seconds, by so many rounds at least.
pub(crate) fn measure(operations: &mut [&mut Timed], rounds: usize) -> Vec<f64> {
    let times: Vec<u32> = operations.iter_mut().map(|timed| timed.times()).collect();
    let mut samples = vec![Vec::new(); operations.len()];
    if operations.is_empty() {
        return Vec::new();
    }
    let begin = now();
    for round in 0.. {
        if round >= rounds && begin.elapsed() >= RUN {
            break;
        }
        for turn in 0..operations.len() {
            // Another one begins each round, so that nobody always follows the same one.
            let index = (turn + round) % operations.len();
            let took = (operations[index].sample)(times[index]);
            samples[index].push(took.as_secs_f64() / f64::from(times[index]));
        }
    }
    samples.into_iter().map(low_quantile).collect()
}

fn low_quantile(mut samples: Vec<f64>) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / QUANTILE]
}

/// How long this takes.
pub(crate) fn elapsed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = now();
    black_box(work());
    start.elapsed()
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is measured here is the machine's own time"
)]
fn now() -> Instant {
    Instant::now()
}
