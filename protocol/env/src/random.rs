//! Random bytes, passed in.

use std::sync::Arc;

/// A generator that several owners share.
pub type SharedRandom = Arc<dyn SecureRandom>;

/// A source of bytes that nobody can foretell.
///
/// Long-term and ephemeral keys made by `ring` take its own generator, whose trait is sealed; all
/// else (ids, tokens, nonces, jitter) comes from here.
pub trait SecureRandom: Send + Sync + 'static {
    /// Fills `bytes`.
    ///
    /// # Panics
    ///
    /// When the source cannot give any: nothing safe can be done without it.
    fn fill(&self, bytes: &mut [u8]);
}

impl<R: SecureRandom + ?Sized> SecureRandom for Arc<R> {
    fn fill(&self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

/// `N` random bytes.
#[must_use]
pub fn random_array<const N: usize>(random: &(impl SecureRandom + ?Sized)) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl SecureRandom for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), bytes)
            .expect("the operating system gives random bytes");
    }
}

/// The same bytes for the same seed, for tests that must be repeatable: SHA-256 over the seed and a
/// counter. Clones share the counter.
#[cfg(feature = "virtual")]
#[derive(Debug, Clone)]
pub struct SeededRandom {
    seed: u64,
    block: Arc<std::sync::atomic::AtomicU64>,
}

#[cfg(feature = "virtual")]
impl SeededRandom {
    /// The stream that belongs to `seed`, from its beginning.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            block: Arc::default(),
        }
    }
}

#[cfg(feature = "virtual")]
impl SecureRandom for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = self
                .block
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let input = [self.seed.to_le_bytes(), block.to_le_bytes()].concat();
            let digest = ring::digest::digest(&ring::digest::SHA256, &input);
            chunk.copy_from_slice(&digest.as_ref()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (first, second): ([u8; 16], [u8; 16]) =
            (random_array(&SystemRandom), random_array(&SystemRandom));
        assert_ne!(first, second);
    }

    #[cfg(feature = "virtual")]
    #[test]
    fn a_seed_gives_the_same_stream_again_and_another_seed_another() {
        let stream = |seed| random_array::<100>(&SeededRandom::new(seed));
        assert_eq!(stream(1), stream(1));
        assert_ne!(stream(1), stream(2));
        assert_ne!(stream(1)[..32], stream(1)[32..64]);
    }
}
