//! What either side says of itself before anything is proved: a reader's advertisement, and the
//! protocol versions of a device, alone and in the answer to SELECT.
#![no_main]

use aliro::advertisement::Advertisement;
use aliro::proprietary::ProprietaryInformation;
use aliro::select::{EXPEDITED, STEP_UP, file_control, parse_file_control};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(advertisement) = Advertisement::parse(bytes) {
        assert_eq!(
            Advertisement::parse(&advertisement.encode()),
            Some(advertisement)
        );
    }
    if let Ok(announced) = ProprietaryInformation::parse(bytes) {
        assert_eq!(
            announced.as_bytes(),
            bytes,
            "they enter the keys as they came"
        );
        for application in [&EXPEDITED, &STEP_UP] {
            let answer = file_control(application, &announced);
            assert_eq!(
                parse_file_control(&answer, application),
                Ok(announced.clone())
            );
        }
    }
    if let Ok(announced) = ProprietaryInformation::parse_first(bytes) {
        assert!(bytes.starts_with(announced.as_bytes()));
    }
    for application in [&EXPEDITED, &STEP_UP] {
        if let Ok(announced) = parse_file_control(bytes, application) {
            let again = ProprietaryInformation::parse(announced.as_bytes());
            assert_eq!(again, Ok(announced));
        }
    }
});
