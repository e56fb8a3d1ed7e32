//! A target's input, read as what is to be done.

/// Bytes that are taken one after the other.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte, if the script goes on.
    pub fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte; 0 when the script has ended.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// The next two bytes as a number.
    pub fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    /// Of things so many, one; `None` when there are none.
    pub fn one_of(&mut self, count: usize) -> Option<usize> {
        let number = self.number();
        (count > 0).then(|| number % count)
    }

    /// A length of one byte, and so many bytes or what is left.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// Changes a byte, somewhere.
    pub fn spoil(&mut self, bytes: &mut [u8]) {
        if let Some(at) = self.one_of(bytes.len()) {
            bytes[at] ^= self.byte().max(1);
        }
    }
}
