//! Sizes of memory.

/// Bytes of a size such as `64m`, `1.5GiB`, `100`; units count in powers of 1024.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == unit)?;
    let size = number * 1024f64.powi(i32::try_from(power).ok()?);
    (size < 1e18).then_some(size as u64)
}
