//! What stat(2) says of a file, and how it looks in the memory of a program.
use crate::record::Record;
use crate::sandbox::seccomp::calls::statx;
use crate::sandbox::seccomp::Abi;
use rustix::io::Errno;
use std::os::fd::AsFd;

/// struct statx of linux/stat.h.
const BASIC: u32 = 0x7ff;
const WITH_BIRTH: u32 = BASIC | BIRTH;
const BIRTH: u32 = 0x800;
const UID: usize = 20;
const GID: usize = 24;
const MODE: usize = 28;
const DEVICE: usize = 128;

#[derive(Clone)]
pub struct Facts([u8; 256]);

impl Facts {
    pub fn of(file: impl AsFd) -> Result<Facts, Errno> {
        Facts::asked(file, 0, WITH_BIRTH)
    }

    /// With the flags and the mask of statx(2).
    pub fn asked(file: impl AsFd, flags: u32, mask: u32) -> Result<Facts, Errno> {
        statx(file, flags, mask).map(Facts).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    fn u32(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
    }

    fn u64(&self, at: usize) -> u64 {
        self.0.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
    }

    pub fn mode(&self) -> u32 {
        self.u32(MODE) & 0xffff
    }

    pub fn kind(&self) -> u32 {
        self.mode() & libc::S_IFMT
    }

    pub fn owner(&self) -> (u32, u32) {
        (self.u32(UID), self.u32(GID))
    }

    /// Device and inode.
    pub fn place(&self) -> (u64, u64) {
        (device(self.u32(136), self.u32(140)), self.u64(32))
    }

    /// Seconds and nanoseconds of when the inode was made, where the file system knows.
    pub fn birth(&self) -> Option<(u64, u32)> {
        (self.u32(0) & BIRTH != 0).then(|| (self.u64(80), self.u32(88)))
    }

    /// Puts in what is recorded of the file.
    pub fn amend(&mut self, record: &Record) {
        let kind = if is_device(record) { record.mode & libc::S_IFMT } else { self.kind() };
        self.put(UID, &record.uid.to_ne_bytes());
        self.put(GID, &record.gid.to_ne_bytes());
        self.put(MODE, &((kind | self.mode() & 0o7777) as u16).to_ne_bytes());
        if is_device(record) {
            self.put(DEVICE, &record.major.to_ne_bytes());
            self.put(DEVICE + 4, &record.minor.to_ne_bytes());
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(target) = self.0.get_mut(at..at + bytes.len()) {
            target.copy_from_slice(bytes);
        }
    }

    /// As statx(2) gives it.
    pub fn extended(&self) -> &[u8] {
        &self.0
    }

    /// As stat(2) does (of 32-bit programs: stat64).
    pub fn plain(&self, abi: Abi) -> Vec<u8> {
        let (this, inode) = self.place();
        let special = device(self.u32(DEVICE), self.u32(DEVICE + 4));
        let (links, size, blocks, block) = (self.u32(16), self.u64(40), self.u64(48), self.u32(4));
        let (uid, gid) = self.owner();
        let times = [64, 112, 96].map(|at| (self.u64(at), self.u32(at + 8)));
        let mut out = Layout(Vec::with_capacity(144));
        match abi {
            Abi::X86_64 => {
                out.words([this, inode, links.into()]);
                out.halves([self.mode(), uid, gid, 0]);
                out.words([special, size, block.into(), blocks]);
                times.iter().for_each(|(seconds, rest)| out.words([*seconds, u64::from(*rest)]));
                out.words([0, 0, 0]);
            }
            Abi::Aarch64 => {
                out.words([this, inode]);
                out.halves([self.mode(), links, uid, gid]);
                out.words([special, 0, size]);
                out.halves([block, 0]);
                out.words([blocks]);
                times.iter().for_each(|(seconds, rest)| out.words([*seconds, u64::from(*rest)]));
                out.halves([0, 0]);
            }
            Abi::I386 | Abi::Arm => {
                // ARM puts numbers of 64 bits at multiples of 8.
                let gap = if abi == Abi::Arm { &[0][..] } else { &[] };
                out.words([this]);
                out.halves([0, inode as u32, self.mode(), links, uid, gid]);
                out.words([special]);
                out.halves([0]);
                out.halves(gap.iter().copied());
                out.words([size]);
                out.halves([block]);
                out.halves(gap.iter().copied());
                out.words([blocks]);
                times.iter().for_each(|(seconds, rest)| out.halves([*seconds as u32, *rest]));
                out.words([inode]);
            }
        }
        out.0
    }
}

pub fn is_device(record: &Record) -> bool {
    matches!(record.mode & libc::S_IFMT, libc::S_IFCHR | libc::S_IFBLK)
}

/// As the kernel tells a device number to programs.
fn device(major: u32, minor: u32) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12
}

struct Layout(Vec<u8>);

impl Layout {
    fn words(&mut self, values: impl IntoIterator<Item = u64>) {
        values.into_iter().for_each(|value| self.0.extend_from_slice(&value.to_ne_bytes()));
    }

    fn halves(&mut self, values: impl IntoIterator<Item = u32>) {
        values.into_iter().for_each(|value| self.0.extend_from_slice(&value.to_ne_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn sizes_are_those_of_the_kernels_headers() {
        let facts = Facts::of(std::fs::File::open("/").unwrap()).unwrap();
        for (abi, size) in [(Abi::X86_64, 144), (Abi::Aarch64, 128), (Abi::I386, 96), (Abi::Arm, 104)] {
            assert_eq!(facts.plain(abi).len(), size, "{abi:?}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_file_looks_as_the_kernel_shows_it() {
        for path in ["/dev/null", "/usr", "/proc/self/exe"] {
            let file = std::fs::File::open(path).unwrap();
            let bytes = Facts::of(&file).unwrap().plain(Abi::X86_64);
            let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
            let half = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
            let expected = file.metadata().unwrap();
            assert_eq!((word(0), word(8), word(16)), (expected.dev(), expected.ino(), expected.nlink()));
            assert_eq!((half(24), half(28), half(32)), (expected.mode(), expected.uid(), expected.gid()));
            assert_eq!((word(40), word(48), word(56)), (expected.rdev(), expected.size(), expected.blksize()));
            assert_eq!(
                (word(64), word(72), word(80)),
                (expected.blocks(), expected.atime() as u64, expected.atime_nsec() as u64)
            );
            assert_eq!((word(88), word(96)), (expected.mtime() as u64, expected.mtime_nsec() as u64));
            assert_eq!((word(104), word(112)), (expected.ctime() as u64, expected.ctime_nsec() as u64));
        }
    }

    #[test]
    fn a_record_is_put_in() {
        let file = tempfile::tempfile().unwrap();
        let mut facts = Facts::of(&file).unwrap();
        let permissions = facts.mode() & 0o7777;
        facts.amend(&Record { uid: 7, gid: 8, mode: 0o100_000, major: 0, minor: 0 });
        assert_eq!((facts.owner(), facts.mode()), ((7, 8), 0o100_000 | permissions));
        facts.amend(&Record { uid: 0, gid: 0, mode: 0o020_777, major: 5, minor: 300 });
        assert_eq!((facts.owner(), facts.mode()), ((0, 0), 0o020_000 | permissions));
        assert_eq!(u64::from_ne_bytes(facts.plain(Abi::X86_64)[40..48].try_into().unwrap()), 0x10_052c);
    }
}
