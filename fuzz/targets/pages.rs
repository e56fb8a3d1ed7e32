//! Pages of lists from carriers of any kind, in any order: a list is whole only when each of its
//! pages was given since it was begun, and is what the last of each held.
#![no_main]

use std::collections::BTreeMap;

use latchkey_fuzz::Script;
use latchkey_protocol::doorstate::ListNumber;
use latchkey_protocol::private::{Page, PageAssembler};

/// Most pages that a list has.
const MOST: u16 = 16;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let mut assembler = PageAssembler::new();
    let mut begun: Option<(ListNumber, u16)> = None;
    let mut given = BTreeMap::<u16, Vec<u8>>::new();
    while !script.is_over() {
        let page = Page {
            list: ListNumber {
                epoch: u32::from(script.byte() % 2),
                version: u64::from(script.byte() % 4),
            },
            index: u16::from(script.byte() % 20),
            count: u16::from(script.byte() % 20),
            bytes: script.piece().to_vec(),
        };
        let count = page.count.min(MOST);
        if begun != Some((page.list, count)) {
            begun = Some((page.list, count));
            given.clear();
        }
        if page.index < count {
            given.insert(page.index, page.bytes.clone());
        }
        let whole = assembler.take(page);
        let all = count > 0 && given.len() == usize::from(count);
        let expected = all.then(|| given.values().flatten().copied().collect::<Vec<_>>());
        assert_eq!(whole, expected);
        if all {
            begun = None;
        } else {
            let missing = (0..count).filter(|index| !given.contains_key(index));
            assert!(assembler.missing().eq(missing));
        }
    }
});
