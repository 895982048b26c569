//! The machine's proxies, for commands that may use the network. No result depends on them, so no key does.

use std::collections::BTreeMap;

/// As Docker hands them into builds, each in both cases.
const NAMES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"];

/// Those that xbuild's own environment has.
pub(super) fn proxies() -> BTreeMap<String, String> {
    let both = NAMES.into_iter().flat_map(|name| [name.to_owned(), name.to_uppercase()]);
    both.filter_map(|name| Some((name.clone(), std::env::var(&name).ok().filter(|value| !value.is_empty())?))).collect()
}
