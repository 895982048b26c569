//! Gzip on several threads, whose bytes do not depend on how many there are.
//!
//! The input is cut into blocks of one size. Each is deflated on its own and ends in a sync flush, so that blocks
//! may stand one after the other in one stream. The checksums of the blocks are combined.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::Crc;

use super::deflate::Quick;

/// Input bytes that are deflated on their own.
const BLOCK: usize = 512 << 10;

/// Names whatever decides the compressed bytes of a given input.
pub(super) const COMPRESSOR: &str = "gzip/quick/block-512k";

/// No flags, no name, no time, fastest level, no operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// An empty last block: it ends the stream that the sync flushes left open.
const END: [u8; 2] = [0x03, 0x00];

struct Job {
    input: Vec<u8>,
    reply: SyncSender<Block>,
}

struct Block {
    deflated: Vec<u8>,
    checksum: Crc,
}

fn deflate(quick: &mut Quick, input: &[u8]) -> Block {
    let mut checksum = Crc::new();
    checksum.update(input);
    Block { deflated: quick.deflate(input).to_vec(), checksum }
}

/// Compresses what is written to it into one gzip member.
pub(super) struct ParallelGzip<W> {
    inner: W,
    threads: usize,
    block: Vec<u8>,
    jobs: Option<SyncSender<Job>>,
    pending: VecDeque<Receiver<Block>>,
    checksum: Crc,
}

impl<W: Write> ParallelGzip<W> {
    /// Starts a member; threads start with the second block.
    pub(super) fn new(mut inner: W, threads: usize) -> io::Result<Self> {
        inner.write_all(&HEADER)?;
        let (block, pending) = (Vec::with_capacity(BLOCK), VecDeque::new());
        Ok(ParallelGzip { inner, threads: threads.max(1), block, jobs: None, pending, checksum: Crc::new() })
    }

    /// Writes what is left, and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let last = mem::take(&mut self.block);
        if self.jobs.is_none() {
            if !last.is_empty() {
                self.take(&deflate(&mut Quick::new(), &last))?;
            }
        } else if !last.is_empty() {
            self.submit(last)?;
        }
        self.jobs = None;
        while let Some(reply) = self.pending.pop_front() {
            self.receive(&reply)?;
        }
        self.inner.write_all(&END)?;
        self.inner.write_all(&self.checksum.sum().to_le_bytes())?;
        self.inner.write_all(&self.checksum.amount().to_le_bytes())?;
        Ok(self.inner)
    }

    fn take(&mut self, block: &Block) -> io::Result<()> {
        self.checksum.combine(&block.checksum);
        self.inner.write_all(&block.deflated)
    }

    fn receive(&mut self, reply: &Receiver<Block>) -> io::Result<()> {
        let block = reply.recv().map_err(|_| io::Error::other("a compressing thread died"))?;
        self.take(&block)
    }

    fn submit(&mut self, input: Vec<u8>) -> io::Result<()> {
        // What is under way is limited, and so is the memory that it takes.
        while self.pending.len() >= self.threads * 2 {
            if let Some(reply) = self.pending.pop_front() {
                self.receive(&reply)?;
            }
        }
        let (reply, receiver) = sync_channel(1);
        let threads = self.threads;
        let jobs = self.jobs.get_or_insert_with(|| start(threads));
        jobs.send(Job { input, reply }).map_err(|_| io::Error::other("the compressing threads died"))?;
        self.pending.push_back(receiver);
        Ok(())
    }
}

/// Starts threads that end once the sender is gone.
fn start(threads: usize) -> SyncSender<Job> {
    let (sender, receiver) = sync_channel::<Job>(threads * 2);
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..threads {
        let receiver = Arc::clone(&receiver);
        thread::spawn(move || {
            let mut quick = Quick::new();
            loop {
                let job = receiver.lock().ok().and_then(|receiver| receiver.recv().ok());
                let Some(Job { input, reply }) = job else { return };
                // Nobody waits for the answer any more when the writer failed.
                drop(reply.send(deflate(&mut quick, &input)));
            }
        });
    }
    sender
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full block is sent only when more follows it, so that the last one is never empty.
        if self.block.len() == BLOCK {
            let full = mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
            self.submit(full)?;
        }
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::domain::Digest;

    fn sample(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Half noise, half repetition.
            if state & 0x100 == 0 { b'x' } else { (state >> 24) as u8 }
        };
        (0..length).map(|_| next()).collect()
    }

    fn gzip(input: &[u8], threads: usize, piece: usize) -> Vec<u8> {
        let mut writer = ParallelGzip::new(Vec::new(), threads).unwrap();
        input.chunks(piece).for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap()
    }

    #[test]
    fn what_comes_out_goes_back_in() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let input = sample(length);
            let mut output = Vec::new();
            flate2::read::GzDecoder::new(gzip(&input, 2, 8192).as_slice()).read_to_end(&mut output).unwrap();
            assert!(output == input, "{length}");
        }
    }

    #[test]
    fn bytes_depend_on_the_input_alone() {
        let input = sample(7 * BLOCK + 12_345);
        let one = gzip(&input, 1, 1 << 20);
        for (threads, piece) in [(2, 8192), (3, 777_777), (8, 100)] {
            assert!(gzip(&input, threads, piece) == one, "{threads} threads");
        }
    }

    #[test]
    fn noise_that_grows_is_whole() {
        let input: Vec<u8> =
            (0..BLOCK as u64 / 32).flat_map(|n| Digest::of(n.to_be_bytes()).hex().into_bytes()).collect();
        let raw: Vec<u8> =
            input.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        let mut output = Vec::new();
        flate2::read::GzDecoder::new(gzip(&raw, 2, 8192).as_slice()).read_to_end(&mut output).unwrap();
        assert!(output == raw);
    }

    #[test]
    fn the_bytes_are_the_known_ones() {
        let digest = Digest::of(gzip(&sample(2 * BLOCK + 5), 2, 8192)).hex();
        assert_eq!(
            digest, "b8d7181656ff44b1a12704a490c60e83e85378e438bb6f6b1ab692ff06c75748",
            "a new digest means that every layer is pushed again: name it in COMPRESSOR"
        );
    }
}
