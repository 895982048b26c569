//! A small mutation fuzzer on stable Rust, guided by what the property says of each input.

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// An input that takes longer than this hangs; a loaded machine counts.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longer inputs are not made.
const MOST_BYTES: usize = 1 << 16;

/// What is fuzzed.
pub(crate) struct Target {
    /// The folder of its seeds, below `tests/fuzz/`.
    pub(crate) name: &'static str,
    /// Pieces that mean something to the parser.
    pub(crate) words: &'static [&'static str],
    /// Panics for an input that is treated wrongly. Says what became of the others: inputs with new answers are built upon.
    pub(crate) property: fn(&[u8]) -> String,
}

/// An input on which a property failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) input: Vec<u8>,
    pub(crate) why: &'static str,
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

/// Fuzzes for `XBUILD_FUZZ_SECONDS`, two if unset; `XBUILD_FUZZ_SEED` makes it try other inputs. A failure's input is kept
/// as a file, ready to become a seed.
pub(crate) fn run(target: &Target) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = Duration::from_secs(number("XBUILD_FUZZ_SECONDS").unwrap_or(2));
    let Err(failure) = search(target, time, number("XBUILD_FUZZ_SEED").unwrap_or(1)) else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(target.name);
    fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join(format!("{}-bytes", failure.input.len()));
    fs::write(&path, &failure.input).expect("the file can be written");
    panic!(
        "{}: {} on this input:\n{}\nkept in {}; as tests/fuzz/{}/NAME it is tried first in every run",
        target.name,
        failure.why,
        failure.input.escape_ascii(),
        path.display(),
        target.name
    );
}

/// The seeds, in the order of their names.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name);
    let entries = fs::read_dir(&folder).expect("there are seeds");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a seed can be read")).collect()
}

/// Looks for an input on which the property fails: the seeds first, then what becomes of them.
pub(crate) fn search(target: &Target, time: Duration, seed: u64) -> Result<(), Failure> {
    let (name, words, property) = (target.name, target.words, target.property);
    // A hang can only be seen from another thread; the one that hangs ends with the process.
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let start = Instant::now();
        let mut random = Random(seed);
        let mut inputs = Vec::new();
        let mut answers = HashSet::new();
        let mut open = seeds(name);
        open.reverse();
        loop {
            let input = match open.pop() {
                Some(seed) => seed,
                None if start.elapsed() > time => break,
                None => mutated(&inputs, words, &mut random),
            };
            tell.send(Some(input.clone())).ok();
            match catch_unwind(AssertUnwindSafe(|| property(&input))) {
                Ok(answer) => {
                    if answers.insert(answer) {
                        inputs.push(input);
                    }
                }
                Err(_) => return tell.send(None).ok(),
            }
        }
        None
    });
    let mut last = Vec::new();
    loop {
        match told.recv_timeout(PATIENCE) {
            Ok(Some(input)) => last = input,
            Ok(None) => return Err(Failure { input: shortened(last, property), why: "the property fails" }),
            Err(RecvTimeoutError::Timeout) => return Err(Failure { input: last, why: "it hangs" }),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// One of the inputs with a few changes: pieces removed, doubled, taken from another input, words put in, bytes flipped.
fn mutated(inputs: &[Vec<u8>], words: &[&str], random: &mut Random) -> Vec<u8> {
    // What came first is closest to what people write.
    let most = if random.below(2) == 0 { inputs.len().min(8) } else { inputs.len() };
    let mut input = inputs[random.below(most)].clone();
    for _ in 0..=random.below(4) {
        // Half of the changes begin a line.
        let mut at = random.below(input.len() + 1);
        if random.below(2) == 0 {
            at = input[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |line_feed| line_feed + 1);
        }
        let most = 1 << random.below(8);
        let end = (at + random.below(most)).min(input.len());
        let piece = match random.below(6) {
            0 => Vec::new(),
            1 => input[at..end].repeat(2),
            2 => {
                let other = &inputs[random.below(inputs.len())];
                let from = random.below(other.len() + 1);
                other[from..(from + random.below(64)).min(other.len())].to_vec()
            }
            3 => vec![random.below(256) as u8],
            _ => {
                let mut piece = words[random.below(words.len())].as_bytes().to_vec();
                if random.below(2) == 0 {
                    piece.extend(&input[at..end]);
                }
                piece
            }
        };
        input.splice(at..end, piece);
    }
    input.truncate(MOST_BYTES);
    input
}

/// A shorter input on which the property fails as well.
fn shortened(mut input: Vec<u8>, property: fn(&[u8]) -> String) -> Vec<u8> {
    let fails = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| property(input))).is_err();
    loop {
        let before = input.len();
        let mut size = before / 2;
        while size > 0 {
            let mut at = 0;
            while at + size <= input.len() {
                let shorter = [&input[..at], &input[at + size..]].concat();
                if fails(&shorter) {
                    input = shorter;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        // What one round leaves may have kept other pieces from being removed.
        if input.len() == before {
            return input;
        }
    }
}
