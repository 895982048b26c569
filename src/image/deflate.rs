//! Deflate at its fastest: matches that the last occurrence of four bytes gives, in the fixed codes of the format.
//!
//! The bytes are those of zlib-rs at level 1 with a sync flush at the end, to which the tests hold them. Made for nothing but
//! whole blocks in memory, this takes seven tenths of the time; and nobody's new version changes the digest of a layer.
//!
//! Why the fastest, measured with zlib-rs on 25 MiB of Go programs on two cores, read, archived, hashed, deflated and
//! written: level 0 took 0.07 s for 26.2 MB, level 1 took 0.14 s for 13.3 MB, level 2 took 0.22 s for 11.1 MB; 6 took about
//! three times as long as 1.
//!
//! How the window moves, and where places are noted that no match needs, is as odd as there.

/// By so much the window moves; it is twice as long.
const WINDOW: usize = 1 << 15;

/// Bytes of the longest match.
const LONGEST: usize = 258;

/// Bytes of the shortest match that is looked for.
const SHORTEST: usize = 4;

/// With fewer bytes before its end, the window moves on.
const AHEAD: usize = LONGEST + SHORTEST;

/// How far back a match may lie.
const FARTHEST: usize = WINDOW - AHEAD;

/// Bits in the order in which they are written, the lowest first.
#[derive(Clone, Copy)]
struct Code {
    bits: u32,
    length: u32,
}

const NO_CODE: Code = Code { bits: 0, length: 0 };

/// The format begins with the highest bit of these.
const fn code(bits: u32, length: u32) -> Code {
    Code { bits: bits.reverse_bits() >> (32 - length), length }
}

/// The fixed code of a byte, of the end of a block, or of a range of lengths.
const fn symbol(number: u32) -> Code {
    match number {
        0..144 => code(0x30 + number, 8),
        144..256 => code(0x190 + number - 144, 9),
        256..280 => code(number - 256, 7),
        _ => code(0xc0 + number - 280, 8),
    }
}

/// The number of the range that a value lies in, and how many bits say where in it. There are `1 << fine` ranges of each
/// size.
const fn range(value: u32, fine: u32) -> (u32, u32) {
    if value < 2 << fine {
        return (value, 0);
    }
    let extra = value.ilog2() - fine;
    ((extra << fine) + (value >> extra), extra)
}

/// By byte.
static LITERALS: [Code; 256] = {
    let mut table = [NO_CODE; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = symbol(byte as u32);
        byte += 1;
    }
    table
};

/// By length less 3, together with the bits that say where in the range it is.
static LENGTHS: [Code; 256] = {
    let mut table = [NO_CODE; 256];
    let mut value = 0;
    while value < 255 {
        let (number, extra) = range(value as u32, 2);
        let Code { bits, length } = symbol(257 + number);
        let place = value as u32 & ((1 << extra) - 1);
        table[value] = Code { bits: bits | place << length, length: length + extra };
        value += 1;
    }
    // The longest has a code of its own.
    table[255] = symbol(285);
    table
};

/// By the number of a range of distances.
static DISTANCES: [Code; 32] = {
    let mut table = [NO_CODE; 32];
    let mut number = 0;
    while number < 32 {
        table[number] = code(number as u32, 5);
        number += 1;
    }
    table
};

/// Writes bits into bytes. What is written ends [`Bits::SLACK`] bytes before the end of those at the latest.
struct Bits<'a> {
    bytes: &'a mut [u8],
    whole: usize,
    buffer: u64,
    held: u32,
}

impl Bits<'_> {
    const SLACK: usize = 16;

    /// At most 56 bits.
    #[inline(always)]
    fn put(&mut self, bits: u64, length: u32) {
        self.buffer |= bits << self.held;
        self.held += length;
        // More than is whole: what comes next writes over it. Whether there is a whole byte cannot be foreseen, and
        // to ask would take longer.
        self.bytes[self.whole..self.whole + 8].copy_from_slice(&self.buffer.to_le_bytes());
        self.whole += (self.held / 8) as usize;
        self.buffer >>= self.held & !7;
        self.held %= 8;
    }

    #[inline(always)]
    fn code(&mut self, code: Code) {
        self.put(code.bits.into(), code.length);
    }

    #[inline(always)]
    fn matched(&mut self, length: usize, distance: usize) {
        let Code { bits, length } = LENGTHS[length - 3];
        let distance = distance as u32 - 1;
        let (number, extra) = range(distance, 1);
        let far = DISTANCES[number as usize % DISTANCES.len()];
        let place = distance & ((1 << extra) - 1);
        let far = u64::from(far.bits | place << far.length) << length;
        self.put(u64::from(bits) | far, length + 5 + extra);
    }

    /// Ends the block, and adds an empty one of the kind that begins and ends with a whole byte; how many bytes there are.
    fn finish(mut self) -> usize {
        self.code(symbol(256));
        self.put(0, 3);
        self.put(0, (8 - self.held) % 8);
        self.put(0xffff_0000, 32);
        self.whole
    }
}

