//! What a reader makes of a phone's documents, issuer certificates included.
#![no_main]

use aliro::crypto::PublicKey;
use aliro::document::{
    ACCESS, DeviceResponse, Iterations, Now, REVOCATION, RevocationContext, TrustedIssuers,
    Verifier, VerifyContext,
};

/// The generator of P-256, so that its private key, 1, signs the seeds.
const ISSUER: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
    0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51,
    0xf5,
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(response) = DeviceResponse::decode(bytes) else {
        return;
    };
    let key = PublicKey::from_uncompressed(&ISSUER).expect("the generator");
    let mut trusted = TrustedIssuers::new();
    trusted.add_issuer(key);
    trusted.add_authority(key);
    let asked = ["floor1".to_owned()];
    let iterations = Iterations::new();
    // 2027-01-01T00:00:00Z
    let utc = 1_798_761_600;
    let clock = Some(Now { utc, local: utc });
    if let Some(document) = response.document(ACCESS) {
        let context = VerifyContext {
            credential: &key,
            asked: &asked,
            clock,
            iterations: &iterations,
            known_reader_rules: &|_| true,
            understands: &|_, _, _| true,
        };
        if Verifier::new(&trusted).access(document, &context).is_ok() {
            let shown = document.select(&asked).expect("it has what was verified");
            assert!(Verifier::new(&trusted).access(&shown, &context).is_ok());
        }
    }
    if let Some(document) = response.document(REVOCATION) {
        let context = RevocationContext {
            asked: &asked,
            clock,
            iterations: &iterations,
        };
        let _ = Verifier::new(&trusted).revocation(document, &context);
    }
});
