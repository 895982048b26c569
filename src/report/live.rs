//! The steps at work, as lines that are drawn again and again.

use std::time::{Duration, Instant};

use super::format::{bar, bytes, bytes_of, duration, number, percentage, shorten, width};
use super::look::{Look, Tone};
use super::row::Row;
use super::run::{Progress, Run, Running};

/// Steps shown at once, where the terminal is high enough.
const STEPS: usize = 8;
const BAR: usize = 22;
const STEP_BAR: usize = 16;
/// A step has a bar where there is room for `downloading 12.3 of 45.6 MB` too, so that all have one or none has.
const ROOM_FOR_BAR: usize = 50;

/// The lines for a terminal of that many columns and rows: the steps that run longest, and how far the whole has got.
pub(super) fn live(run: &Run, now: Instant, look: Look, columns: usize, rows: usize) -> Vec<Row> {
    // A line that fills its row would leave the cursor in the next one on some terminals and not on others.
    let limit = columns.saturating_sub(1);
    // The total, and the row that the cursor rests in; one more so that something else is seen.
    let room = rows.saturating_sub(3).min(STEPS);
    let fits = run.running.len() <= room;
    let shown = if fits { run.running.len() } else { room.saturating_sub(1) };
    let steps = &run.running[..shown];
    let names = steps.iter().map(|running| width(&running.step)).max().unwrap_or(0).min(name_column(limit));
    let mut lines: Vec<Row> = steps.iter().map(|running| step(running, now, look, limit, names)).collect();
    if !fits && room > 0 {
        let more = format!("and {} more", run.running.len() - shown);
        lines.push(Row::new(look, limit).pad(4).push(Tone::Faint, &more));
    }
    lines.push(total(run, now, look, limit));
    lines
}

/// The columns for names: what is left beside a spinner, a time and, on wide terminals, some words about progress.
fn name_column(limit: usize) -> usize {
    let words = if limit >= 60 { 30 } else { 6 };
    limit.saturating_sub(4 + 8 + 2 + words).clamp(8, 60)
}

fn step(running: &Running, now: Instant, look: Look, limit: usize, names: usize) -> Row {
    let elapsed = now.saturating_duration_since(running.since);
    let spinner = look.spinner(elapsed.as_millis() / 100).to_string();
    let row = Row::new(look, limit)
        .pad(2)
        .push(Tone::Good, &spinner)
        .pad(4)
        .push(Tone::Plain, &shorten(&running.step, names, look))
        .pad(4 + names)
        .push(Tone::Faint, &format!("  {:>6}  ", ticking(elapsed)));
    match &running.progress {
        Some(progress) => {
            let room = row.room();
            row.push(Tone::Plain, &words(progress, room))
        }
        None => row.push(Tone::Faint, &running.reason),
    }
}

/// A time that goes on: whole seconds, for tenths would only flutter.
fn ticking(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(60) { format!("{}s", elapsed.as_secs()) } else { duration(elapsed) }
}

/// How far a step has got, as fully as the room allows.
pub(super) fn words(progress: &Progress, room: usize) -> String {
    let Progress { what, done, total } = *progress;
    let in_bytes = what.contains("download");
    let Some(total) = total else {
        let amount = || if in_bytes { bytes(done) } else { number(done) };
        return if done == 0 { what.to_owned() } else { format!("{what} {}", amount()) };
    };
    let amount = if in_bytes { bytes_of(done, total) } else { format!("{} of {}", number(done), number(total)) };
    let part = percentage(done, total);
    let bar = if room >= ROOM_FOR_BAR { bar(done, total, STEP_BAR) + " " } else { String::new() };
    let candidates = [
        format!("{bar}{part:>4}  {what} {amount}"),
        format!("{part:>4}  {what} {amount}"),
        format!("{part:>4}  {what}"),
    ];
    candidates.into_iter().find(|candidate| width(candidate) <= room).unwrap_or(format!("{part:>4}"))
}

