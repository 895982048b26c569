//! Specs on an image made by hand: each test passes and fails.

use std::io::Write;

use super::*;
use crate::domain::Arch;
use crate::image::{Descriptor, Empty, ImageConfig, Layout, Manifest, media_type};

fn verdicts(spec: &str) -> Result<Vec<Verdict>> {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::open(&dir.path().join("layout")).unwrap();
    let mut builder = tar::Builder::new(layout.blob_writer().unwrap());
    for (name, mode, text) in [("etc/passwd", 0o644, "root:x:0\nuser:x:1\n"), ("bin/program", 0o4750, "x")] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_uid(5);
        header.set_gid(6);
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "link", "/etc").unwrap();
    let mut writer = builder.into_inner().unwrap();
    writer.flush().unwrap();
    let (digest, size) = writer.complete().unwrap();
    let mut config = ImageConfig::scratch(Arch::S390x);
    config.config.env = Some(vec!["PATH=/bin".into(), "VERSION=1.2".into()]);
    config.config.labels = Some([("a.b".to_owned(), "c".to_owned())].into());
    config.config.exposed_ports = Some([("80/tcp".to_owned(), Empty {})].into());
    config.config.volumes = Some([("/data".to_owned(), Empty {})].into());
    config.config.cmd = Some(vec!["a".into(), "b".into()]);
    config.config.working_dir = "/w".into();
    config.config.user = "5".into();
    let config = layout.write_json(media_type::CONFIG, &config).unwrap();
    let layers = vec![Descriptor::new(media_type::LAYER, digest, size)];
    let manifest = layout.write_json(media_type::MANIFEST, &Manifest::new(config, layers)).unwrap();
    let image = MergedImage::read(&layout, &manifest, dir.path()).unwrap();
    check(&StructureSpec::parse("spec.yaml", &format!("schemaVersion: 2.0.0\n{spec}"))?, &image)
}

/// How many things are wrong, over all tests.
fn wrong(spec: &str) -> usize {
    verdicts(spec).unwrap().iter().map(|verdict| verdict.failures.len()).sum()
}

#[test]
fn files_are_there_as_the_spec_says() {
    let existence = |test: &str| wrong(&format!("fileExistenceTests: [{{name: n, {test}}}]"));
    for right in [
        "path: /etc/passwd",
        "path: /link/passwd",
        "path: /none, shouldExist: false",
        "path: /etc/passwd, permissions: '-rw-r--r--', uid: 5, gid: 6",
        "path: /bin/program, permissions: urwxr-x---, isExecutableBy: owner",
        "path: /bin/program, isExecutableBy: group",
        "path: /bin, permissions: drwxr-xr-x",
        "path: /link, permissions: Lrwxrwxrwx",
    ] {
        assert_eq!(existence(right), 0, "{right}");
    }
    for false_ in [
        "path: /none",
        "path: /etc/passwd, shouldExist: false",
        "path: /etc/passwd, permissions: '-rw-------'",
        "path: /etc/passwd, uid: 0",
        "path: /etc/passwd, gid: 0",
        "path: /bin/program, isExecutableBy: other",
        "path: /etc/passwd, isExecutableBy: any",
    ] {
        assert_eq!(existence(false_), 1, "{false_}");
    }
}

#[test]
fn contents_match_or_do_not() {
    let content = |test: &str| wrong(&format!("fileContentTests: [{{name: n, {test}}}]"));
    assert_eq!(
        content("path: /etc/passwd, expectedContents: ['(?m)^user:.*1$'], excludedContents: [nobody, '^user']"),
        0
    );
    assert_eq!(content("path: /etc/passwd, expectedContents: [nobody], excludedContents: [root]"), 2);
    assert_eq!(content("path: /etc, expectedContents: [x]"), 1);
    assert!(verdicts("fileContentTests: [{name: n, path: /etc/passwd, expectedContents: ['(']}]").is_err());
}

#[test]
fn the_configuration_is_as_the_spec_says() {
    let right = "metadataTest:
  envVars: [{key: VERSION, value: '1.2'}, {key: VERSION, value: '^1[.]', isRegex: true}]
  unboundEnvVars: [HOME]
  labels: [{key: a.b, value: c}]
  exposedPorts: ['80', 80/tcp]
  unexposedPorts: [80/udp]
  volumes: [/data]
  unmountedVolumes: [/other]
  entrypoint: []
  cmd: [a, b]
  workdir: /w
  user: '5'
";
    assert_eq!(wrong(right), 0);
    let other = "metadataTest:
  env: [{key: VERSION, value: '1.3'}, {key: NONE, value: ''}]
  unboundEnvVars: [PATH]
  labels: [{key: a.b, value: d}]
  exposedPorts: ['81']
  unexposedPorts: ['80']
  volumes: [/other]
  unmountedVolumes: [/data]
  entrypoint: [x]
  cmd: []
  workdir: /
  user: ''
";
    assert_eq!(wrong(other), 12);
}

#[test]
fn what_cannot_be_tested_is_an_error() {
    for spec in [
        "commandTest: []",
        "commandTests: [{name: n, command: ''}]",
        "commandTests: [{name: n, command: c, setup: [[]]}]",
        "containerRunOptions: {privileged: true}",
        "containerRunOptions: {bindMounts: [/a:/b]}",
        "licenseTests: [{debian: true}]",
    ] {
        assert!(verdicts(spec).is_err(), "{spec}");
    }
    for spec in [
        "commandTests: [{name: n, command: c, excludedError: ['(']}]",
        "fileContentTests: [{name: n, path: /p, expectedContents: ['(']}]",
        "metadataTest: {labels: [{key: k, value: '(', isRegex: true}]}",
    ] {
        let spec = StructureSpec::parse("spec.yaml", &format!("schemaVersion: 2.0.0\n{spec}")).unwrap();
        assert!(validate(&spec).is_err(), "{spec:?}");
    }
    assert!(StructureSpec::parse("spec.yaml", "schemaVersion: 1.0.0\n").is_err());
}
