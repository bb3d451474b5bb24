/** The part of the border that sandboxes are asked for by; see `protocol.ts`. `native/src/sandbox/protocol.rs` is its mirror. */
import type { BlobSource } from "./protocol.ts";

/**
 * How the core goes into a sandbox. A core that is started as `kbuild-native sandbox JSON`, with this as the JSON, does so
 * before it says `hello`, and then serves every request from inside: what it makes has the owners that the mode gives.
 * When it cannot, its first and only frame is a `failed` with the id 0 and the code `sandbox`.
 *
 * - `userns`: a user namespace with a range of ids. As root of it the core may chown, mount and chroot below it.
 * - `single`: a user namespace in which 0 alone is mapped. Owners are kept on record, see {@link Owners}.
 * - `chroot`: no namespace: this process is root as far as the container lets it be.
 */
export interface SandboxEntry {
  readonly mode: SandboxMode;
  /** What is mapped, unless the mode is `chroot`; of `single` one range of one id. */
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
  /** Absolute paths of newuidmap and newgidmap, which write the maps where this process may not. */
  readonly helpers?: { readonly uid: string; readonly gid: string };
}

export type SandboxMode = "userns" | "single" | "chroot";

/** A row of uid_map or gid_map, user_namespaces(7). */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/**
 * How owners, and what else a process in the mode may not set, are on disk. `real`: as they are. `recorded`: every file
 * belongs to the one id that there is; the extended attribute `user.kbuild.stat` (regular files and folders) or the
 * file `TREE.owners` beside the tree (what can have no attribute) says what it really is. Devices are an empty regular
 * file with such a record in both.
 */
export type Owners = "real" | "recorded";

/** Says what a sandbox core may do. Reply: `probed`. */
export interface ProbeRequest {
  readonly op: "probe";
  readonly id: number;
  /** A folder in the store's file system for trial mounts; left as it was. */
  readonly temporary: string;
  /** Path of fuse-overlayfs, which is tried when the kernel makes no overlay. */
  readonly fuseOverlayfs?: string;
}

/**
 * Writes a layer's files into a folder. Reply: `unpacked`. As everywhere nothing is written outside of it, whatever the
 * layer's paths and links say.
 */
export interface UnpackRequest {
  readonly op: "unpack";
  readonly id: number;
  /** The layer's tar, and the path of its index. */
  readonly blob: BlobSource;
  readonly index: string;
  readonly output: string;
  /**
   * `layer`: `output` is made, and gets the form that overlayfs (`userxattr`) takes as a lower directory. `apply`:
   * `output` is a tree that the layer is laid over: its marks remove what they are about.
   */
  readonly form: "layer" | "apply";
  readonly owners: Owners;
}

/**
 * Remembers the state of a tree before a step runs in it, in the file `output`: for each path ctime, size and inode.
 * Returns only when a later change gives another ctime. Reply: `marked`.
 */
export interface MarkRequest {
  readonly op: "mark";
  readonly id: number;
  readonly root: string;
  readonly output: string;
}

/**
 * Makes the layer of what a step changed. Reply: `diffed`. An entry is in the layer when it is not what the parent has at
 * its path: in type, permissions, owner, size, mtime (after clamping), content, link target, attributes or device number.
 * A hard link that is new or changed brings all names of its file with it. What is gone gets a whiteout, what was
 * replaced by a folder an opaque mark. The layer is the same whichever kind of tree it is made of.
 */
export interface DiffRequest {
  readonly op: "diff";
  readonly id: number;
  readonly tree: ChangedTree;
  /** Paths of the indexes of the parent's layers, lowest first. */
  readonly parents: readonly string[];
  readonly owners: Owners;
  /** Where the layer's tar and its index are written; neither is there when nothing has changed. */
  readonly output: string;
  readonly index: string;
  readonly temporary: string;
  readonly epoch?: number;
}

/** `overlay`: the upper directory of an overlay (`userxattr`), `fuseOverlay` that of one by fuse-overlayfs. `copy`: a whole tree, and what `mark` said of it before. */
export type ChangedTree =
  | { readonly kind: "overlay" | "fuseOverlay"; readonly upper: string }
  | { readonly kind: "copy"; readonly root: string; readonly mark: string };

/** Removes trees, whoever owns what is in them. What is not there is no fault. Reply: `removed`. */
export interface RemoveRequest {
  readonly op: "remove";
  readonly id: number;
  readonly paths: readonly string[];
}

/** Renames a folder, whoever owns it. A target that is there already stays, and the folder is removed. Reply: `moved`. */
export interface MoveRequest {
  readonly op: "move";
  readonly id: number;
  readonly from: string;
  readonly to: string;
}

/**
 * Runs a process in a sandbox. While it runs, `output` events bring what it prints; the reply is `exited`. All of its
 * processes have ended then, whatever they did to live on; nothing that the sandbox needed for itself is left in the
 * tree. A request that is cancelled, or whose core ends, kills them.
 */
export interface RunRequest {
  readonly op: "run";
  readonly id: number;
  readonly plan: SandboxPlan;
}

/**
 * What a process sees, in the order in which it is set up. Paths of the machine are absolute; paths in the sandbox
 * (`target`, `directory`) are absolute and clean, and resolved inside of its root, links followed.
 */
