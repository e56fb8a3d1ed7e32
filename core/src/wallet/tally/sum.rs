//! Numbers modulo 2^256, and what a row counts for.

use ring::hmac;
use rusqlite::types::ValueRef;

/// A number modulo 2^256, least byte first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sum(pub(super) [u8; 32]);

impl Sum {
    /// What a row of these values counts for.
    pub(super) fn of<'a>(key: &hmac::Key, values: impl IntoIterator<Item = ValueRef<'a>>) -> Self {
        // Each value begins with its type, and with its length where that says not all: no two rows hash the
        // same bytes.
        let mut context = hmac::Context::with_key(key);
        for value in values {
            match value {
                ValueRef::Null => context.update(&[0]),
                ValueRef::Integer(number) => {
                    context.update(&[1]);
                    context.update(&number.to_be_bytes());
                }
                ValueRef::Real(number) => {
                    context.update(&[2]);
                    context.update(&number.to_bits().to_be_bytes());
                }
                ValueRef::Text(bytes) => update(&mut context, 3, bytes),
                ValueRef::Blob(bytes) => update(&mut context, 4, bytes),
            }
        }
        let mut sum = Self::default();
        sum.0.copy_from_slice(context.sign().as_ref());
        sum
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.add_with_carry(other.0, 0);
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        // Two's complement.
        self.add_with_carry(other.0.map(|byte| !byte), 1);
    }

    fn add_with_carry(&mut self, other: [u8; 32], mut carry: u8) {
        for (byte, other) in self.0.iter_mut().zip(other) {
            let sum = u16::from(*byte) + u16::from(other) + u16::from(carry);
            [*byte, carry] = sum.to_le_bytes();
        }
    }
}

fn update(context: &mut hmac::Context, kind: u8, bytes: &[u8]) {
    context.update(&[kind]);
    context.update(&(bytes.len() as u64).to_be_bytes());
    context.update(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_carries_and_wraps() {
        let mut sum = Sum([0xff; 32]);
        let mut one = Sum::default();
        one.0[0] = 1;
        sum.add(&one);
        assert_eq!(sum, Sum::default());
        sum.subtract(&one);
        assert_eq!(sum, Sum([0xff; 32]));
        let mut low = Sum::default();
        low.0[0] = 0xff;
        low.add(&one);
        assert_eq!(low.0[..3], [0, 1, 0]);
    }

    proptest! {
        #[test]
        fn what_was_added_can_be_taken_off_in_any_order(a: [u8; 32], b: [u8; 32], c: [u8; 32]) {
            let (mut one, mut other) = (Sum(a), Sum(a));
            one.add(&Sum(b));
            one.subtract(&Sum(c));
            other.subtract(&Sum(c));
            other.add(&Sum(b));
            prop_assert_eq!(&one, &other);
            one.subtract(&Sum(b));
            one.add(&Sum(c));
            prop_assert_eq!(one, Sum(a));
        }
    }

    #[test]
    fn rows_that_look_alike_count_differently() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let rows: Vec<Vec<ValueRef<'_>>> = vec![
            vec![ValueRef::Text(b"ab"), ValueRef::Text(b"c")],
            vec![ValueRef::Text(b"a"), ValueRef::Text(b"bc")],
            vec![ValueRef::Blob(b"ab"), ValueRef::Text(b"c")],
            vec![ValueRef::Text(b"ab"), ValueRef::Text(b"c"), ValueRef::Null],
            vec![ValueRef::Null, ValueRef::Text(b"ab"), ValueRef::Text(b"c")],
            vec![ValueRef::Integer(0)],
            vec![ValueRef::Real(0.0)],
            vec![ValueRef::Blob(&[0; 8])],
        ];
        let sums: Vec<_> = rows.into_iter().map(|row| Sum::of(&key, row)).collect();
        for (at, sum) in sums.iter().enumerate() {
            assert!(!sums[..at].contains(sum), "{at}");
        }
    }
}
