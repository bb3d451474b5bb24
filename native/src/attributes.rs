//! The extended attributes that files of images have: those of users, capabilities, and access control lists. Others
//! (labels, what overlay file systems keep for themselves) belong to a machine.
use crate::failure::{Code, Failure, Result};
use crate::record::{is_internal, Record, STAT};
use crate::table::{encode_xattrs, Entry};
use rustix::fs::{fgetxattr, flistxattr, fremovexattr, fsetxattr, XattrFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

const CAPABILITY: &[u8] = b"security.capability";
const LISTS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];
/// Marks a folder of a layer that hides what the layers below have at its path.
pub const OPAQUE: &str = "user.overlay.opaque";
/// The same, as fuse-overlayfs makes it.
const SERVED_OPAQUE: &[u8] = b"user.fuseoverlayfs.opaque";
/// Where a file was in the layers that fuse-overlayfs has copied, to be changed.
const ORIGIN: &[u8] = b"user.fuseoverlayfs.origin";
/// What Linux allows: a list of names, and a value.
const MAX_BYTES: usize = 64 << 10;

/// Attributes of a file as they stand in a layer, sorted by name.
pub type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Whether images keep this attribute.
fn is_kept(name: &[u8]) -> bool {
    (name.starts_with(b"user.") && !is_internal(name)) || name == CAPABILITY || LISTS.contains(&name)
}

/// The attributes of an entry that its file gets, and by which it is compared.
pub fn kept(entry: &Entry<'_>) -> Attributes {
    if entry.xattrs.is_empty() {
        return Attributes::new();
    }
    let pairs = entry.xattr_pairs().into_iter().filter(|(name, _)| is_kept(name));
    pairs.map(|(name, value)| (name.to_vec(), as_in_layer(name, value))).collect()
}

pub fn encode(attributes: &Attributes) -> Vec<u8> {
    encode_xattrs(attributes.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))
}

/// What a file has: attributes of its own, a record of what it really is, and whether it is an opaque folder.
#[derive(Debug, Default)]
pub struct Found {
    pub attributes: Attributes,
    pub record: Option<Record>,
    pub is_opaque: bool,
    /// The same, as fuse-overlayfs says it.
    pub is_served_opaque: bool,
    /// Path of the file that fuse-overlayfs has made this one of.
    pub origin: Option<Vec<u8>>,
}

/// Reads the attributes of an open file or folder.
pub fn read(file: BorrowedFd<'_>) -> Result<Found> {
    let mut found = Found::default();
    let mut names = [0; 1024];
    let names = match flistxattr(file, &mut names) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(found),
        Ok(length) => names[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut names = vec![0; MAX_BYTES];
            let length = flistxattr(file, &mut names)?;
            names.truncate(length);
            names
        }
        Err(error) => return Err(error.into()),
    };
    for name in names.split(|byte| *byte == 0) {
        if name == STAT.as_bytes() {
            found.record = value(file, name)?.and_then(|text| Record::parse(&text));
        } else if name == OPAQUE.as_bytes() {
            found.is_opaque = value(file, name)?.is_some_and(|value| value == b"y");
        } else if name == SERVED_OPAQUE {
            found.is_served_opaque = value(file, name)?.is_some_and(|value| value == b"y");
        } else if name == ORIGIN {
            found.origin = value(file, name)?;
        } else if is_kept(name) {
            if let Some(value) = value(file, name)? {
                found.attributes.push((name.to_vec(), as_in_layer(name, &value)));
            }
        }
    }
    found.attributes.sort_unstable();
    Ok(found)
}

/// `None` when it is gone, or is one that is listed without being there.
fn value(file: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut short = [0; 256];
    match fgetxattr(file, name, &mut short) {
        Ok(length) => Ok(Some(short[..length].to_vec())),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(Errno::RANGE) => {
            let mut long = vec![0; MAX_BYTES];
            let length = fgetxattr(file, name, &mut long)?;
            long.truncate(length);
            Ok(Some(long))
        }
        Err(error) => Err(error.into()),
    }
}

/// Gives a file the attributes of an entry. `is_fresh` unless it may have others, which are taken away.
/// Fails with `io` when the file system has no attributes of users; without the others a tree is usable.
pub fn set(file: impl AsFd, entry: &Entry<'_>, is_fresh: bool) -> Result<()> {
    let wanted = kept(entry);
    let file = file.as_fd();
    if !is_fresh {
        for (name, _) in read(file)?.attributes {
            if wanted.iter().all(|(other, _)| *other != name) {
                fremovexattr(file, name.as_slice())?;
            }
        }
    }
    for (name, value) in wanted {
        let failed = match fsetxattr(file, name.as_slice(), &value, XattrFlags::empty()) {
            Ok(()) => continue,
            Err(error) => error,
        };
        let is_own = name.starts_with(b"user.");
        // Ids in a list may be none that this process has.
        let is_refused = matches!(failed, Errno::NOTSUP | Errno::PERM | Errno::INVAL);
        if is_own || !is_refused {
            let name = String::from_utf8_lossy(&name);
            return Err(Failure::new(Code::Io, format!("the extended attribute {name} cannot be set: {failed}")));
        }
    }
    Ok(())
}

/// A value as other machines understand it: a capability that holds for the ids of a namespace alone (version 3 of
/// capabilities(7), with the namespace's root) as one that holds for all (version 2).
fn as_in_layer(name: &[u8], value: &[u8]) -> Vec<u8> {
    const VERSION_3: usize = 24;
    if name == CAPABILITY && value.len() == VERSION_3 && value[3] == 3 {
        let mut value = value[..VERSION_3 - 4].to_vec();
        value[3] = 2;
        return value;
    }
    value.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Kind;
    use crate::testing::Folder;

    #[test]
    fn what_is_set_is_read_and_what_is_of_a_machine_is_left_out() {
        let folder = Folder::new();
        let pairs: [(&[u8], &[u8]); 5] = [
            (b"security.selinux", b"label"),
            (b"user.a", b"1"),
            (b"user.kbuild.stat", b"1 1 100644 0 0"),
            (b"user.long", &[7; 3000]),
            (b"user.overlay.opaque", b"y"),
        ];
        let encoded = encode_xattrs(pairs);
        let entry = Entry { xattrs: &encoded, ..Entry::new(b"a", Kind::File) };
        let file = std::fs::File::create(folder.at("a")).unwrap();
        fsetxattr(&file, "user.old", b"old", XattrFlags::empty()).unwrap();
        set(&file, &entry, false).unwrap();
        let found = read(file.as_fd()).unwrap();
        assert_eq!(found.attributes, [(b"user.a".to_vec(), b"1".to_vec()), (b"user.long".to_vec(), vec![7; 3000])]);
        assert_eq!((found.record, found.is_opaque), (None, false));
        assert_eq!(kept(&entry), found.attributes);
    }

    #[test]
    fn capabilities_lose_the_root_of_a_namespace() {
        let mut value = [0; 24];
        (value[0], value[3], value[20]) = (1, 3, 9);
        let mut expected = [0; 20];
        (expected[0], expected[3]) = (1, 2);
        assert_eq!(as_in_layer(CAPABILITY, &value), expected);
        assert_eq!(as_in_layer(CAPABILITY, &expected), expected);
        assert_eq!(as_in_layer(b"user.x", &value), value);
    }
}
