//! When something goes wrong: drawn, printed, and the same again when it is asked for.

use std::time::Duration;

use latchkey_env::{
    SecureRandom as _, SeededRandom, SystemClock, SystemRandom, random_array, sleep,
};

/// How often something is killed where nobody says how often (`LATCHKEY_KILLS`): a sample that takes seconds.
const SAMPLE: u64 = 6;

/// How often something is to be killed.
///
/// # Panics
/// When the environment names no number.
#[must_use]
pub fn kills() -> u64 {
    from_env("LATCHKEY_KILLS").unwrap_or(SAMPLE)
}

/// Throws what is random in a test.
pub struct Dice(SeededRandom);

impl Dice {
    /// With the seed that `LATCHKEY_SEED` names, or another one each time. It is printed.
    ///
    /// # Panics
    /// When the environment names no number.
    #[must_use]
    pub fn throw() -> Self {
        let given = from_env("LATCHKEY_SEED");
        let seed = given.unwrap_or_else(|| u64::from_be_bytes(random_array(&SystemRandom)));
        println!("LATCHKEY_SEED={seed}");
        Self(SeededRandom::new(seed))
    }

    /// A number below this one.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes) % bound
    }

    /// Waits for some time shorter than this: the moment itself is what is thrown for.
    pub async fn moment(&self, longest: Duration) {
        let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        sleep(&SystemClock, Duration::from_micros(self.below(longest))).await;
    }
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dice")
    }
}

fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}
