//! The mirror of `src/native/sandbox-protocol.ts`, where every field is explained.
use crate::protocol::BlobSource;
use serde::{Deserialize, Serialize};

/// The argument of `kbuild-native sandbox`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SandboxEntry {
    pub mode: Mode,
    pub uids: Vec<IdRange>,
    pub gids: Vec<IdRange>,
    pub helpers: Option<Helpers>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    Userns,
    Single,
    Chroot,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRange {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

/// Paths of newuidmap and newgidmap.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Helpers {
    pub uid: String,
    pub gid: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Owners {
    Real,
    Recorded,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub id: u64,
    pub temporary: String,
    #[serde(default, rename = "fuseOverlayfs")]
    pub fuse_overlayfs: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpack {
    pub id: u64,
    pub blob: BlobSource,
    pub index: String,
    pub output: String,
    pub form: TreeForm,
    pub owners: Owners,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum TreeForm {
    Layer,
    Apply,
}

/// The tree that an `ingest` also writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestTree {
    pub output: String,
    pub owners: Owners,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub id: u64,
    pub root: String,
    pub output: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    pub id: u64,
    pub tree: ChangedTree,
    pub parents: Vec<String>,
    pub owners: Owners,
    pub output: String,
    pub index: String,
    pub temporary: String,
    pub epoch: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum ChangedTree {
    Overlay { upper: String },
    FuseOverlay { upper: String },
    Copy { root: String, mark: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    pub id: u64,
    pub paths: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    pub id: u64,
    pub from: String,
    pub to: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub id: u64,
    pub plan: SandboxPlan,
}

/// What a process sees; see the fields of `SandboxPlan` in `sandbox-protocol.ts`. Also what a step's own process is handed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SandboxPlan {
    pub root: SandboxRoot,
    pub owners: Owners,
    pub hostname: String,
    pub network: Network,
    pub mounts: Vec<SandboxMount>,
    pub command: Vec<String>,
    pub environment: Vec<String>,
    pub directory: String,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub security: Security,
    pub limits: Vec<ResourceLimit>,
    pub shared_memory: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuse_overlayfs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ControlGroup>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum SandboxRoot {
    Overlay {
        lower: Vec<String>,
        scratch: String,
    },
    Copy {
        path: String,
        #[serde(default)]
        raises: bool,
    },
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Network {
    Host,
    None,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Security {
    Default,
    Insecure,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum SandboxMount {
    Bind {
        source: String,
        target: String,
        read_only: bool,
    },
    View {
        lower: Vec<String>,
        path: String,
        target: String,
        writable: bool,
        scratch: String,
    },
    Tmpfs {
        target: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        mode: u32,
    },
    File {
        target: String,
        content: String,
        mode: u32,
        uid: u32,
        gid: u32,
        read_only: bool,
    },
    Socket {
        source: String,
        target: String,
        mode: u32,
        uid: u32,
        gid: u32,
    },
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceLimit {
    pub name: String,
    pub soft: i64,
    pub hard: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlGroup {
    pub parent: Option<String>,
    pub memory: Option<i64>,
    pub memory_swap: Option<i64>,
    pub cpu_period: Option<i64>,
    pub cpu_quota: Option<i64>,
    pub cpu_shares: Option<i64>,
    pub cpuset_cpus: Option<String>,
    pub cpuset_mems: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct ProbeCheck {
    pub name: &'static str,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Stream {
    Stdout,
    Stderr,
}
