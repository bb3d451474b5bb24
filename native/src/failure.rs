//! What a request can fail with. One type for the whole core, because every failure ends as a `failed` reply.
use std::io;

/// The kinds of failure that the client tells apart; `FailureCode` in `src/native/protocol.ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Code {
    NotFound,
    Denied,
    Changed,
    Hostile,
    Mismatch,
    NoSpace,
    ReadOnly,
    BrokenPipe,
    Cancelled,
    NotArchive,
    Pattern,
    Sandbox,
    Exec,
    Mount,
    Directory,
    Unmapped,
    Protocol,
    Io,
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: Code,
    /// One sentence without the path.
    pub message: String,
    /// What it is about, lossily as UTF-8.
    pub path: Option<String>,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code, message: message.into(), path: None }
    }

    /// The same failure about a path, unless it names one already.
    pub fn at(mut self, path: impl AsRef<[u8]>) -> Self {
        self.path.get_or_insert_with(|| String::from_utf8_lossy(path.as_ref()).into_owned());
        self
    }

    /// Whether it is the plan of a step that is wrong, and not the machine: then it is no matter where that showed.
    pub fn is_of_plan(&self) -> bool {
        matches!(self.code, Code::Exec | Code::Mount | Code::Directory | Code::Unmapped)
    }

    pub fn cancelled() -> Self {
        Failure::new(Code::Cancelled, "the request was cancelled")
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Readers and writers of the standard library's kind carry our own failures inside of theirs.
        if error.get_ref().is_some_and(|inner| inner.is::<Failure>()) {
            if let Some(Ok(failure)) = error.into_inner().map(|inner| inner.downcast::<Failure>()) {
                return *failure;
            }
            return Failure::new(Code::Io, "an error without a reason");
        }
        let code = match error.kind() {
            io::ErrorKind::NotFound => Code::NotFound,
            io::ErrorKind::PermissionDenied => Code::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::NoSpace,
            io::ErrorKind::ReadOnlyFilesystem => Code::ReadOnly,
            io::ErrorKind::BrokenPipe => Code::BrokenPipe,
            _ => Code::Io,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        io::Error::other(failure)
    }
}
