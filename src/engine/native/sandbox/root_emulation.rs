//! Lets programs believe that they are root where only one id exists.
//!
//! Package scripts change owners and drop privileges as a matter of course. With a single-id map the kernel refuses, so
//! a seccomp filter answers success to those calls without making them. Files then belong to the caller, which is
//! what the records of an image say of them anyway.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::domain::{Error, Result, ResultExt};

/// Installs the filter for this process and all that it starts.
pub(super) fn install() -> Result<()> {
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| Error::environment(format!("no root emulation on {}", std::env::consts::ARCH)))
        .map_err(|error| error.hint("give your user a range in /etc/subuid and /etc/subgid"))?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in ownership_calls() {
        rules.insert(call, Vec::new());
    }
    for (call, argument) in device_calls() {
        rules.insert(call, vec![device(argument, libc::S_IFCHR)?, device(argument, libc::S_IFBLK)?]);
    }
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(0), arch)
        .or_bug(|| "cannot make the root emulation filter".into())?;
    let program: BpfProgram = filter.try_into().or_bug(|| "cannot compile the root emulation filter".into())?;
    seccompiler::apply_filter(&program).or_environment(|| "cannot install the root emulation filter".into())
}

/// Making a device whose mode argument stands at `argument`.
fn device(argument: u8, kind: u32) -> Result<SeccompRule> {
    let operator = SeccompCmpOp::MaskedEq(u64::from(libc::S_IFMT));
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, u64::from(kind))
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .or_bug(|| "cannot make a root emulation rule".into())
}

fn ownership_calls() -> Vec<i64> {
    let calls = vec![
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        libc::SYS_setgroups,
        libc::SYS_capset,
    ];
    #[cfg(target_arch = "x86_64")]
    let calls = [calls, vec![libc::SYS_chown, libc::SYS_lchown]].concat();
    calls
}

fn device_calls() -> Vec<(i64, u8)> {
    let calls = vec![(libc::SYS_mknodat, 2)];
    #[cfg(target_arch = "x86_64")]
    let calls = [calls, vec![(libc::SYS_mknod, 1)]].concat();
    calls
}
