//! Is this point on P-256? `ring` checks points only while it agrees or
//! verifies, and the fast phase does neither with the peer's fresh point, so
//! the check stands here. Only public numbers pass through it: nothing in this
//! file needs to run in constant time.
//!
//! Numbers are four 64-bit limbs, least significant first. Products are taken
//! in Montgomery form: `mul(a, b) = a * b / 2^256 mod p`.

type Number = [u64; 4];

/// p = 2^256 - 2^224 + 2^192 + 2^96 - 1. Its lowest limb is -1 mod 2^64, so the
/// Montgomery constant -1/p mod 2^64 is 1.
const P: Number = [
    0xffff_ffff_ffff_ffff,
    0x0000_0000_ffff_ffff,
    0,
    0xffff_ffff_0000_0001,
];

/// The curve's b (SEC 2, section 2.4.2).
const B: Number = [
    0x3bce_3c3e_27d2_604b,
    0x651d_06b0_cc53_b0f6,
    0xb3eb_bd55_7698_86bc,
    0x5ac6_35d8_aa3a_93e7,
];

/// 2^512 mod p, which brings a number into Montgomery form.
const R2: Number = [
    0x0000_0000_0000_0003,
    0xffff_fffb_ffff_ffff,
    0xffff_ffff_ffff_fffe,
    0x0000_0004_ffff_fffd,
];

/// Whether y^2 = x^3 - 3x + b, for coordinates of 32 bytes, big-endian, below p.
/// (The point at infinity has no such coordinates; P-256 has cofactor 1.)
pub(super) fn contains(x: &[u8], y: &[u8]) -> bool {
    let (x, y) = (number(x), number(y));
    if !below_p(&x) || !below_p(&y) {
        return false;
    }
    // A number in Montgomery form times a plain one is a plain one.
    let (xm, ym) = (mul(&x, &R2), mul(&y, &R2));
    let x3 = mul(&xm, &mul(&xm, &x));
    let three_x = add(&add(&x, &x), &x);
    mul(&ym, &y) == add(&sub(&x3, &three_x), &B)
}

fn number(bytes: &[u8]) -> Number {
    let mut out = [0; 4];
    for (limb, chunk) in out.iter_mut().rev().zip(bytes.chunks(8)) {
        *limb = chunk
            .iter()
            .fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    out
}

fn below_p(a: &Number) -> bool {
    a.iter().rev().lt(P.iter().rev())
}

fn add(a: &Number, b: &Number) -> Number {
    let (sum, carry) = add_wide(a, b);
    if carry || !below_p(&sum) {
        sub_wide(&sum, &P).0
    } else {
        sum
    }
}

fn sub(a: &Number, b: &Number) -> Number {
    let (difference, borrow) = sub_wide(a, b);
    if borrow {
        add_wide(&difference, &P).0
    } else {
        difference
    }
}

fn add_wide(a: &Number, b: &Number) -> (Number, bool) {
    let mut out = [0; 4];
    let mut carry = false;
    for i in 0..4 {
        let (sum, first) = a[i].overflowing_add(b[i]);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        out[i] = sum;
        carry = first | second;
    }
    (out, carry)
}

fn sub_wide(a: &Number, b: &Number) -> (Number, bool) {
    let mut out = [0; 4];
    let mut borrow = false;
    for i in 0..4 {
        let (difference, first) = a[i].overflowing_sub(b[i]);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        out[i] = difference;
        borrow = first | second;
    }
    (out, borrow)
}

/// Montgomery multiplication, one limb of `b` at a time (CIOS).
fn mul(a: &Number, b: &Number) -> Number {
    let mut t = [0u64; 6];
    for limb in b {
        accumulate(&mut t, a, *limb);
        // -1/p is 1 mod 2^64, so the multiple of p that clears the lowest limb
        // is that limb itself.
        let multiple = t[0];
        accumulate(&mut t, &P, multiple);
        t.copy_within(1.., 0);
        t[5] = 0;
    }
    let low = [t[0], t[1], t[2], t[3]];
    if t[4] != 0 || !below_p(&low) {
        sub_wide(&low, &P).0
    } else {
        low
    }
}

/// t += a * limb
fn accumulate(t: &mut [u64; 6], a: &Number, limb: u64) {
    let mut carry = 0u128;
    for i in 0..4 {
        carry += u128::from(a[i]) * u128::from(limb) + u128::from(t[i]);
        t[i] = carry as u64;
        carry >>= 64;
    }
    for word in &mut t[4..] {
        carry += u128::from(*word);
        *word = carry as u64;
        carry >>= 64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::PublicKey as Reference;
    use p256::elliptic_curve::sec1::ToSec1Point;
    use proptest::prelude::*;

    fn on_curve(point: &[u8]) -> bool {
        contains(&point[1..33], &point[33..])
    }

    proptest! {
        #[test]
        fn agrees_with_another_library_on_true_points(seed in any::<[u8; 32]>()) {
            let Ok(secret) = p256::SecretKey::from_slice(&seed) else { return Ok(()) };
            let point = secret.public_key().to_sec1_point(false);
            prop_assert!(on_curve(point.as_bytes()));
        }

        #[test]
        fn agrees_with_another_library_on_spoilt_points(
            seed in any::<[u8; 32]>(), at in 1usize..65, bit in 0u8..8,
        ) {
            let Ok(secret) = p256::SecretKey::from_slice(&seed) else { return Ok(()) };
            let mut point = secret.public_key().to_sec1_point(false).as_bytes().to_vec();
            point[at] ^= 1 << bit;
            prop_assert_eq!(on_curve(&point), Reference::from_sec1_bytes(&point).is_ok());
        }

        #[test]
        fn agrees_with_another_library_on_any_bytes(x in any::<[u8; 32]>(), y in any::<[u8; 32]>()) {
            let point = [&[4][..], &x, &y].concat();
            prop_assert_eq!(on_curve(&point), Reference::from_sec1_bytes(&point).is_ok());
        }
    }

    #[test]
    fn coordinates_must_be_below_the_prime() {
        // x = p stands for 0, and 0 has a square root of b beside it: a reader
        // that reduces first would take it.
        let p: Vec<u8> = P.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        assert!(!contains(&p, &[0; 32]));
        assert!(!contains(&[0; 32], &p));
        assert!(!contains(&[0xff; 32], &[0xff; 32]));
        assert!(!contains(&[0; 32], &[0; 32]));
    }
}