fn total(run: &Run, now: Instant, look: Look, limit: usize) -> Row {
    let time = ticking(now.saturating_duration_since(run.began));
    let mut row = Row::new(look, limit).pad(2);
    let counts = run.counts(["built", "cached", "failed", "skipped", "running"]);
    let counts: Vec<_> = counts.iter().map(|(word, number)| format!("{number} {word}")).collect();
    let ended = run.ended() as u64;
    // A plan that is told too late or not at all must not end at more than its whole.
    if run.planned as u64 >= ended && run.planned > 0 {
        let planned = run.planned as u64;
        let share = format!("{ended} of {planned}");
        if limit >= 60 {
            row = row.push(Tone::Good, &bar(ended, planned, BAR)).push(Tone::Plain, " ");
        }
        row = row.push(Tone::Strong, &share).push(Tone::Plain, "  ");
    }
    row.push(Tone::Faint, &format!("{time}  ")).push(Tone::Plain, &counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(began: Instant) -> Run {
        let mut run = Run::new(began);
        run.planned = 60;
        run.cached = 43;
        run.built = 2;
        run.failed.push(("binary/a/arm".into(), "x".into()));
        let at = |seconds| began + Duration::from_secs(seconds);
        for (step, reason, since, progress) in [
            ("packages/debian-trixie/s390x", "new", 1, Some(("downloading", 12_345_678, Some(127_000_000)))),
            ("packages/debian-trixie/arm", "new", 2, Some(("unpacking", 34, Some(102)))),
            ("library/libpcap@1.10.5/ppc64le", "recipe changed", 10, None),
            ("archive/debian-trixie/go", "new", 60, Some(("downloading", 999, None))),
        ] {
            let mut running = Running::new(step.into(), reason.into(), at(since));
            running.progress = progress.map(|(what, done, total)| Progress { what, done, total });
            run.running.push(running);
        }
        run
    }

    fn drawn(columns: usize, rows: usize, look: Look) -> String {
        let began = Instant::now();
        let lines = live(&sample(began), began + Duration::from_secs(62), look, columns, rows);
        assert!(lines.iter().all(|line| line.columns() < columns));
        assert!(lines.len() < rows.max(2), "{} lines in {rows} rows", lines.len());
        lines.iter().map(|line| format!("{}\n", line.text())).collect()
    }

    const UNICODE: Look = Look { colour: false, unicode: true };
    const ASCII: Look = Look { colour: false, unicode: false };

    #[test]
    fn wide() {
        assert_eq!(
            drawn(110, 24, UNICODE),
            "
  ⠋ packages/debian-trixie/s390x    1m 01s  [=>            ]   9%  downloading 12.3 of 127 MB
  ⠋ packages/debian-trixie/arm      1m 00s  [====>         ]  33%  unpacking 34 of 102
  ⠋ library/libpcap@1.10.5/ppc64le     52s  recipe changed
  ⠋ archive/debian-trixie/go            2s  downloading 999 B
  [===============>    ] 46 of 60  1m 02s  2 built, 43 cached, 1 failed, 4 running
"
            .trim_start_matches('\n')
        );
    }

    #[test]
    fn eighty_columns() {
        assert_eq!(
            drawn(80, 24, ASCII),
            "
  - packages/debian-trixie/s390x    1m 01s    9%  downloading 12.3 of 127 MB
  | packages/debian-trixie/arm      1m 00s   33%  unpacking 34 of 102
  | library/libpcap@1.10.5/ppc64le     52s  recipe changed
  | archive/debian-trixie/go            2s  downloading 999 B
  [===============>    ] 46 of 60  1m 02s  2 built, 43 cached, 1 failed, 4 ru..
"
            .trim_start_matches('\n')
        );
    }

    #[test]
    fn forty_columns_and_few_rows() {
        assert_eq!(
            drawn(40, 6, UNICODE),
            "
  ⠋ packages/…xie/s390x  1m 01s    9%
  ⠋ packages/…rixie/arm  1m 00s   33%
    and 2 more
  46 of 60  1m 02s  2 built, 43 cached…
"
            .trim_start_matches('\n')
        );
        for rows in 0..12 {
            for columns in 0..120 {
                drawn(columns.max(1), rows.max(2), ASCII);
            }
        }
    }

    #[test]
    fn coloured() {
        let text = drawn(80, 5, Look { colour: true, unicode: false });
        assert_eq!(
            text,
            "  \x1b[32m-\x1b[0m packages/debian-trixie/s390x\x1b[2m  1m 01s  \x1b[0m  9%  downloading 12.3 of 127 MB\n    \
             \x1b[2mand 3 more\x1b[0m\n  \x1b[32m[===============>    ]\x1b[0m \x1b[1m46 of 60\x1b[0m  \
             \x1b[2m1m 02s  \x1b[0m2 built, 43 cached, 1 failed, 4 ru..\n"
        );
    }
}
