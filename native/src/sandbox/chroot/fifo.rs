//! A file whose content is never on a disk: a fifo, of which everyone who opens it reads the content once.
use super::tree::keeping_times;
use crate::failure::Result;
use crate::sandbox::fault::Called;
use crate::session::lock;
use rustix::fs::{
    chmodat, chownat, fstat, mknodat, open, openat, renameat, statat, AtFlags, FileType, Gid, Mode, OFlags, Uid, CWD,
};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often it is looked whether somebody has opened the fifo.
const PAUSE: Duration = Duration::from_millis(1);

/// A fifo in a folder, and what is read of it.
pub struct Fifo {
    pub folder: OwnedFd,
    pub name: Vec<u8>,
    /// A path of the machine in the same file system, where nothing is.
    pub spare: String,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub content: Vec<u8>,
    /// See `Tree::in_use`.
    pub in_use: Arc<Mutex<bool>>,
}

impl Fifo {
    /// Puts a new fifo at its place, in one moment; gives it open for its path.
    pub fn put(&self) -> Result<OwnedFd> {
        let spare = self.spare.as_str();
        mknodat(CWD, spare, FileType::Fifo, Mode::from_raw_mode(0o600), 0).called("mkfifo")?;
        chownat(CWD, spare, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)), AtFlags::empty())
            .called("chown(a fifo)")?;
        chmodat(CWD, spare, Mode::from_raw_mode(self.mode), AtFlags::empty()).called("chmod(a fifo)")?;
        let opened = open(spare, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).called("open(a fifo)")?;
        keeping_times(self.folder.as_fd(), || {
            renameat(CWD, spare, &self.folder, &*self.name).called("rename(a fifo)")
        })?;
        Ok(opened)
    }

    /// Serves it in a thread as long as this process lives and the step leaves it where it is.
    pub fn serve(self, mut fifo: OwnedFd) {
        thread::spawn(move || loop {
            let writer = wait_for_reader(&fifo);
            write_all(&writer, &self.content);
            // Who opens it from here on opens another one: of this one only who has read the content sees the end.
            let in_use = lock(&self.in_use);
            if !*in_use || !self.is_there(&fifo) {
                return;
            }
            match self.put() {
                Ok(next) => fifo = next,
                Err(_) => return,
            }
        });
    }

    fn is_there(&self, fifo: &OwnedFd) -> bool {
        let there = statat(&self.folder, &*self.name, AtFlags::SYMLINK_NOFOLLOW);
        let own = fstat(fifo);
        matches!((there, own), (Ok(there), Ok(own)) if (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino))
    }
}

/// There is no writing end without a reader, so none of the content lies in it for nobody.
fn wait_for_reader(fifo: &OwnedFd) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", fifo.as_raw_fd());
    loop {
        match openat(CWD, path.as_str(), OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
            Ok(writer) => return writer,
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Writes for as long as there is a reader; one that goes before the end has had enough.
fn write_all(writer: &OwnedFd, content: &[u8]) {
    let mut rest = content;
    while !rest.is_empty() {
        match rustix::io::write(writer, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::AGAIN) => thread::sleep(PAUSE),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_gets_the_content_once() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let fifo = Fifo {
            folder: open(&inner, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap(),
            name: b"secret".to_vec(),
            spare: folder.path().join("spare").to_str().unwrap().to_owned(),
            mode: 0o400,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            content: (0..200_000u32).map(|number| number as u8).collect(),
            in_use: Arc::new(Mutex::new(true)),
        };
        let content = fifo.content.clone();
        let opened = fifo.put().unwrap();
        fifo.serve(opened);
        for _ in 0..20 {
            assert!(std::fs::read(inner.join("secret")).unwrap() == content);
        }
    }
}
