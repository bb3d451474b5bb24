//! What the core and the process of a step tell each other, over the socket that is the latter's standard input, and
//! what that process is told by the one in which the command will run: a length and JSON. Both ends are this program.
use super::protocol::{Mode, ProbeCheck, SandboxPlan};
use crate::failure::{Code, Failure, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

/// Secrets and the environment are in it.
const MAX_MESSAGE: usize = 256 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "camelCase")]
pub enum Ask {
    Run { mode: Mode, plan: Box<SandboxPlan> },
    Probe { temporary: String, fuse_overlayfs: Option<String> },
}

/// In the order in which they are sent: warnings, then one of the rest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "tell", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Tell {
    Warning { text: String },
    Exited { status: Option<i32>, signal: Option<i32>, out_of_memory: bool, elapsed: f64 },
    Probed { checks: Vec<TriedCheck> },
    Failed { code: Code, message: String, path: Option<String> },
}

/// A `ProbeCheck` that can be read, too.
#[derive(Debug, Serialize, Deserialize)]
pub struct TriedCheck {
    pub check: Check,
    /// The system call that failed, and the error's name.
    pub failed: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    Namespaces,
    Network,
    Overlay,
    FuseOverlay,
    Proc,
    Seccomp,
    Listener,
    Chroot,
}

impl Tell {
    pub fn failed(failure: Failure) -> Tell {
        let code = if failure.is_of_plan() { failure.code } else { Code::Sandbox };
        Tell::Failed { code, message: failure.message, path: failure.path }
    }
}

pub fn send(stream: &mut impl Write, message: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(message).map_err(std::io::Error::other)?;
    let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
    let mut framed = length.to_le_bytes().to_vec();
    framed.extend_from_slice(&bytes);
    Ok(stream.write_all(&framed)?)
}

/// The next message; `None` when the other end is gone.
pub fn receive<M: DeserializeOwned>(stream: &mut impl Read) -> Result<Option<M>> {
    let mut length = [0u8; 4];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if is_end(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_MESSAGE {
        return Err(Failure::new(Code::Protocol, "a message of a step is too long"));
    }
    let mut bytes = Vec::with_capacity(length.min(1 << 20));
    stream.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() != length {
        return Ok(None);
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Failure::new(Code::Protocol, format!("a message of a step cannot be read: {error}")))
}

/// A process that was killed may leave bytes behind that nobody has read; then its end is told as a reset.
fn is_end(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset)
}

impl From<TriedCheck> for ProbeCheck {
    fn from(tried: TriedCheck) -> ProbeCheck {
        let name = match tried.check {
            Check::Namespaces => "namespaces",
            Check::Network => "network",
            Check::Overlay => "overlay",
            Check::FuseOverlay => "fuseOverlay",
            Check::Proc => "proc",
            Check::Seccomp => "seccomp",
            Check::Listener => "listener",
            Check::Chroot => "chroot",
        };
        let (call, error) = tried.failed.unzip();
        ProbeCheck { name, ok: call.is_none(), call, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let mut pipe = Vec::new();
        send(&mut pipe, &Tell::Warning { text: "w".to_owned() }).unwrap();
        send(&mut pipe, &Tell::failed(Failure::new(Code::Exec, "m").at("p"))).unwrap();
        let mut input = &pipe[..];
        assert!(matches!(receive(&mut input).unwrap(), Some(Tell::Warning { text }) if text == "w"));
        let Some(Tell::Failed { code, message, path }) = receive(&mut input).unwrap() else { panic!("not told") };
        assert_eq!((code, message.as_str(), path.as_deref()), (Code::Exec, "m", Some("p")));
        assert!(receive::<Tell>(&mut input).unwrap().is_none());
    }

    #[test]
    fn a_message_that_is_cut_short_is_an_end() {
        let mut pipe = Vec::new();
        send(&mut pipe, &Tell::Warning { text: "w".to_owned() }).unwrap();
        for length in 0..pipe.len() {
            assert!(receive::<Tell>(&mut &pipe[..length]).unwrap().is_none(), "{length}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(receive::<Tell>(&mut &[255u8, 255, 255, 255][..]).is_err());
        assert!(receive::<Tell>(&mut &[2u8, 0, 0, 0, b'{', b'}'][..]).is_err());
    }
}
