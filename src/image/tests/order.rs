//! Orders to other builders.

use super::*;

fn small() -> Case {
    Case::new().file("a", "a", 0o755).file("b c", "bc", 0o644).file("d/e/f", "f", 0o600).file("other", "", 0o644)
}

fn ordered(case: &Case, text: &str, base: Option<&BaseImage>) -> Result<Order> {
    case.with(text, base, &|_| Ok(()), |request, services| order(text, true, request, services))
}

/// A base with this ONBUILD, or without one.
fn base(case: &Case, trigger: &str) -> BaseImage {
    let built = case.build(&format!("FROM scratch\nCOPY a /\n{trigger}")).unwrap();
    BaseImage::read(&case.layout(), built.manifest, Arch::Arm).unwrap()
}

/// Names of the archive that a builder gets.
fn packed(case: &Case, order: &Order) -> Vec<String> {
    let dockerfile = case.dir.path().join("ordered");
    fs::write(&dockerfile, order.dockerfile(&|_| "base".into())).unwrap();
    let mut bytes = Vec::new();
    order.pack(&dockerfile, &mut bytes).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let name = |entry: tar::Entry<'_, &[u8]>| entry.path().unwrap().display().to_string();
    archive.entries().unwrap().map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn a_builder_reads_another_dockerfile_beside_the_files_that_it_takes() {
    let case = small().link("link", "d/e");
    let text = "#syntax=x/y\nARG B=some\nFROM ${B} AS one\nFROM other\nFROM --platform=$TARGETPLATFORM $B:1\nARG TARGETARCH\n\
                COPY [\"b c\", \"/x y\"]\nADD a https://h/x /y/\nCOPY --parents ./d/e/* /p/\nCOPY link/f /l\n\
                COPY --from=one a /\nCOPY --from=0 a /\nCOPY --from=img/i:2 --chown=1 a /\n\
                RUN --mount=target=/m --mount=type=bind,src=d,target=/n --mount=from=img,target=/o true\n";
    let order = ordered(&case, text, Some(&base(&case, ""))).unwrap();
    assert_eq!(
        order.dockerfile(&|_| "base".into()),
        "ARG B=some\nFROM base AS one\nFROM scratch\nFROM --platform=linux/arm/v7 base\nARG TARGETARCH\n\
         COPY [\"context/b c\",\"/x y\"]\nADD context/a https://h/x /y/\nCOPY --parents context/././d/e/* /p/\n\
         COPY context/link/f /l\nCOPY --from=one a /\nCOPY --from=0 a /\nCOPY --from=base --chown=1 a /\n\
         RUN --mount=source=context,target=/m --mount=type=bind,src=context/d,target=/n --mount=from=base,target=/o true\n"
    );
    assert_eq!(order.args, BTreeMap::from([("TARGETARCH".to_owned(), "arm".to_owned())]));
    assert!(!order.lasting, "what is downloaded may change");
    assert_eq!(order.download, Some(Span { line: 8, column: 7 }));
    assert_eq!(order.bases.len(), 1);
    let demands: Vec<(usize, &str)> =
        order.demands.iter().map(|demand| (demand.span.line, demand.what.as_str())).collect();
    assert_eq!(demands[0], (9, "COPY --parents"));
    assert_eq!(demands[1..], [(14, "RUN --mount"); 3]);
    let names = ["Dockerfile", "context/", "context/a", "context/b c", "context/d/", "context/d/e/", "context/d/e/f"];
    assert_eq!(packed(&case, &order), [&names[..], &["context/link", "context/other"]].concat());
}

#[test]
fn only_what_is_taken_decides() {
    let key = |case: &Case, text: &str| ordered(case, text, None).unwrap().key;
    let text = "FROM scratch\nCOPY a d /x/\n";
    let first = key(&small(), text);
    assert_eq!(key(&small().file("other", "changed", 0o644), text), first);
    for other in [small().file("a", "changed", 0o755), small().file("d/new", "", 0o644), small().file("a", "a", 0o644)]
    {
        assert_ne!(key(&other, text), first);
    }
    assert_ne!(key(&small(), "FROM scratch\nCOPY a d /x/\nUSER 7\n"), first);
    assert_eq!(
        packed(&small(), &ordered(&small(), "FROM scratch\nUSER 7\n", None).unwrap()),
        ["Dockerfile", "context/"]
    );
}

#[test]
fn what_cannot_be_ordered_has_a_place() {
    let case = small().link("out", "../../x");
    for (trigger, text, words) in [
        ("", "FROM b\nRUN --mount=type=secret,id=x true\n", "2:13: an engine's builder is given no secrets"),
        ("", "FROM b\nRUN --mount=type=ssh true\n", "2:13: an engine's builder is given no SSH agents"),
        ("", "FROM b\nADD git@h:x.git /x\n", "2:5: an engine's builder has no SSH agent"),
        ("", "FROM b\nCOPY --from=\"img\" a /\n", "2:13: an engine's builder needs something else here"),
        ("", "FROM b\nCOPY none /\n", "2:1: 'none' is not in the build context"),
        ("", "FROM b\nCOPY out /\n", "2:1: 'out' is a symbolic link to '../../x', which is outside"),
        ("ONBUILD COPY a /b\n", "FROM b\n", "1:1: an ONBUILD takes files from the context"),
        ("ONBUILD COPY --from=img a /b\n", "FROM b\n", "1:1: an ONBUILD takes files from the image img"),
    ] {
        let error = ordered(&case, text, Some(&base(&case, trigger))).unwrap_err();
        assert!(error.to_string().starts_with(words), "{text}: {error}");
        assert_eq!(error.kind(), crate::domain::ErrorKind::Usage, "{text}");
    }
    assert!(ordered(&case, "FROM b\nRUN true\n", Some(&base(&case, "ONBUILD RUN true\n"))).is_ok());
}
