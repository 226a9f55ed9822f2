//! Whatever bytes come, the manifest parser answers, and an answer that is a refusal points into the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use minipaas::desired::parse;

fuzz_target!(|bytes: &[u8]| {
    if let Err(diagnostic) = parse("x.yaml", bytes) {
        let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 2;
        assert!(diagnostic.line as usize <= lines, "{diagnostic:?}");
        assert!(diagnostic.message.chars().count() < 400, "{diagnostic:?}");
    }
});
