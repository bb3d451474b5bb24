//! Files that stand for /proc and /sys where these cannot be mounted: what programs ask most often of the machine, and
//! nothing that tells of its other processes.
use crate::failure::Result;
use crate::sandbox::fault::Called;
use crate::sandbox::protocol::{Network, SandboxMount, SandboxPlan};
use std::fs;
use std::path::Path;

/// Copied from the machine.
const COPIED: [&str; 20] = [
    "cmdline",
    "cpuinfo",
    "filesystems",
    "loadavg",
    "meminfo",
    "stat",
    "uptime",
    "version",
    "vmstat",
    "sys/fs/file-max",
    "sys/fs/nr_open",
    "sys/kernel/cap_last_cap",
    "sys/kernel/osrelease",
    "sys/kernel/ostype",
    "sys/kernel/pid_max",
    "sys/kernel/random/boot_id",
    "sys/kernel/threads-max",
    "sys/kernel/version",
    "sys/vm/max_map_count",
    "sys/vm/overcommit_memory",
];

/// Longer ones are cut: none of them is.
const LONGEST: usize = 4 << 20;

/// Fills an empty folder that becomes /proc.
pub fn fill_proc(folder: &Path, plan: &SandboxPlan) -> Result<()> {
    for name in COPIED {
        // What this machine does not show, the step does not see either.
        if let Ok(mut content) = fs::read(Path::new("/proc").join(name)) {
            content.truncate(LONGEST);
            plant(folder, name, &content)?;
        }
    }
    plant(folder, "sys/kernel/hostname", format!("{}\n", plan.hostname).as_bytes())?;
    plant(folder, "sys/kernel/domainname", b"(none)\n")?;
    plant(folder, "mounts", mounts(plan).as_bytes())?;
    Ok(())
}

/// Fills an empty folder that becomes /sys.
pub fn fill_sys(folder: &Path, network: Network) -> Result<()> {
    let mut interfaces = vec!["lo".to_owned()];
    if network == Network::Host {
        if let Ok(found) = fs::read_dir("/sys/class/net") {
            let names = found.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            interfaces.extend(names.filter(|name| name != "lo"));
        }
    }
    for name in interfaces {
        fs::create_dir_all(folder.join("class/net").join(name)).called("mkdir(/sys/class/net)")?;
    }
    for name in ["online", "possible", "present"] {
        let name = format!("devices/system/cpu/{name}");
        if let Ok(content) = fs::read(Path::new("/sys").join(&name)) {
            plant(folder, &name, &content)?;
        }
    }
    fs::create_dir_all(folder.join("fs/cgroup")).called("mkdir(/sys/fs/cgroup)")
}

fn plant(folder: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).called(format_args!("mkdir(for {name})"))?;
    }
    fs::write(&path, content).called(format_args!("open({name})"))?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    fs::set_permissions(&path, permissions).called(format_args!("chmod({name})"))
}

/// What /proc/mounts says where there are mounts.
fn mounts(plan: &SandboxPlan) -> String {
    let mut text = "\
overlay / overlay rw,relatime 0 0
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
tmpfs /dev tmpfs rw,nosuid,size=65536k,mode=755 0 0
devpts /dev/pts devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666 0 0
shm /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime 0 0
sysfs /sys sysfs ro,nosuid,nodev,noexec,relatime 0 0
"
    .to_owned();
    for mount in &plan.mounts {
        let (kind, target, is_read_only) = match mount {
            SandboxMount::Bind { target, read_only, .. } => ("ext4", target, *read_only),
            SandboxMount::View { target, writable, .. } => ("overlay", target, !writable),
            SandboxMount::Tmpfs { target, .. } => ("tmpfs", target, false),
            SandboxMount::File { target, read_only, .. } => ("tmpfs", target, *read_only),
            SandboxMount::Socket { target, .. } => ("tmpfs", target, false),
        };
        let access = if is_read_only { "ro" } else { "rw" };
        text.push_str(&format!("{kind} {} {kind} {access},relatime 0 0\n", escaped(target)));
    }
    text
}

/// As the kernel writes paths there, proc_pid_mounts(5), getmntent(3).
fn escaped(path: &str) -> String {
    path.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011").replace('\n', "\\012")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_by_the_kernel() {
        assert_eq!(escaped("/a b\\c\n"), "/a\\040b\\134c\\012");
    }
}
