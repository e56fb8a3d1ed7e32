//! Lines of text from a code reader or an installer's hands. What stands at the street types what it likes: a line that
//! is too long, or no text, is left out, and costs no memory.

use std::io::{BufRead, ErrorKind, Read as _};

/// The lines of an input, without what ends them.
pub struct Lines<R> {
    input: R,
    longest: usize,
}

impl<R: BufRead> Lines<R> {
    /// Of this input, those of at most `longest` bytes.
    pub fn of(input: R, longest: usize) -> Self {
        Self { input, longest }
    }

    /// The next line that is one. None at the end.
    fn read(&mut self) -> std::io::Result<Option<String>> {
        loop {
            let mut line = Vec::new();
            let (longest, with_its_end) = (self.longest, self.longest.saturating_add(2));
            let read = (&mut self.input)
                .take(u64::try_from(with_its_end).unwrap_or(u64::MAX))
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if line.len() == with_its_end {
                self.skip_to_end_of_line()?;
            }
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.len() > longest {
                tracing::warn!(
                    bytes = longest,
                    "a line that is longer than this is left out"
                );
                continue;
            }
            match String::from_utf8(line) {
                Ok(text) => return Ok(Some(text)),
                Err(_) => tracing::warn!("a line that is no text is left out"),
            }
        }
    }

    fn skip_to_end_of_line(&mut self) -> std::io::Result<()> {
        loop {
            let there = match self.input.fill_buf() {
                Ok(there) => there,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let (used, ended) = match there.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (there.len(), there.is_empty()),
            };
            self.input.consume(used);
            if ended {
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = String;

    /// An input that fails is at its end.
    fn next(&mut self) -> Option<String> {
        self.read().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: usize = 20;

    fn lines(input: &[u8]) -> Vec<String> {
        // Small pieces, so that a line comes in several.
        let input = std::io::BufReader::with_capacity(7, input);
        Lines::of(input, LONGEST).collect()
    }

    #[test]
    fn lines_end_as_on_any_system_and_the_last_one_as_it_likes() {
        assert_eq!(lines(b"one\r\n\ntwo\n three"), ["one", "", "two", " three"]);
        assert_eq!(lines(b"one\n"), ["one"]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_is_left_out_and_the_next_one_is_read() {
        let longest = "a".repeat(LONGEST);
        for (input, read) in [
            (format!("{longest}\nnext"), vec![longest.as_str(), "next"]),
            (format!("{longest}\r\nnext"), vec![&longest, "next"]),
            (format!("{longest}\r"), vec![&longest]),
            (format!("{longest}\r\r\nnext"), vec!["next"]),
            (format!("{longest}a\nnext"), vec!["next"]),
            (format!("{longest}{longest}{longest}\nnext\n"), vec!["next"]),
            (format!("{longest}a"), vec![]),
        ] {
            assert_eq!(lines(input.as_bytes()), read);
        }
        assert_eq!(lines(b"\xff\xfe\nnext"), ["next"]);
    }

    proptest! {
        #[test]
        fn lines_that_fit_are_read_as_they_are(written in proptest::collection::vec("[^\r\n]{0,30}", 0..8)) {
            let text: String = written.iter().map(|line| format!("{line}\n")).collect();
            let fit: Vec<_> = written.into_iter().filter(|line| line.len() <= LONGEST).collect();
            prop_assert_eq!(lines(text.as_bytes()), fit);
        }
    }
}