export interface SandboxPlan {
  readonly root: SandboxRoot;
  readonly owners: Owners;
  readonly hostname: string;
  readonly network: "host" | "none";
  /** After /proc, /dev and /sys. Missing mount points are made, and are gone from the tree afterwards. */
  readonly mounts: readonly SandboxMount[];
  /** The program, looked up in the sandbox by the PATH of `environment` unless it has a slash, and its arguments. */
  readonly command: readonly string[];
  /** `NAME=value`. Replaces the environment. */
  readonly environment: readonly string[];
  /** The working directory; made (0755, root) when it is missing, as part of the step's changes. */
  readonly directory: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** `default`: Docker's capabilities and system calls. `insecure`: all that the mode has. */
  readonly security: "default" | "insecure";
  readonly limits: readonly ResourceLimit[];
  /** Bytes of /dev/shm. */
  readonly sharedMemory: number;
  /** Path of fuse-overlayfs, which then makes all overlays of the plan in the kernel's place. */
  readonly fuseOverlayfs?: string;
  readonly group?: ControlGroup;
}

/**
 * `overlay`: `lower` are unpacked layers, lowest first; `scratch` is an empty folder in which `upper`, `work` and what else
 * is needed are made. What was changed is in `upper` afterwards. Without a layer the root is an empty folder.
 * `copy`: a tree of its own, which the process changes itself.
 */
export type SandboxRoot =
  | { readonly kind: "overlay"; readonly lower: readonly string[]; readonly scratch: string }
  /** `raises`: see `Marked`. */
  | { readonly kind: "copy"; readonly path: string; readonly raises?: boolean };

export type SandboxMount =
  /** A folder or file of the machine, as it is. With a copied root it is moved there for the time of the step. */
  | { readonly kind: "bind"; readonly source: string; readonly target: string; readonly readOnly: boolean }
  /**
   * What `path` is in these unpacked layers, lowest first: a folder or a file. What is written to it is lost afterwards;
   * unless it is `writable`, writing fails. With a copied root there is one layer, which is used up. `scratch` is an
   * empty folder for its own use.
   */
  | {
      readonly kind: "view";
      readonly lower: readonly string[];
      readonly path: string;
      readonly target: string;
      readonly writable: boolean;
      readonly scratch: string;
    }
  /** `size` in bytes; absent: the kernel's own limit. */
  | { readonly kind: "tmpfs"; readonly target: string; readonly size?: number; readonly mode: number }
  /** A file that is in memory alone. `content` is base64. */
  | {
      readonly kind: "file";
      readonly target: string;
      readonly content: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly readOnly: boolean;
    }
  /** A listening socket of the machine: connections to it inside get there. */
  | {
      readonly kind: "socket";
      readonly source: string;
      readonly target: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

/** A limit of setrlimit(2), by its name there in lower case without `RLIMIT_`; -1 is no limit. */
export interface ResourceLimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

/** Limits that take a control group (version 2, delegated to this user). */
export interface ControlGroup {
  /** A group of the machine to make the step's group in, `/a/b` from the root of the hierarchy; absent: this process's. */
  readonly parent?: string;
  readonly memory?: number;
  /** Memory and swap together; -1: no limit. */
  readonly memorySwap?: number;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpuShares?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
}

// ------------------------------------------------------------------ replies

export interface Probed {
  readonly reply: "probed";
  readonly id: number;
  readonly checks: readonly ProbeCheck[];
}

/** What was tried, and the error's name (`EPERM`) and the system call when it failed. */
export interface ProbeCheck {
  /**
   * `namespaces` (mount, pid, ipc, uts), `network` (a network namespace), `overlay`, `fuseOverlay` (the same by
   * fuse-overlayfs; only tried when that failed and there is one), `proc` (a new /proc), `seccomp` (a filter),
   * `listener` (user notification), `chroot`.
   */
  readonly name: "namespaces" | "network" | "overlay" | "fuseOverlay" | "proc" | "seccomp" | "listener" | "chroot";
  readonly ok: boolean;
  readonly call?: string;
  readonly error?: string;
}

export interface Unpacked {
  readonly reply: "unpacked";
  readonly id: number;
  readonly files: number;
  readonly bytes: number;
}

export interface Marked {
  readonly reply: "marked";
  readonly id: number;
  readonly entries: number;
  /**
   * Whether there are set-id programs besides those that nearly every base has, as sudo is one. Where a filter would take
   * their effect from a user's processes, these are not filtered then.
   */
  readonly raises: boolean;
}

export interface Diffed {
  readonly reply: "diffed";
  readonly id: number;
  /** Number of entries in the layer; when it is 0 nothing was written and the rest is empty. */
  readonly entries: number;
  readonly diffId: string;
  readonly digest: string;
  readonly size: number;
  readonly tarSize: number;
  /** Hexadecimal identity of the entries, times aside. */
  readonly content: string;
}

export interface Removed {
  readonly reply: "removed";
  readonly id: number;
}

export interface Moved {
  readonly reply: "moved";
  readonly id: number;
}

/** What a process printed: the body, as it came. The order of pieces is that in which they were read. */
export interface Printed {
  readonly reply: "output";
  readonly id: number;
  readonly stream: "stdout" | "stderr";
}

/** How a process ended: with a status, or by a signal. */
export interface Exited {
  readonly reply: "exited";
  readonly id: number;
  readonly status: number | null;
  readonly signal: number | null;
  /** Whether the limit of memory ended it. */
  readonly outOfMemory: boolean;
  /** Milliseconds from the process's start to its end, without what the sandbox took. */
  readonly elapsed: number;
  /** What the plan asked for and this machine has not, one sentence each. */
  readonly warnings: readonly string[];
}
