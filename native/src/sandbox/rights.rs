//! What a process may do: capabilities, limits, ids.
use super::fault::{fault, ids_fault, Called};
use super::protocol::{ResourceLimit, SandboxPlan, Security};
use crate::failure::{Code, Failure, Result};
use rustix::fs::{fchown, fstat, FileType};
use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use rustix::thread::{
    capabilities, capability_is_in_bounding_set, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid, CapabilitySet, CapabilitySets, Gid,
    Uid,
};

/// Docker's default set without MKNOD: no mode makes devices, and those that a step asks for are kept as records.
const DOCKER: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);

/// What keeps a root that is only changed by chroot(2) from being one: with any of these one gets at what is around it,
/// where there is nothing else between the step and the machine.
const LEADS_OUT: CapabilitySet = CapabilitySet::SYS_CHROOT
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::SYS_MODULE)
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::SYS_BOOT)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::CHECKPOINT_RESTORE);

/// Which ids a process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Those of the plan.
    Planned,
    /// Those that it has: no others are mapped.
    Kept,
}

/// The capabilities that a step keeps of those that there are. `None`: all.
pub fn kept_capabilities(security: Security, is_chroot: bool) -> Option<CapabilitySet> {
    match (security, is_chroot) {
        (Security::Insecure, false) => None,
        // Not even then out of the root: what is around it is not the sandbox's to give.
        (Security::Insecure, true) => Some(CapabilitySet::all().difference(LEADS_OUT)),
        (Security::Default, false) => Some(DOCKER),
        (Security::Default, true) => Some(DOCKER.difference(LEADS_OUT)),
    }
}

/// Takes the plan's ids and gives up all capabilities but `kept`, for good: also programs that are executed get no others.
pub fn drop_rights(plan: &SandboxPlan, ids: Ids, kept: Option<CapabilitySet>) -> Result<()> {
    if let Some(kept) = kept {
        bound(kept)?;
    }
    if ids == Ids::Planned {
        give_output(plan)?;
        let groups: Vec<Gid> = plan.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        set_thread_groups(&groups).called(format_args!("setgroups({:?})", plan.groups))?;
        let gid = Gid::from_raw(plan.gid);
        set_thread_res_gid(gid, gid, gid).map_err(|error| ids_fault(plan.uid, plan.gid, "setresgid", error))?;
        let uid = Uid::from_raw(plan.uid);
        set_thread_res_uid(uid, uid, uid).map_err(|error| ids_fault(plan.uid, plan.gid, "setresuid", error))?;
    }
    clear_ambient_capability_set().called("prctl(PR_CAP_AMBIENT)")?;
    let had = capabilities(None).called("capget")?;
    let has = had.permitted.intersection(kept.unwrap_or(CapabilitySet::all()));
    let sets = CapabilitySets { effective: has, permitted: has, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).called("capset")
}

/// Lets a user open by name what it writes to anyway, as docker does: /dev/stdout is this process's pipe.
fn give_output(plan: &SandboxPlan) -> Result<()> {
    if plan.uid == 0 {
        return Ok(());
    }
    let own = rustix::process::geteuid();
    for (name, stream) in [("stdout", rustix::stdio::stdout()), ("stderr", rustix::stdio::stderr())] {
        let found = fstat(stream).called(format_args!("fstat({name})"))?;
        let is_pipe = FileType::from_raw_mode(found.st_mode) == FileType::Fifo;
        if is_pipe && found.st_uid == own.as_raw() {
            fchown(stream, Some(Uid::from_raw(plan.uid)), None)
                .map_err(|error| ids_fault(plan.uid, plan.gid, format_args!("fchown({name})"), error))?;
        }
    }
    Ok(())
}

/// Removes what is not `kept` from what any program can ever get.
fn bound(kept: CapabilitySet) -> Result<()> {
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match capability_is_in_bounding_set(capability) {
            // Past the last one that the kernel knows.
            Err(Errno::INVAL) => break,
            Ok(false) => {}
            Ok(true) | Err(_) => {
                remove_capability_from_bounding_set(capability)
                    .called(format_args!("prctl(PR_CAPBSET_DROP, {number})"))?;
            }
        }
    }
    Ok(())
}

const RESOURCES: [(&str, Resource); 16] = [
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// Sets the limits of the plan.
/// Fails with a sentence that tells how far one may go that cannot be raised.
pub fn set_limits(limits: &[ResourceLimit]) -> Result<()> {
    for ResourceLimit { name, soft, hard } in limits {
        let Some((_, resource)) = RESOURCES.iter().find(|(known, _)| known == name) else {
            return Err(Failure::new(Code::Sandbox, format!("there is no limit with the name {name}")));
        };
        let wanted = Rlimit { current: bounded(*soft), maximum: bounded(*hard) };
        setrlimit(*resource, wanted).map_err(|error| match (error, getrlimit(*resource).maximum) {
            (Errno::PERM, Some(most)) => Failure::new(
                Code::Sandbox,
                format!("the limit {name} cannot be raised to {}: {most} is the most here", said(*hard)),
            ),
            _ => fault(format_args!("setrlimit({name}, {}:{})", said(*soft), said(*hard)), error),
        })?;
    }
    Ok(())
}

/// -1 is no limit.
fn bounded(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
}

fn said(value: i64) -> String {
    bounded(value).map_or_else(|| "unlimited".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_dockers_without_mknod() {
        let kept = kept_capabilities(Security::Default, false).unwrap();
        assert_eq!(kept.bits(), 0xa004_25fb & !CapabilitySet::MKNOD.bits() | CapabilitySet::AUDIT_WRITE.bits());
        assert!(kept_capabilities(Security::Insecure, false).is_none());
    }

    #[test]
    fn a_changed_root_cannot_be_left() {
        for security in [Security::Default, Security::Insecure] {
            let kept = kept_capabilities(security, true).unwrap();
            assert!(!kept.intersects(LEADS_OUT));
            assert!(kept.contains(CapabilitySet::CHOWN));
        }
    }

    #[test]
    fn limits_that_cannot_be_are_told() {
        let limit = |name: &str, soft, hard| vec![ResourceLimit { name: name.to_owned(), soft, hard }];
        assert_eq!(set_limits(&limit("speed", 1, 1)).unwrap_err().message, "there is no limit with the name speed");
        let failure = set_limits(&limit("nofile", 2, 1)).unwrap_err();
        assert_eq!(failure.message, "setrlimit(nofile, 2:1): EINVAL");
        set_limits(&limit("core", 0, -1)).unwrap();
    }
}
