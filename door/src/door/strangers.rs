//! How many strangers the log takes: it is the portal's, too, and keeps for ever what it is told.

use std::time::Duration;

/// So many at once.
const MOST: u32 = 100;

/// After those, one in so long.
const ONE_IN: Duration = Duration::from_secs(10);

/// A measure that fills with each stranger and empties with time.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    counted: u32,
    /// On the monotonic clock: until when the emptying has been reckoned.
    at: Duration,
}

impl Strangers {
    /// Counts one more. False when there is no room for it.
    pub(crate) fn one_more(&mut self, monotonic: Duration) -> bool {
        let passed = monotonic.saturating_sub(self.at).as_secs() / ONE_IN.as_secs();
        let emptied = u32::try_from(passed).unwrap_or(u32::MAX).min(self.counted);
        self.counted -= emptied;
        self.at = if self.counted == 0 {
            monotonic
        } else {
            self.at + ONE_IN * emptied
        };
        if self.counted == MOST {
            return false;
        }
        self.counted += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_at_once_then_one_in_ten_seconds() {
        let mut strangers = Strangers::default();
        let counted = |strangers: &mut Strangers, seconds| {
            (0..1000)
                .filter(|_| strangers.one_more(Duration::from_secs(seconds)))
                .count()
        };
        assert_eq!(counted(&mut strangers, 5), 100);
        assert_eq!(counted(&mut strangers, 14), 0);
        assert_eq!(counted(&mut strangers, 15), 1);
        assert_eq!(counted(&mut strangers, 46), 3);
        assert_eq!(counted(&mut strangers, 54), 0);
        assert_eq!(counted(&mut strangers, 55), 1);
        assert_eq!(counted(&mut strangers, 5000), 100);
    }
}
