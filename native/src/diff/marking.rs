//! What a tree was before a step, so that afterwards only what changed has to be looked at.
//!
//! The file, little-endian: `KBMK`, u32 version (1), then for each path in tree order: i64 seconds and u32 nanoseconds of
//! ctime, u64 size, u64 inode, u32 kind, u32 length of the path, the path.
use super::walk::{walk, Item};
use crate::failure::{Code, Failure, Result};
use crate::output::Output;
use crate::root::Root;
use crate::session::Job;
use crate::table::compare_tree_order;
use rustix::fs::{fchmod, fstat, openat, FileType, Mode, OFlags, CWD};
use std::cmp::Ordering;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

/// Set-id programs that nearly every base has and no step of a user needs: they ask for a password, or for a terminal, or
/// serve a machine that runs.
const USUAL: &str = "
at bbsuid bsd-write bwrap chage chfn chsh crontab dbus-daemon-launch-helper dotlockfile expiry fusermount fusermount3
gpasswd grub2-set-bootflag locate mlocate mount mount.nfs newgidmap newgrp newuidmap ntfs-3g pam_extrausers_chkpwd
pam_timestamp_check passwd pkexec plocate polkit-agent-helper-1 pppd sg ssh-agent ssh-keysign su umount unix_chkpwd
userhelper utempter wall write write.ul
";

const MAGIC: &[u8; 4] = b"KBMK";
const VERSION: u32 = 1;
const HEADER: usize = 8;
/// Bytes of a record before the path.
const RECORD: usize = 36;
/// How long the clock is waited for. Files that are younger even then have a time that someone has set.
const MAX_WAIT: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(1);

/// What is known of a tree that was marked.
pub struct Marked {
    /// Number of paths.
    pub entries: u64,
    /// See `Marked` in `src/native/sandbox-protocol.ts`.
    pub raises: bool,
}

/// Writes down what is in the tree, and waits until whatever changes has another ctime than all that is in it now.
pub fn mark(root: &str, output: &str, job: &Job) -> Result<Marked> {
    let items = walk(&Root::open(root)?, job)?;
    let newest = items.iter().map(|item| item.changed).max().unwrap_or_default();
    let mut file = Output::create(output)?;
    let now = wait_beyond(newest, output, job)?;
    let mut writer = BufWriter::with_capacity(256 << 10, &mut file);
    writer.write_all(MAGIC)?;
    writer.write_all(&VERSION.to_le_bytes())?;
    for item in &items {
        // What is younger than the clock could change without a trace: it is to be taken for changed.
        let (seconds, nanoseconds) = if item.changed < now { item.changed } else { (i64::MIN, 0) };
        writer.write_all(&seconds.to_le_bytes())?;
        writer.write_all(&nanoseconds.to_le_bytes())?;
        writer.write_all(&item.size.to_le_bytes())?;
        writer.write_all(&item.inode.to_le_bytes())?;
        writer.write_all(&kind(item).to_le_bytes())?;
        writer.write_all(&(item.path.len() as u32).to_le_bytes())?;
        writer.write_all(&item.path)?;
    }
    writer.flush()?;
    drop(writer);
    file.keep();
    Ok(Marked { entries: items.len() as u64, raises: items.iter().any(raises) })
}

/// Whether who executes a file becomes somebody else, without a password and beyond what the file itself needs it for.
fn raises(item: &Item) -> bool {
    const EXECUTABLE: u32 = 0o111;
    let is_set_user = item.mode & libc::S_ISUID != 0;
    let is_set_group = item.mode & libc::S_ISGID != 0 && item.mode & libc::S_IXGRP != 0;
    let (_, name) = crate::folders::split(&item.path);
    item.kind == FileType::RegularFile
        && item.mode & EXECUTABLE != 0
        && (is_set_user || is_set_group)
        && !USUAL.split_ascii_whitespace().any(|usual| usual.as_bytes() == name)
}

