//! The control group of a step, where control groups of version 2 are delegated. cgroups(7), kernel cgroup-v2.rst.
use super::fault::{error_name, Called};
use super::protocol::ControlGroup;
use crate::failure::Result;
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the kernel may take to end the last processes of a group.
const PATIENCE: Duration = Duration::from_secs(5);

/// A group made for one step.
pub struct Group {
    folder: PathBuf,
    /// Open for writing: whoever writes to it goes into the group.
    members: File,
}

impl Group {
    /// Makes the group that a plan asks for. Where that is not possible a sentence says so, and the step runs without.
    pub fn make(wanted: Option<&ControlGroup>, mut warn: impl FnMut(String) -> Result<()>) -> Result<Option<Group>> {
        let Some(wanted) = wanted else { return Ok(None) };
        match Group::make_below(wanted) {
            Ok((group, problems)) => {
                problems.into_iter().try_for_each(warn)?;
                Ok(Some(group))
            }
            Err(reason) => {
                warn(format!("the limits of memory and processors are not set: {reason}"))?;
                Ok(None)
            }
        }
    }

    fn make_below(wanted: &ControlGroup) -> std::result::Result<(Group, Vec<String>), String> {
        let read = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
        let mount = find_mount(&read("/proc/self/mountinfo")?)
            .ok_or("there are no control groups of version 2 on this machine")?;
        let own = match &wanted.parent {
            Some(parent) => parent.clone(),
            None => own_group(&read("/proc/self/cgroup")?).ok_or("this process is in no control group of version 2")?,
        };
        let parent = Path::new(&mount).join(own.trim_start_matches('/'));
        let folder = parent.join(format!("kbuild-{}", std::process::id()));
        Group::make_at(&parent, folder, wanted)
    }

    fn make_at(
        parent: &Path,
        folder: PathBuf,
        wanted: &ControlGroup,
    ) -> std::result::Result<(Group, Vec<String>), String> {
        let settings = settings(wanted);
        let needed: Vec<&str> = settings.iter().filter_map(|(file, _)| file.split('.').next()).collect();
        let has = std::fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
        if let Some(missing) = needed.iter().find(|controller| !has.split_whitespace().any(|one| one == **controller)) {
            return Err(format!("the controller {missing} is not delegated to {}", parent.display()));
        }
        let passed = std::fs::read_to_string(parent.join("cgroup.subtree_control")).unwrap_or_default();
        for controller in needed.iter().filter(|controller| !passed.split_whitespace().any(|one| one == **controller)) {
            std::fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}")).map_err(|error| {
                format!("{} does not pass on the controller {controller}: {error}", parent.display())
            })?;
        }
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut problems = Vec::new();
        for (file, value) in settings {
            if let Err(error) = std::fs::write(folder.join(file), &value) {
                problems.push(format!("the limit {file} of {value} is not set: {error}"));
            }
        }
        match File::options().write(true).open(folder.join("cgroup.procs")) {
            Ok(members) => Ok((Group { folder, members }, problems)),
            Err(error) => {
                let reason = format!("{}: {error}", folder.display());
                match std::fs::remove_dir(&folder) {
                    Ok(()) => Err(reason),
                    Err(error) => Err(format!("{reason}; and it stays there: {error}")),
                }
            }
        }
    }

    /// Takes this process into the group, and with it all that it will start.
    pub fn enter(&self) -> Result<()> {
        (&self.members).write_all(b"0").called(format_args!("write({}/cgroup.procs)", self.folder.display()))
    }

    /// Ends what is left of the group and removes it. Gives whether the limit of memory has ended a process of it.
    pub fn end(self) -> Result<bool> {
        let events = std::fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        // Linux before 5.14 cannot do that; the step's processes have been ended one by one anyway.
        let killed = std::fs::write(self.folder.join("cgroup.kill"), "1");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match rustix::fs::rmdir(&self.folder) {
                Err(Errno::BUSY) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => {
                    let how = if killed.is_ok() { "" } else { " (cgroup.kill is not there)" };
                    let call = format!("rmdir({}){how}", self.folder.display());
                    return Err(crate::failure::Failure::new(
                        crate::failure::Code::Sandbox,
                        format!("{call}: {}", error_name(error)),
                    ));
                }
                Ok(()) => return Ok(out_of_memory(&events)),
            }
        }
    }
}

