//! What BuildKit tells of a build: messages in the format of Protocol Buffers, of which few fields matter.
//!
//! They are `StatusResponse` of `moby/buildkit`'s `api/services/control/control.proto`.

/// A thing that BuildKit tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told<'a> {
    /// The state of a step.
    Step {
        /// Tells it from others.
        digest: &'a [u8],
        /// As in `[2/3] RUN make`.
        name: String,
        /// Whether it has begun.
        started: bool,
        /// Whether it need not be done.
        cached: bool,
    },
    /// Output of a command.
    Log {
        /// 1 or 2, as file descriptors.
        stream: u64,
        /// The bytes.
        text: &'a [u8],
    },
}

/// The things in a message, in order of kind. What is damaged is left out: it is only told to people.
pub(super) fn read(message: &[u8]) -> Vec<Told<'_>> {
    fields(message)
        .filter_map(|field| match field {
            (1, Value::Bytes(vertex)) => Some(step(vertex)),
            (3, Value::Bytes(log)) => Some(output(log)),
            _ => None,
        })
        .collect()
}

fn step(vertex: &[u8]) -> Told<'_> {
    let (mut digest, mut name, mut started, mut cached) = (&[][..], String::new(), false, false);
    for field in fields(vertex) {
        match field {
            (1, Value::Bytes(bytes)) => digest = bytes,
            (3, Value::Bytes(bytes)) => name = String::from_utf8_lossy(bytes).into_owned(),
            (4, Value::Number(number)) => cached = number != 0,
            (5, Value::Bytes(_)) => started = true,
            _ => {}
        }
    }
    Told::Step { digest, name, started, cached }
}

fn output(log: &[u8]) -> Told<'_> {
    let (mut stream, mut text) = (1, &[][..]);
    for field in fields(log) {
        match field {
            (3, Value::Number(number)) => stream = number,
            (4, Value::Bytes(bytes)) => text = bytes,
            _ => {}
        }
    }
    Told::Log { stream, text }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, up to the first that is damaged.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let key = number(&mut rest)?;
        let value = match key & 7 {
            0 => Value::Number(number(&mut rest)?),
            1 => Value::Bytes(take(&mut rest, 8)?),
            2 => {
                let length = usize::try_from(number(&mut rest)?).ok()?;
                Value::Bytes(take(&mut rest, length)?)
            }
            5 => Value::Bytes(take(&mut rest, 4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// A number of seven bits a byte, lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    /// As Docker 20.10 sent it: the state of a step that has begun and ended.
    const STEP: &str = "CmsKR3NoYTI1NjplOGM2MTNlMDdiMGI3ZmYzMzg5M2I2OTRmNzc1OWExMGQ0MmUxODBmMmI0ZGMzNDlmYjU3ZGM2YjcxZGNhYjAwGhJleHBvcnRpbmcgdG8gaW1hZ2UqDAjvvofYBhCaoOHCAw==";

    #[test]
    fn a_step_is_read_as_buildkit_sends_it() {
        let message = base64::prelude::BASE64_STANDARD.decode(STEP).unwrap();
        let told = read(&message);
        let [Told::Step { digest, name, started: true, cached: false }] = &told[..] else { panic!("{told:?}") };
        assert_eq!((digest.len(), name.as_str()), (71, "exporting to image"));
    }

    #[test]
    fn a_log_is_read() {
        let message = [0x1a, 7, 0x18, 2, 0x22, 3, b'e', b'r', b'r'];
        assert_eq!(read(&message), [Told::Log { stream: 2, text: b"err" }]);
    }

    #[test]
    fn no_damage_is_fatal() {
        let message = base64::prelude::BASE64_STANDARD.decode(STEP).unwrap();
        for end in 0..message.len() {
            read(&message[..end]);
        }
        for byte in 0..=255 {
            read(&[byte; 40]);
        }
    }
}
