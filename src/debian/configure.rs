//! The script that makes unpacked packages installed ones, for a sandbox whose root is the unpacked tree.

use super::Unpacked;

/// The text of a `/bin/sh` script that configures every unpacked package: run it as the root's root user, with `/proc`
/// and `/dev` mounted, over the layer and those below it.
///
/// `unpacked` is in apt's order of installation. `epoch` is the time, in seconds since 1970, that goes into files with
/// a date in them. `preinst` scripts run now although the files are there: base-passwd's makes the first users, others find
/// nothing to do. dpkg then sorts the packages by what they depend on.
pub fn configure_script(unpacked: &[Unpacked], epoch: i64) -> String {
    let mut script = format!(
        r#"#!/bin/sh
set -eu
unset DPKG_ROOT DPKG_ADMINDIR LANG LANGUAGE
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C HOME=/root TMPDIR=/tmp DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
export DEBCONF_NOWARNINGS=yes SOURCE_DATE_EPOCH={epoch}
umask 022
cd /
# No daemon starts.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
preinst() {{
    DPKG_MAINTSCRIPT_PACKAGE=$1 DPKG_MAINTSCRIPT_ARCH=$2 DPKG_MAINTSCRIPT_NAME=preinst \
        DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= DPKG_FORCE= \
        "/var/lib/dpkg/info/$3.preinst" install < /dev/null
}}
"#
    );
    let mut preinsts: Vec<&Unpacked> =
        unpacked.iter().filter(|package| package.control.files.contains_key("preinst")).collect();
    // Others ask for users, by way of debconf.
    preinsts.sort_by_key(|package| package.package.name.as_str() != "base-passwd");
    for package in preinsts {
        // All three are of Debian's own alphabet, which has nothing that a shell would read.
        let name = package.control.database_name(&package.package);
        script += &format!("preinst {} {} {name}\n", package.package.name, package.package.architecture);
    }
    script += "dpkg --force-unsafe-io --force-confold --configure -a < /dev/null\nrm -f /usr/sbin/policy-rc.d\n";
    script
}
