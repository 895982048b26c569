# shellcheck shell=bash
# Times, medians and the table. Sourced by scripts/bench.

# log, work, runs, markdown: set by scripts/bench.
# shellcheck disable=SC2154
rows=()

say() { printf 'bench: %s\n' "$*" >&2; }

# Others at work are no part of what is measured.
warn_when_busy() {
  local load
  read -r load _ </proc/loadavg
  [ "$(met "$load" 0.5)" = met ] || say "the machine is busy (load $load): do not trust what comes"
}

# Ends with what the last command wrote.
fail() {
  say "$1 failed; its last words:"
  tail -n 25 "$log" >&2
  exit 1
}

# Takes away everything that was made or started.
finish() {
  trap - EXIT INT TERM HUP
  unregister_emulator
  stop_hosts
  stop_docker
  remove "$work"
  exit "$1"
}

# An ordinary user's builders may hold files of its subordinate users.
remove() {
  rm -rf -- "$@" 2>/dev/null && return
  chmod -R u+rwX -- "$@" 2>/dev/null || true
  rm -rf -- "$@" 2>/dev/null || unshare --map-root-user --map-auto rm -rf -- "$@" || say "cannot remove $*"
}

# How often: as --runs says, or as given.
how_often() { echo "${runs:-$1}"; }

# Runs a command, and adds its seconds to the named list.
clock() {
  local -n list=$1
  shift
  local from=$EPOCHREALTIME to
  "$@" >>"$log" 2>&1 </dev/null || fail "$*"
  to=$EPOCHREALTIME
  list+=("$(calculate "$to - $from")")
}

calculate() { awk "BEGIN { printf \"%.6f\", $1 }"; }

median() {
  printf '%s\n' "$@" | sort -n |
    awk '{ v[NR] = $1 } END { printf "%.6f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# 0.0042 is 4.2 ms, 17.31 is 17.3 s.
human_seconds() { awk -v s="$1" 'BEGIN { if (s < 1) printf "%.*f ms", s < 0.02, s * 1000; else printf "%.1f s", s }'; }

human_ratio() { awk -v r="$1" 'BEGIN { printf "%.*f", r < 0.1 ? 3 : 2, r }'; }

human_bytes() { awk -v b="$1" 'BEGIN { printf "%.0f MB", b / 1e6 }'; }

# Bytes that a folder takes on the disk.
disk() { du -s -B1 -- "$@" | awk '{ sum += $1 } END { print sum }'; }

# met VALUE LIMIT
met() { awk -v v="$1" -v l="$2" 'BEGIN { print v <= l ? "met" : "missed" }'; }

# row WHAT XBUILD OTHER RATIO LIMIT
row() {
  rows+=("$(printf '%s\t%s\t%s\t%s\t%s' "$@")")
  say "  $1: $2, $3, $4 ($5)"
}

# paired LIST OTHER_LIST: the median of the ratios of runs that followed each other. For long runs: a machine's speed drifts
# by more than what is asked for, and both of a pair have the same.
paired() {
  local -n ours_of=$1 theirs_of=$2
  local run ratios=()
  for run in "${!ours_of[@]}"; do
    ratios+=("$(calculate "${ours_of[run]} / ${theirs_of[run]}")")
  done
  median "${ratios[@]}"
}

# compare WHAT SECONDS OTHER OTHER_SECONDS [LIMIT AIM [RATIO]]: the limit is one of the ratio, which is that of the seconds
# where it is not given.
compare() {
  local ratio limit=-
  ratio=${7:-$(calculate "$2 / $4")}
  [ $# -lt 6 ] || limit="at most $5 ($(met "$ratio" "$5")), aim $6"
  row "$1" "$(human_seconds "$2")" "$3 $(human_seconds "$4")" "$(human_ratio "$ratio")" "$limit"
}

# absolute WHAT SECONDS LIMIT AIM [OTHER OTHER_SECONDS]: the limit is one of the seconds.
absolute() {
  local limit other=- ratio=-
  limit="at most $(human_seconds "$3") ($(met "$2" "$3")), aim $(human_seconds "$4")"
  if [ -n "${6:-}" ]; then
    other="$5 $(human_seconds "$6")"
    ratio=$(human_ratio "$(calculate "$2 / $6")")
  fi
  row "$1" "$(human_seconds "$2")" "$other" "$ratio" "$limit"
}

print_table() {
  local head machine
  head=$(printf 'what\txbuild\tcompared with\tratio\tlimit')
  machine="$(date -u +%F), $(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r), \
$(. /etc/os-release && echo "$PRETTY_NAME")$(versions)"
  if [ "$markdown" = yes ]; then
    printf 'Measured %s. Medians; smaller ratios are better.\n\n' "$machine"
    printf '%s\n' "$head" '---	---	---	---	---' "${rows[@]}" | sed 's/\t/ | /g; s/^/| /; s/$/ |/'
  else
    printf '%s\n\n' "$machine"
    printf '%s\n' "$head" "${rows[@]}" |
      awk -F '\t' '{ for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
        END { for (r = 1; r <= NR; r++) { line = ""; for (i = 1; i <= 5; i++) line = line sprintf("%-*s  ", width[i], cell[r, i]); sub(/ +$/, "", line); print line } }'
  fi
}
