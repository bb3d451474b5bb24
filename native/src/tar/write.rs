//! The headers of a deterministic tar: ustar, with pax records only where ustar cannot hold a value.
use super::{padding, BLOCK};
use crate::failure::{Code, Failure, Result};
use crate::table::{Entry, Kind};

/// Two zero blocks.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

const NAME: usize = 100;
const PREFIX: usize = 155;
/// Largest values of an octal field of 7 and of 11 digits.
const MAX_7: u64 = 0o7777777;
const MAX_11: u64 = 0o77777777777;

/// Appends the header of an entry, and before it that of its pax records if it needs any. `seconds` is the time to
/// write. Fails with `protocol` when a path or link has a zero byte, or an extended attribute's name one or a `=`.
pub fn put_header(entry: &Entry<'_>, seconds: i64, out: &mut Vec<u8>) -> Result<()> {
    let path = name_of(entry);
    let is_link = matches!(entry.kind, Kind::Symlink | Kind::Hardlink);
    let link: &[u8] = if is_link { entry.link } else { b"" };
    let size = if entry.kind == Kind::File { entry.size } else { 0 };
    if path.contains(&0) || link.contains(&0) {
        return Err(Failure::new(Code::Protocol, "a path has a zero byte").at(entry.path));
    }
    let mut records = Records::default();
    let split = split(&path);
    if split.is_none() || is_foreign(&path) {
        records.put(b"path", &path);
    }
    if link.len() > NAME || is_foreign(link) {
        records.put(b"linkpath", link);
    }
    for (key, value, limit) in
        [(b"size".as_slice(), size, MAX_11), (b"uid", entry.uid.into(), MAX_7), (b"gid", entry.gid.into(), MAX_7)]
    {
        if value > limit {
            records.put(key, value.to_string().as_bytes());
        }
    }
    let time = u64::try_from(seconds).ok().filter(|time| *time <= MAX_11);
    if time.is_none() {
        records.put(b"mtime", seconds.to_string().as_bytes());
    }
    for (name, value) in entry.xattr_pairs() {
        if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
            let message = "an extended attribute has a name that a tar cannot hold";
            return Err(Failure::new(Code::Protocol, message).at(entry.path));
        }
        records.put(&[b"SCHILY.xattr.", name].concat(), value);
    }
    records.put_member(out);

    let mut block = [0u8; BLOCK];
    let (prefix, name) = split.unwrap_or((b"", &path));
    put_text(&mut block[..NAME], name);
    put_text(&mut block[345..345 + PREFIX], prefix);
    put_octal(&mut block[100..108], (entry.mode & 0o7777).into());
    put_octal(&mut block[108..116], if u64::from(entry.uid) > MAX_7 { 0 } else { entry.uid.into() });
    put_octal(&mut block[116..124], if u64::from(entry.gid) > MAX_7 { 0 } else { entry.gid.into() });
    put_octal(&mut block[124..136], if size > MAX_11 { 0 } else { size });
    put_octal(&mut block[136..148], time.unwrap_or(0));
    block[156] = type_of(entry.kind);
    put_text(&mut block[157..157 + NAME], link);
    let is_device = matches!(entry.kind, Kind::CharacterDevice | Kind::BlockDevice);
    let (major, minor) = if is_device { (entry.major, entry.minor) } else { (0, 0) };
    if u64::from(major.max(minor)) > MAX_7 {
        return Err(Failure::new(Code::Protocol, "a device has a number that a tar cannot hold").at(entry.path));
    }
    put_octal(&mut block[329..337], major.into());
    put_octal(&mut block[337..345], minor.into());
    finish(&mut block);
    out.extend_from_slice(&block);
    Ok(())
}

/// The name as it stands in the tar: folders end in a slash, the root is `./`.
fn name_of(entry: &Entry<'_>) -> Vec<u8> {
    match entry.kind {
        Kind::Directory if entry.path.is_empty() => b"./".to_vec(),
        Kind::Directory => [entry.path, b"/"].concat(),
        _ => entry.path.to_vec(),
    }
}

/// Whether readers could take the name for one in another character set. Names that are no UTF-8 have no better place
/// than the header, where every reader takes bytes for what they are.
fn is_foreign(name: &[u8]) -> bool {
    !name.is_ascii() && std::str::from_utf8(name).is_ok()
}

/// Prefix and name for the fields of the header; `None` when the path does not fit.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME {
        return Some((b"", path));
    }
    // As far to the left as possible, and never at a folder's last slash: a name is not empty.
    let from = path.len().saturating_sub(NAME + 1);
    let slash = from + path[from..path.len() - 1].iter().position(|byte| *byte == b'/')?;
    (slash > 0 && slash <= PREFIX).then(|| (&path[..slash], &path[slash + 1..]))
}

fn type_of(kind: Kind) -> u8 {
    match kind {
        Kind::File | Kind::Whiteout | Kind::Opaque => b'0',
        Kind::Hardlink => b'1',
        Kind::Symlink => b'2',
        Kind::CharacterDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

fn put_text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// All digits that the field has room for, and a zero byte.
fn put_octal(field: &mut [u8], mut value: u64) {
    let Some((_, digits)) = field.split_last_mut() else { return };
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}

fn finish(block: &mut [u8; BLOCK]) {
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].copy_from_slice(b"        ");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    // Unlike the other fields, this one ends in a zero byte and a space.
    put_octal(&mut block[148..155], sum);
    block[154] = 0;
}

/// The records of one extended header, sorted by key.
#[derive(Default)]
struct Records {
    list: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Records {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.list.push((key.to_vec(), value.to_vec()));
    }

    /// Appends the extended header, if there are records.
    fn put_member(mut self, out: &mut Vec<u8>) {
        if self.list.is_empty() {
            return;
        }
        self.list.sort();
        let mut content = Vec::new();
        for (key, value) in &self.list {
            put_record(key, value, &mut content);
        }
        let mut block = [0u8; BLOCK];
        put_text(&mut block[..NAME], b"PaxHeaders.0/entry");
        put_octal(&mut block[100..108], 0o644);
        put_octal(&mut block[108..116], 0);
        put_octal(&mut block[116..124], 0);
        put_octal(&mut block[124..136], content.len() as u64);
        put_octal(&mut block[136..148], 0);
        block[156] = b'x';
        put_octal(&mut block[329..337], 0);
        put_octal(&mut block[337..345], 0);
        finish(&mut block);
        out.extend_from_slice(&block);
        let padded = out.len() + content.len() + padding(content.len() as u64);
        out.extend_from_slice(&content);
        out.resize(padded, 0);
    }
}

/// `length key=value\n`, where the length counts itself.
fn put_record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests;