/// Waits until the file system's clock, which ticks in milliseconds, is beyond a time. Returns what it shows.
fn wait_beyond(time: (i64, u32), output: &str, job: &Job) -> Result<(i64, u32)> {
    let probe = openat(CWD, output, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let begin = Instant::now();
    loop {
        // Any change gives a file the ctime of now.
        fchmod(&probe, Mode::from_raw_mode(0o644))?;
        let stat = fstat(&probe)?;
        let now = (stat.st_ctime, stat.st_ctime_nsec as u32);
        if now > time || begin.elapsed() > MAX_WAIT {
            return Ok(now);
        }
        job.check()?;
        std::thread::sleep(TICK);
    }
}

fn kind(item: &Item) -> u32 {
    item.kind.as_raw_mode()
}

/// What is different in a tree.
pub struct Different {
    /// New or changed, in tree order.
    pub items: Vec<Item>,
    /// Paths that are gone whose folders are still there.
    pub gone: Vec<Vec<u8>>,
}

/// Compares a tree with what was written down of it.
pub fn compare(items: Vec<Item>, mark: &str) -> Result<Different> {
    let bytes = std::fs::read(mark).map_err(|error| Failure::from(error).at(mark))?;
    let damaged = || Failure::new(Code::Io, "the mark of a tree is damaged").at(mark);
    if bytes.len() < HEADER || bytes[..4] != *MAGIC || bytes[4..8] != VERSION.to_le_bytes() {
        return Err(damaged());
    }
    let mut records = Records { rest: &bytes[HEADER..] };
    let mut before = records.next().ok_or_else(damaged)?;
    let mut different = Different { items: Vec::new(), gone: Vec::new() };
    // Folders on the way to the last item, and the last path that is gone: what was below it is no news.
    let mut folders: Vec<Vec<u8>> = Vec::new();
    let take_gone = |path: &[u8], folders: &[Vec<u8>], gone: &mut Vec<Vec<u8>>| {
        let (parent, _) = crate::folders::split(path);
        if parent.is_empty() || folders.iter().any(|folder| folder == parent) {
            gone.push(path.to_vec());
        }
    };
    for item in items {
        while let Some(record) = &before {
            if compare_tree_order(record.path, &item.path) != Ordering::Less {
                break;
            }
            take_gone(record.path, &folders, &mut different.gone);
            before = records.next().ok_or_else(damaged)?;
        }
        let is_same = match &before {
            Some(record) if record.path == item.path => {
                let same = record.is(&item);
                before = records.next().ok_or_else(damaged)?;
                same
            }
            _ => false,
        };
        while folders.last().is_some_and(|folder| !crate::unpack::plan::is_below(&item.path, folder)) {
            folders.pop();
        }
        if item.is_folder() && !item.path.is_empty() {
            folders.push(item.path.clone());
        }
        if !is_same {
            different.items.push(item);
        }
    }
    while let Some(record) = before {
        take_gone(record.path, &folders, &mut different.gone);
        before = records.next().ok_or_else(damaged)?;
    }
    Ok(different)
}

struct Record<'a> {
    path: &'a [u8],
    changed: (i64, u32),
    size: u64,
    inode: u64,
    kind: u32,
}

impl Record<'_> {
    fn is(&self, item: &Item) -> bool {
        (self.changed, self.size, self.inode, self.kind) == (item.changed, item.size, item.inode, kind(item))
    }
}

struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// The next record, `Some(None)` at the end; `None` when the file is damaged.
    fn next(&mut self) -> Option<Option<Record<'a>>> {
        if self.rest.is_empty() {
            return Some(None);
        }
        let (fields, rest) = self.rest.split_at_checked(RECORD)?;
        let four = |at: usize| fields[at..].first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
        let eight = |at: usize| fields[at..].first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
        let (path, rest) = rest.split_at_checked(four(32)? as usize)?;
        self.rest = rest;
        let changed = (eight(0)? as i64, four(8)?);
        Some(Some(Record { path, changed, size: eight(12)?, inode: eight(20)?, kind: four(28)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_that_make_somebody_else_of_their_user_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("usr/bin")).unwrap();
        let output = |name: &str| folder.path().join(format!("mark-{name}")).to_str().unwrap().to_owned();
        for (name, mode, expected) in [
            ("plain", 0o755, false),
            ("su", 0o4755, false),
            ("locked", 0o2640, false),
            ("kept", 0o4644, false),
            ("as-mail", 0o2755, true),
            ("sudo", 0o4755, true),
        ] {
            let path = root.join("usr/bin").join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let marked = mark(root.to_str().unwrap(), &output(name), &Job::silent()).unwrap();
            assert_eq!(marked.raises, expected, "{name}");
            std::fs::remove_file(path).unwrap();
        }
    }
}