/// Deflates one block after the other.
pub(super) struct Quick {
    /// By the hash of four bytes: where in the window they were last.
    places: Box<[u16; 1 << 16]>,
    output: Vec<u8>,
}

#[inline(always)]
fn four(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes)
}

#[inline(always)]
fn hash(value: u32) -> usize {
    (value.wrapping_mul(2_654_435_761) >> 16) as usize
}

/// How many bytes are the same, of which the first four are known to be.
#[inline(always)]
fn same(bytes: &[u8], before: usize, at: usize, most: usize) -> usize {
    let eight = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    let mut length = SHORTEST;
    while length + 8 <= most {
        let different = eight(before + length) ^ eight(at + length);
        if different != 0 {
            return length + different.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    while length < most && bytes[before + length] == bytes[at + length] {
        length += 1;
    }
    length
}

impl Quick {
    pub(super) fn new() -> Quick {
        Quick { places: Box::new([0; 1 << 16]), output: Vec::new() }
    }

    /// A block of its own, after which others may follow in the same stream.
    pub(super) fn deflate(&mut self, input: &[u8]) -> &[u8] {
        self.places.fill(0);
        // No byte takes more than nine bits.
        self.output.resize((input.len() / 8 * 9 + 9 + Bits::SLACK).max(self.output.len()), 0);
        let mut bits = Bits { bytes: &mut self.output, whole: 0, buffer: 0, held: 0 };
        let places = &mut *self.places;
        bits.put(0b010, 3);
        // The window is from `base` to `end`.
        let (mut at, mut base, mut end) = (0, 0, input.len().min(2 * WINDOW));
        while at < input.len() {
            if end - at < AHEAD {
                if at - base >= WINDOW + FARTHEST {
                    base += WINDOW;
                    places.iter_mut().for_each(|place| *place = place.saturating_sub(WINDOW as u16));
                }
                if end < input.len() {
                    end = input.len().min(base + 2 * WINDOW);
                    if end - at >= SHORTEST - 1 {
                        places[hash(four(input, at - 1))] = (at - 1 - base) as u16;
                    }
                }
            }
            let window = &input[..end];
            let left = end - at;
            if left < SHORTEST {
                bits.code(LITERALS[usize::from(window[at])]);
                at += 1;
                continue;
            }
            let value = four(window, at);
            let place = &mut places[hash(value)];
            // Where there was none it is the window's beginning, which is as good as any.
            let before = base + usize::from(*place);
            *place = (at - base) as u16;
            let distance = at.wrapping_sub(before);
            // Not `&&`: one question that cannot be foreseen is faster than two.
            if (distance.wrapping_sub(1) < FARTHEST) & (four(window, before) == value) {
                let length = same(window, before, at, left.min(LONGEST));
                bits.matched(length, distance);
                at += length;
            } else {
                bits.code(LITERALS[usize::from(value as u8)]);
                at += 1;
            }
        }
        let length = bits.finish();
        &self.output[..length]
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    fn of_zlib(input: &[u8]) -> Vec<u8> {
        let mut output = Vec::with_capacity(2 * input.len() + 1024);
        let mut zlib = Compress::new(Compression::new(1), false);
        zlib.compress_vec(input, &mut output, FlushCompress::Sync).unwrap();
        output
    }

    /// Numbers that look like chance, and are the same each time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % limit
        }
    }

    /// Bytes of which many are what they were some way back, and the others one of a few or of all.
    fn sample(numbers: &mut Numbers, length: usize) -> Vec<u8> {
        let (letters, back, odds) = (1 + numbers.below(256), 1 + numbers.below(70_000), 1 + numbers.below(60));
        let mut bytes: Vec<u8> = (0..length).map(|_| numbers.below(letters) as u8).collect();
        for at in back..length {
            if numbers.below(odds) > 0 {
                bytes[at] = bytes[at - back];
            }
        }
        bytes
    }

    #[test]
    fn the_bytes_are_those_of_zlib() {
        let (mut quick, mut numbers) = (Quick::new(), Numbers(1));
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for round in 0..600 {
            // Short ones, the first and later moves of the window, and whole blocks.
            let length = match round % 6 {
                0 => numbers.below(600),
                1 => 65_000 + numbers.below(1_200),
                2 => 97_500 + numbers.below(1_500),
                3 => 130_500 + numbers.below(1_200),
                4 => numbers.below(200_000),
                _ => numbers.below(1 << 19),
            };
            let bytes = match round % 7 {
                0..5 => sample(&mut numbers, length),
                _ => {
                    let start = numbers.below(program.len() - length);
                    program[start..start + length].to_vec()
                }
            };
            if !bytes.is_empty() {
                assert!(quick.deflate(&bytes) == of_zlib(&bytes), "round {round}, {length} bytes");
            }
        }
    }

    #[test]
    fn the_longest_matches_and_their_ends_are_those_of_zlib() {
        let mut quick = Quick::new();
        for length in (1..600).chain(65_200..65_600).chain(97_900..98_400) {
            for byte in [0, 200] {
                let bytes = vec![byte; length];
                assert!(quick.deflate(&bytes) == of_zlib(&bytes), "{length} bytes");
            }
        }
    }
}
