//! Writes files into a folder. Names are opened one by one below its descriptor and links are never followed, so that
//! nothing outside of it can be reached, whatever the table and the folder have.
use crate::failure::{Code, Failure, Result};
use crate::folders::{check_path, make_folder, split, times, Folders};
use crate::pieces::PIECE;
use crate::protocol::{Extract, Reply};
use crate::session::{Job, Outcome};
use crate::source::{check_digest, origin, Sources};
use crate::table::{Entry, Kind, Table};
use rustix::fs::{
    chmodat, chownat, fsetxattr, linkat, makedev, mkdirat, mknodat, openat, symlinkat, unlinkat, utimensat, AtFlags,
    FileType, Gid, Mode, OFlags, Uid, XattrFlags, CWD,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

pub fn extract(request: Extract, body: Vec<u8>, job: &Job) -> Outcome {
    let table = Table::parse(body)?;
    let sources = Sources::open(&request.roots, &request.blobs, &table, &request.temporary, job)?;
    let at_root = |error: Errno| Failure::from(error).at(&request.output);
    match mkdirat(CWD, &request.output, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(at_root(error)),
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, &request.output, flags, Mode::empty()).map_err(at_root)?;
    let mut writer = Writer { folders: Folders::new(root), sources: &sources, is_root: geteuid().is_root(), job };
    let (mut files, mut bytes) = (0, 0);
    for index in 0..table.len() {
        let entry = table.entry(index);
        writer.write(&entry).map_err(|failure| failure.at(entry.path))?;
        if entry.kind == Kind::File {
            files += 1;
            bytes += entry.size;
        }
        job.advance(0, 1)?;
    }
    // Times and modes of folders come last, innermost first: writing into one changes its time, and may not be allowed.
    for index in (0..table.len()).rev() {
        let entry = table.entry(index);
        if entry.kind == Kind::Directory {
            writer.finish_folder(&entry).map_err(|failure| failure.at(entry.path))?;
        }
        job.check()?;
    }
    Ok((Reply::Extracted { id: request.id, files, bytes }, Vec::new()))
}

struct Writer<'a> {
    folders: Folders,
    sources: &'a Sources,
    is_root: bool,
    job: &'a Job,
}

impl Writer<'_> {
    fn write(&mut self, entry: &Entry<'_>) -> Result<()> {
        check_path(entry.path)?;
        if entry.path.is_empty() {
            return match entry.kind {
                Kind::Directory => Ok(()),
                _ => Err(Failure::new(Code::Protocol, "the root is no folder")),
            };
        }
        let (folder, name) = split(entry.path);
        let mode = Mode::from_raw_mode(entry.mode & 0o7777);
        let link = match entry.kind {
            Kind::Hardlink => {
                check_path(entry.link)?;
                let (folder, name) = split(entry.link);
                Some((self.folders.at(folder, false)?.try_clone_to_owned()?, name))
            }
            _ => None,
        };
        let is_root = self.is_root;
        let sources = self.sources;
        let job = self.job;
        let at = self.folders.at(folder, true)?;
        if entry.kind == Kind::Directory {
            return make_folder(at, name).map(drop);
        }
        make_room(at, name)?;
        match entry.kind {
            Kind::File => {
                return write_file(at, name, entry, sources, is_root, job).inspect_err(|_| {
                    // The failure is told already; half a file is not to be taken for a whole one.
                    let _ = unlinkat(at, name, AtFlags::empty());
                });
            }
            Kind::Symlink => symlinkat(entry.link, at, name)?,
            Kind::Hardlink => {
                if let Some((target, target_name)) = link {
                    linkat(&target, target_name, at, name, AtFlags::empty())?;
                }
                // Owner, mode and time are those of the inode.
                return Ok(());
            }
            Kind::Fifo => mknodat(at, name, FileType::Fifo, mode, 0)?,
            Kind::CharacterDevice | Kind::BlockDevice => {
                let kind =
                    if entry.kind == Kind::BlockDevice { FileType::BlockDevice } else { FileType::CharacterDevice };
                mknodat(at, name, kind, mode, makedev(entry.major, entry.minor)).map_err(|error| match error {
                    Errno::PERM | Errno::ACCESS => Failure::new(Code::Denied, "making a device takes root's rights"),
                    _ => error.into(),
                })?;
            }
            _ => return Err(Failure::new(Code::Protocol, "a mark of a layer is no file to be written")),
        }
        if is_root {
            set_owner(at, name, entry)?;
        }
        if entry.kind != Kind::Symlink {
            chmodat(at, name, mode, AtFlags::empty())?;
        }
        set_time(at, name, entry)
    }

    fn finish_folder(&mut self, entry: &Entry<'_>) -> Result<()> {
        let is_root = self.is_root;
        let at = self.folders.at(entry.path, false)?;
        // The descriptor is one for resolving only, through which these calls do not go.
        let itself = openat(at, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        if is_root {
            rustix::fs::fchown(&itself, Some(uid(entry)), Some(gid(entry)))?;
        }
        set_xattrs(&itself, entry)?;
        rustix::fs::fchmod(&itself, Mode::from_raw_mode(entry.mode & 0o7777))?;
        rustix::fs::futimens(&itself, &times(entry))?;
        Ok(())
    }
}

