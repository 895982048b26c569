//! Each rule on a file that breaks it, and on one that does not.

use super::*;

fn codes(text: &str) -> Vec<String> {
    let mut codes: Vec<String> =
        check_dockerfile(text, None, &|_| false).unwrap().into_iter().map(|finding| finding.code).collect();
    codes.retain(|code| code != "XB1001");
    codes.dedup();
    codes
}

const BASE: &str = "FROM debian:13\n";

#[test]
fn every_rule_finds_what_it_is_for_and_no_more() {
    let cases: [(&str, &str, &str); 41] = [
        ("DL3000", "WORKDIR app", "WORKDIR /app"),
        ("DL3001", "RUN a && top", "RUN a && stop"),
        ("DL3002", "USER 1\nUSER root", "USER root\nUSER 1"),
        ("DL3003", "RUN cd /a && make", "WORKDIR /a\nRUN make && (cd b; make)"),
        ("DL3004", "RUN sudo make", "RUN make"),
        (
            "DL3008",
            "RUN apt-get install -y --no-install-recommends a",
            "RUN apt-get install -y --no-install-recommends a=1 ./b.deb $C",
        ),
        ("DL3009", "RUN apt-get update", "RUN apt-get update && rm -rf /var/lib/apt/lists/*"),
        ("DL3009", "RUN apt-get update", "RUN --mount=type=cache,target=/var/lib/apt apt-get update"),
        ("DL3011", "EXPOSE 80 70000", "EXPOSE 80 8000-9000/udp $PORT"),
        ("DL3012", "HEALTHCHECK CMD a\nHEALTHCHECK CMD b", "HEALTHCHECK CMD a"),
        ("DL3013", "RUN pip install --no-cache-dir a", "RUN pip install --no-cache-dir a==1 -r b.txt"),
        ("DL3013", "RUN python3 -m pip install --no-cache-dir a", "RUN python3 -m venv x"),
        (
            "DL3014",
            "RUN apt-get install --no-install-recommends a=1",
            "RUN apt-get -qy install --no-install-recommends a=1",
        ),
        ("DL3015", "RUN apt-get install -y a=1", "RUN apt-get install -y --no-install-recommends a=1"),
        ("DL3016", "RUN npm install a", "RUN npm install @b/a@1 && npm install"),
        ("DL3018", "RUN apk add --no-cache a", "RUN apk add --no-cache a=1 b~1 --virtual .c"),
        ("DL3019", "RUN apk add a=1", "RUN apk add --no-cache a=1"),
        ("DL3020", "ADD a /a", "ADD a.tar.gz /a\nADD https://example.org/b /b"),
        ("DL3021", "COPY a b /c", "COPY a b /c/"),
        ("DL3022", "COPY --from=none /a /a", "COPY --from=example/none:1 /a /a"),
        ("DL3025", "CMD a b", "CMD [\"a\", \"b\"]"),
        ("DL3025", "ENTRYPOINT a", "ENTRYPOINT [\"a\"]"),
        ("DL3027", "RUN apt list", "RUN apt-cache policy"),
        ("DL3028", "RUN gem install a", "RUN gem install a:1"),
        ("DL3042", "RUN pip install a==1", "RUN --mount=type=cache,target=/root/.cache/pip pip install a==1"),
        ("DL3042", "RUN pip install a==1", "ENV PIP_NO_CACHE_DIR=1\nRUN pip install a==1"),
        ("DL3044", "ENV A=1 B=$A", "ENV A=1\nENV B=$A"),
        ("DL3045", "COPY a b", "WORKDIR /w\nCOPY a b"),
        ("DL3046", "RUN useradd -u 123456 a", "RUN useradd -l -u 123456 a"),
        ("DL3047", "RUN wget https://example.org/a", "RUN wget --progress=dot:giga https://example.org/a"),
        ("DL3048", "LABEL A=1", "LABEL org.example.a-b=1"),
        ("DL3059", "RUN a\nRUN b", "RUN a\nENV A=1\nRUN b"),
        ("DL3060", "RUN yarn install", "RUN yarn install && yarn cache clean"),
        ("DL4000", "MAINTAINER a", "LABEL maintainer=a"),
        ("DL4001", "RUN curl a && wget -q b", "RUN curl a && curl b"),
        ("DL4003", "CMD [\"a\"]\nCMD [\"b\"]", "CMD [\"a\"]"),
        ("DL4004", "ENTRYPOINT [\"a\"]\nENTRYPOINT [\"b\"]", "ENTRYPOINT [\"a\"]"),
        ("DL4005", "RUN ln -sf /bin/bash /bin/sh", "RUN ln -s /bin/sh /a"),
        ("DL4006", "RUN a | b", "SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN a | b"),
        ("DL4006", "RUN a | b", "RUN set -o pipefail && a | b || c"),
        ("DL1000", "NOTHING", "RUN a"),
    ];
    for (code, wrong, right) in cases {
        assert_eq!(codes(&format!("{BASE}{wrong}\n")), [code], "{wrong}");
        assert_eq!(codes(&format!("{BASE}{right}\n")), Vec::<String>::new(), "{right}");
    }
}

