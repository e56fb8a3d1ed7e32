//! A reader's certificate, as the phone gets it.
#![no_main]

use aliro::certificate::CompressedCertificate;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificate) = CompressedCertificate::parse(bytes) {
        let again = certificate.compress();
        assert_eq!(
            CompressedCertificate::parse(again.as_bytes()).as_ref(),
            Ok(&certificate)
        );
    }
});
