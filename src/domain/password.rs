//! Addresses as one may tell them to everybody.

/// An address without the user and the password in it: `https://host/path` for `https://user:password@host/path`. A user
/// alone goes too, for tokens stand there; of ssh it stays, without which nobody gets in.
pub fn without_password(address: &str) -> String {
    let mut told = String::with_capacity(address.len());
    let mut rest = address;
    while let Some((scheme, after)) = rest.split_once("://") {
        // As many slashes as there are make no other address.
        let authority = after.trim_start_matches(['/', '\\']);
        let authority = authority.split(['/', '\\', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let user = &authority[..authority.len() - host.len()];
        let start = after.len() - after.trim_start_matches(['/', '\\']).len();
        told += scheme;
        told += "://";
        told += &after[..start];
        if scheme.ends_with("ssh") && !user.contains(':') {
            told += user;
        }
        rest = &after[start + user.len()..];
    }
    told + rest
}

/// A text without the users and passwords of the addresses in it.
pub fn without_passwords(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(without_password).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_come_in_is_nobody_s_business() {
        for (address, told) in [
            ("https://me:pw@host/debian", "https://host/debian"),
            ("https://token@host:8443/x?a=b@c#d@e", "https://host:8443/x?a=b@c#d@e"),
            ("https://me:p@w:d'x y@host", "https://host"),
            ("https:///me:pw@host/x", "https:///host/x"),
            ("https://me:pw@host?x", "https://host?x"),
            ("http://a:b@c,http://d:e@f", "http://c,http://f"),
            ("ssh://git@host/x.git", "ssh://git@host/x.git"),
            ("ssh://git:pw@host/x.git", "ssh://host/x.git"),
            ("https://host/@scope/a:b@1.tgz", "https://host/@scope/a:b@1.tgz"),
            ("copy:/srv/debian", "copy:/srv/debian"),
            ("pool/main/a_1.tar.xz", "pool/main/a_1.tar.xz"),
            ("git@host:x.git", "git@host:x.git"),
            ("://", "://"),
            ("", ""),
        ] {
            assert_eq!(without_password(address), told, "{address}");
        }
        assert_eq!(
            without_passwords("E: 'http://me:pw@a/x' and\n http://you:pw@b  gone; me@host knows\n"),
            "E: 'http://a/x' and\n http://b  gone; me@host knows\n"
        );
    }
}
