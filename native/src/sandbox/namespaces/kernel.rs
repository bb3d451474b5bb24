//! What is of the kernel and not of the image: /proc, /dev and /sys, as Docker gives them.
use super::mounts::Root;
use super::staging::by_descriptor;
use crate::failure::Result;
use crate::sandbox::fault::Called;
use crate::sandbox::place::{make_file, Kind};
use crate::sandbox::protocol::{Network, Security};
use rustix::fs::{mkdirat, openat, symlinkat, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{mount, mount_bind, mount_bind_recursive, MountFlags};
use std::ffi::CString;
use std::os::fd::AsFd;

/// The device nodes of /dev, bound from the machine.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Hidden: runtime-spec config-linux.md, "Masked Paths", with the list of Docker.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A new /proc, of this pid namespace. Where that is not allowed because the one outside is covered in places, it is
/// the one outside.
pub fn mount_proc(root: &Root) -> Result<()> {
    let target = root.point("/proc", Kind::Folder)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match mount("proc", by_descriptor(&target), "proc", flags, None) {
        Err(Errno::PERM) => mount_bind_recursive("/proc", by_descriptor(&target)).called("mount(/proc of the machine)"),
        done => done.called("mount(proc)"),
    }
}

pub fn mount_dev(root: &Root, shared_memory: u64, group: Option<u32>) -> Result<()> {
    let target = root.point("/dev", Kind::Folder)?;
    let flags = MountFlags::NOSUID | MountFlags::STRICTATIME;
    mount("tmpfs", by_descriptor(&target), "tmpfs", flags, Some(c"mode=0755,size=65536k")).called("mount(/dev)")?;
    let folder = root.point("/dev", Kind::Folder)?;
    for name in DEVICES {
        make_file(folder.as_fd(), name.as_bytes()).called(format_args!("open(/dev/{name})"))?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let node = openat(&folder, name, flags, Mode::empty()).called(format_args!("open(/dev/{name})"))?;
        mount_bind(format!("/dev/{name}"), by_descriptor(&node)).called(format_args!("mount(/dev/{name})"))?;
    }
    for (name, to) in LINKS {
        symlinkat(to, &folder, name).called(format_args!("symlink(/dev/{name})"))?;
    }
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let terminals = match group {
        Some(gid) => format!("newinstance,ptmxmode=0666,mode=0620,gid={gid}"),
        None => "newinstance,ptmxmode=0666,mode=0620".to_owned(),
    };
    let shared = format!("mode=1777,size={shared_memory}");
    for (name, kind, flags, options) in [
        ("pts", "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, terminals.as_str()),
        ("shm", "tmpfs", plain, shared.as_str()),
        ("mqueue", "mqueue", plain, ""),
    ] {
        mkdirat(&folder, name, Mode::from_raw_mode(0o755)).called(format_args!("mkdir(/dev/{name})"))?;
        let point = openat(&folder, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).called("open")?;
        let options = CString::new(options).map_err(|_| Errno::INVAL).called("mount")?;
        mount(kind, by_descriptor(&point), kind, flags, Some(options.as_c_str()))
            .called(format_args!("mount(/dev/{name})"))?;
    }
    Ok(())
}

/// /sys of the new network namespace, or that of the machine. Read-only, unless the plan is `insecure`.
pub fn mount_sys(root: &Root, network: Network, security: Security) -> Result<()> {
    let target = root.point("/sys", Kind::Folder)?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let is_new = match network {
        // Only the owner of a network namespace may mount the /sys that shows it.
        Network::Host => false,
        Network::None => match mount("sysfs", by_descriptor(&target), "sysfs", plain, None) {
            Err(Errno::PERM) => false,
            done => done.called("mount(sysfs)").map(|()| true)?,
        },
    };
    if !is_new {
        match mount_bind_recursive("/sys", by_descriptor(&target)) {
            // A machine without it has nothing to show.
            Err(Errno::NOENT) => return Ok(()),
            done => done.called("mount(/sys of the machine)")?,
        }
    }
    mount_groups(root, plain)?;
    match security {
        Security::Default => root.restrict("/sys"),
        Security::Insecure => Ok(()),
    }
}

/// The control groups below the step's own; or none, where they cannot be told from those of the machine.
fn mount_groups(root: &Root, flags: MountFlags) -> Result<()> {
    let Some(target) = root.existing("/sys/fs/cgroup")? else { return Ok(()) };
    if mount("cgroup2", by_descriptor(&target), "cgroup2", flags, None).is_ok() {
        return Ok(());
    }
    let flags = flags | MountFlags::RDONLY;
    mount("tmpfs", by_descriptor(&target), "tmpfs", flags, Some(c"mode=0755,size=0")).called("mount(/sys/fs/cgroup)")
}

/// Hides what tells of the machine, and keeps what would change it from being written.
pub fn protect(root: &Root) -> Result<()> {
    for path in READ_ONLY {
        if let Some(target) = root.existing(path)? {
            let itself = by_descriptor(&target);
            mount_bind_recursive(&itself, &itself).called(format_args!("mount({path})"))?;
            root.restrict(path)?;
        }
    }
    for path in MASKED {
        let Some(target) = root.existing(path)? else { continue };
        let place = by_descriptor(&target);
        match Kind::of(&target).called(format_args!("stat({path})"))? {
            Kind::Folder => mount("tmpfs", place, "tmpfs", MountFlags::RDONLY, Some(c"mode=0755,size=0")),
            Kind::File => mount_bind("/dev/null", place),
        }
        .called(format_args!("mount over {path}"))?;
    }
    Ok(())
}