/// Removes what has the name that a file is to get; of folders only an empty one.
fn make_room(at: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => unlinkat(at, name, AtFlags::REMOVEDIR).map_err(|error| match error {
            Errno::NOTEMPTY | Errno::EXIST => {
                Failure::new(Code::Denied, "a folder with files is where a file should be")
            }
            _ => error.into(),
        }),
        Err(error) => Err(error.into()),
    }
}

fn write_file(
    at: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry<'_>,
    sources: &Sources,
    is_root: bool,
    job: &Job,
) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(at, name, flags, Mode::from_raw_mode(0o600))?);
    let mut content = sources.content(entry).map_err(|failure| failure.at(origin(entry)))?;
    let mut hash = blake3::Hasher::new();
    let mut buffer = vec![0; PIECE.min(entry.size as usize)];
    let mut left = entry.size;
    while left > 0 {
        let piece = &mut buffer[..left.min(PIECE as u64) as usize];
        content.read(piece, job)?;
        hash.update(piece);
        file.write_all(piece)?;
        left -= piece.len() as u64;
        job.advance(piece.len() as u64, 0)?;
    }
    content.check_unchanged(entry, false)?;
    check_digest(entry, hash.finalize().as_bytes())?;
    if is_root {
        rustix::fs::fchown(&file, Some(uid(entry)), Some(gid(entry)))?;
    }
    set_xattrs(&file, entry)?;
    // After the owner, which takes set-id bits away.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode & 0o7777))?;
    rustix::fs::futimens(&file, &times(entry))?;
    Ok(())
}

/// Sets the attributes of users. Those of the system (capabilities, labels) mean nothing outside of an image.
fn set_xattrs(file: impl AsFd, entry: &Entry<'_>) -> Result<()> {
    for (name, value) in entry.xattr_pairs().into_iter().filter(|(name, _)| name.starts_with(b"user.")) {
        match fsetxattr(&file, name, value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn set_owner(at: BorrowedFd<'_>, name: &[u8], entry: &Entry<'_>) -> Result<()> {
    Ok(chownat(at, name, Some(uid(entry)), Some(gid(entry)), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn set_time(at: BorrowedFd<'_>, name: &[u8], entry: &Entry<'_>) -> Result<()> {
    Ok(utimensat(at, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn uid(entry: &Entry<'_>) -> Uid {
    Uid::from_raw(entry.uid)
}

fn gid(entry: &Entry<'_>) -> Gid {
    Gid::from_raw(entry.gid)
}

#[cfg(test)]
mod tests;