#[test]
fn bases_have_versions() {
    assert_eq!(codes("FROM debian\n"), ["DL3006"]);
    assert_eq!(codes("FROM localhost:5000/debian\n"), ["DL3006"]);
    assert_eq!(codes("FROM debian:latest\n"), ["DL3007"]);
    assert_eq!(codes("FROM --platform=linux/amd64 debian:13\n"), ["DL3029"]);
    assert_eq!(codes("FROM debian:13 AS a\nFROM debian:13 AS A\n"), ["DL3024"]);
    assert_eq!(codes("ARG B=x\nFROM $B\n"), Vec::<String>::new());
    assert_eq!(codes("FROM scratch AS a\nFROM --platform=$BUILDPLATFORM a\n"), Vec::<String>::new());
    let pinned =
        |text| check_dockerfile(text, None, &|_| false).unwrap().iter().any(|finding| finding.code == "XB1001");
    assert!(pinned("FROM debian:13\n") && !pinned(&format!("FROM debian@sha256:{}\n", "0".repeat(64))));
    // What the project makes itself has no version of somebody else's.
    let own = check_dockerfile("FROM me/router AS a\nFROM debian\n", None, &|name| name == "me/router").unwrap();
    assert!(own.iter().all(|finding| finding.line == 2), "{own:?}");
    assert_eq!(codes("FROM debian:13 AS a\nCOPY --from=a /x /x\n"), ["DL3023"]);
    // What a stage that is thrown away leaves behind is nobody's concern.
    assert_eq!(
        codes("FROM debian:13 AS a\nRUN apt-get update\nFROM scratch\nCOPY --from=a /x /x\n"),
        Vec::<String>::new()
    );
}

#[test]
fn comments_allow_what_a_rule_forbids() {
    let text = format!("{BASE}# hadolint ignore=DL3003, DL3004 # for a reason\nRUN cd /a && \\\n  sudo x\nRUN cd /b\n");
    assert_eq!(codes(&text), ["DL3003", "DL3059"]);
    assert_eq!(codes(&format!("# hadolint global ignore=DL3003\n{BASE}RUN cd /a\n")), Vec::<String>::new());
    assert_eq!(codes(&format!("{BASE}# xbuild ignore=DL3003\n\nRUN cd /a\n")), Vec::<String>::new());
}

#[test]
fn findings_have_places() {
    let findings = check_dockerfile("FROM debian:13\n\nCOPY a \\\n  b /c\n", None, &|_| false).unwrap();
    let places: Vec<_> = findings.iter().map(|finding| (finding.line, finding.column, finding.code.as_str())).collect();
    assert_eq!(places, [(1, 6, "XB1001"), (4, 5, "DL3021")]);
    let broken = check_dockerfile("FROM a:1\nRUM x\n", None, &|_| false).unwrap();
    assert_eq!((broken[0].line, broken[0].code.as_str(), broken[0].level), (2, "DL1000", Level::Error));
}

#[test]
fn shellcheck_looks_at_run_lines_and_scripts() {
    let Some(shellcheck) = Shellcheck::find() else { return };
    let codes = |text: &str| -> Vec<String> {
        let findings = check_dockerfile(text, Some(&shellcheck), &|_| false).unwrap();
        findings.into_iter().filter(|finding| finding.code.starts_with("SC")).map(|finding| finding.code).collect()
    };
    assert!(codes(&format!("{BASE}RUN for f in $(ls *.x); do echo $f; done\n")).contains(&"SC2045".to_owned()));
    assert!(codes(&format!("{BASE}RUN [[ a == \"$HOME\" ]]\n")).contains(&"SC3010".to_owned()));
    assert!(codes(&format!("{BASE}SHELL [\"/bin/bash\", \"-c\"]\nRUN [[ a == \"$HOME\" ]]\n")).is_empty());
    assert!(codes(&format!("{BASE}ENV A=1\nRUN echo \"$A\"\n")).is_empty());
    assert!(
        codes(&format!("{BASE}# hadolint ignore=SC2086\nRUN echo $A; echo $HOME\n"))
            .iter()
            .all(|code| code != "SC2086")
    );
    let script = check_script("#!/bin/sh\necho $1\n", &shellcheck).unwrap();
    assert_eq!((script[0].line, script[0].column, script[0].code.as_str()), (2, 6, "SC2086"));
}
