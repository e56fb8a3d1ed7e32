//! Lines from a code reader: those that fit and are text, whatever pieces they come in.
#![no_main]

use std::io::BufReader;

use latchkey_door::lines::Lines;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [longest, piece, input @ ..] = bytes else {
        return;
    };
    let longest = usize::from(longest % 40);
    let input_in_pieces = BufReader::with_capacity(1 + usize::from(piece % 50), input);
    let read: Vec<String> = Lines::of(input_in_pieces, longest).collect();
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    // What follows the last end of a line is a line when it is something.
    lines.pop_if(|last| last.is_empty());
    let expected: Vec<&str> = lines
        .into_iter()
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| line.len() <= longest)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    assert_eq!(read, expected);
});
