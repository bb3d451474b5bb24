//! Runs the processes of RUN. The core starts a process of its own for each step, which makes the sandbox and becomes or
//! watches what runs in it.
mod base64;
mod calls;
mod cgroup;
mod chroot;
mod command;
mod descendants;
mod enter;
pub mod fault;
mod forward;
mod fuse;
mod handover;
mod maps;
mod monitor;
mod namespaces;
mod output;
mod place;
mod probe;
pub mod protocol;
mod rights;
mod run;
pub mod seccomp;
mod step;
pub mod supervisor;
mod wire;

pub use enter::enter;
pub use run::{probe, run};
pub use step::step;