/// Where control groups of version 2 are mounted, by the text of mountinfo, proc_pid_mountinfo(5).
fn find_mount(mounts: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4).map(str::to_owned))?
    })
}

fn own_group(groups: &str) -> Option<String> {
    groups.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

fn out_of_memory(events: &str) -> bool {
    let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    kills.is_some_and(|number| number != "0")
}

/// The files of a group and what is written to them, as runc derives it from Docker's options.
fn settings(wanted: &ControlGroup) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    let bytes = |value: i64| if value < 0 { "max".to_owned() } else { value.to_string() };
    if let Some(memory) = wanted.memory {
        settings.push(("memory.max", bytes(memory)));
    }
    match (wanted.memory_swap, wanted.memory) {
        (Some(both), _) if both < 0 => settings.push(("memory.swap.max", bytes(both))),
        (Some(both), Some(memory)) => settings.push(("memory.swap.max", bytes((both - memory).max(0)))),
        // As much again as of memory.
        (None, Some(memory)) if memory > 0 => settings.push(("memory.swap.max", bytes(memory))),
        _ => {}
    }
    if wanted.cpu_quota.is_some() || wanted.cpu_period.is_some() {
        let quota = wanted.cpu_quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
        settings.push(("cpu.max", format!("{quota} {}", wanted.cpu_period.unwrap_or(100_000))));
    }
    if let Some(shares) = wanted.cpu_shares.filter(|shares| *shares > 0) {
        // 2..=262144 becomes 1..=10000.
        let weight = 1 + ((shares.clamp(2, 262_144) - 2) * 9999) / 262_142;
        settings.push(("cpu.weight", weight.to_string()));
    }
    for (file, value) in [("cpuset.cpus", &wanted.cpuset_cpus), ("cpuset.mems", &wanted.cpuset_mems)] {
        if let Some(value) = value {
            settings.push((file, value.clone()));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> ControlGroup {
        ControlGroup {
            parent: None,
            memory: None,
            memory_swap: None,
            cpu_period: None,
            cpu_quota: None,
            cpu_shares: None,
            cpuset_cpus: None,
            cpuset_mems: None,
        }
    }

    #[test]
    fn options_become_files() {
        let wanted = ControlGroup {
            memory: Some(1 << 20),
            memory_swap: Some(3 << 20),
            cpu_quota: Some(50_000),
            cpu_shares: Some(1024),
            cpuset_cpus: Some("0-1".to_owned()),
            ..group()
        };
        let files: Vec<String> = settings(&wanted).into_iter().map(|(file, value)| format!("{file}={value}")).collect();
        let expected = [
            "memory.max=1048576",
            "memory.swap.max=2097152",
            "cpu.max=50000 100000",
            "cpu.weight=39",
            "cpuset.cpus=0-1",
        ];
        assert_eq!(files, expected);
        let all = settings(&ControlGroup { memory: Some(5), memory_swap: Some(-1), ..group() });
        assert_eq!(all, [("memory.max", "5".to_owned()), ("memory.swap.max", "max".to_owned())]);
    }

    #[test]
    fn tables_of_the_kernel_are_read() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n38 31 0:38 / /sys/fs/cgroup/u rw shared:3 - cgroup2 c rw\n";
        assert_eq!(find_mount(mounts).as_deref(), Some("/sys/fs/cgroup/u"));
        assert_eq!(find_mount("31 23 0:28 / /s rw - cgroup cgroup rw,cpu\n"), None);
        assert_eq!(own_group("9:cpu:/x\n0::/a/b\n").as_deref(), Some("/a/b"));
        assert!(out_of_memory("low 0\noom 1\noom_kill 2\n"));
        assert!(!out_of_memory("low 0\noom_kill 0\n") && !out_of_memory(""));
    }

    #[test]
    fn a_controller_that_is_not_delegated_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
        let wanted = ControlGroup { memory: Some(1), ..group() };
        let reason = Group::make_at(folder.path(), folder.path().join("step"), &wanted).err().unwrap();
        assert!(reason.starts_with("the controller memory is not delegated to "), "{reason}");
        assert!(!folder.path().join("step").exists());
    }
}
