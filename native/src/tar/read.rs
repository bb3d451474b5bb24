//! Reads a tar member by member: v7, ustar, pax and GNU, as Go's archive/tar understands them, because that is what
//! layers are written and read with elsewhere.
use super::{padding, BLOCK};
use crate::failure::{Code, Failure, Result};
use crate::table::{encode_xattrs, Kind};
use std::collections::BTreeMap;
use std::io::BufRead;

const MAX_PATH: usize = 4096;
const MAX_EXTENDED: u64 = 1 << 20;
/// Largest sum of a pax header's records that stay with an entry: what Linux allows a file's attributes together.
const MAX_XATTRS: usize = 1 << 20;
const MAX_ENTRIES: u64 = 4_000_000;

/// A member as it is to be found in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Cleaned: without leading or trailing slash, `.` and `..`; empty for the root.
    pub path: Vec<u8>,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub seconds: i64,
    pub nanoseconds: u32,
    /// Target of a symbolic link as it is; cleaned path for a hard link.
    pub link: Vec<u8>,
    pub major: u32,
    pub minor: u32,
    /// As in `Entry::xattrs`.
    pub xattrs: Vec<u8>,
    /// Where the content starts in the tar.
    pub offset: u64,
}

pub struct Reader<R> {
    input: R,
    position: u64,
    /// Bytes of the current member's content and padding that have not been read.
    content: u64,
    padding: u64,
    count: u64,
}

/// What extended headers say about the next member.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<(i64, u32)>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    is_sparse: bool,
}

impl<R: BufRead> Reader<R> {
    pub fn new(input: R) -> Self {
        Reader { input, position: 0, content: 0, padding: 0, count: 0 }
    }

    /// Members that began so far, those that were left out or refused included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The next member, or `None` at the end of the archive. What was not read of the last one's content is passed over.
    /// Fails with `hostile` when the bytes are no tar or go over a bound.
    pub fn next(&mut self) -> Result<Option<Member>> {
        let mut extended = Extended::default();
        loop {
            self.pass_over()?;
            let start = self.position;
            let Some(block) = self.block()? else { return Ok(None) };
            if block == [0; BLOCK] {
                return match self.block()? {
                    None => Ok(None),
                    Some(second) if second == [0; BLOCK] => Ok(None),
                    Some(_) => Err(malformed(start, "a zero block is followed by something else")),
                };
            }
            if !has_right_sum(&block) {
                return Err(malformed(start, "a header's checksum is wrong"));
            }
            let size = number(&block[124..136]).ok_or_else(|| malformed(start, "a size is no number"))?;
            let size = u64::try_from(size).map_err(|_| malformed(start, "a size is negative"))?;
            match block[156] {
                b'x' => {
                    let records = self.extended(size, start)?;
                    read_records(&records, &mut extended).map_err(|what| malformed(start, what))?;
                }
                // Readers of layers in Go take no notice of global headers either.
                b'g' => drop(self.extended(size, start)?),
                b'L' => extended.path = Some(text(&self.extended(size, start)?).to_vec()),
                b'K' => extended.link = Some(text(&self.extended(size, start)?).to_vec()),
                _ => {
                    self.count += 1;
                    if self.count > MAX_ENTRIES {
                        return Err(hostile("an archive has more than 4,000,000 entries"));
                    }
                    if let Some(member) = self.member(&block, size, std::mem::take(&mut extended), start)? {
                        return Ok(Some(member));
                    }
                }
            }
        }
    }

    /// Gives the content of the current member piece by piece.
    pub fn content(&mut self, give: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while self.content > 0 {
            let piece = self.input.fill_buf()?;
            let length = (piece.len() as u64).min(self.content) as usize;
            if length == 0 {
                return Err(malformed(self.position, "it is cut short"));
            }
            give(&piece[..length])?;
            self.input.consume(length);
            self.content -= length as u64;
            self.position += length as u64;
        }
        Ok(())
    }

    /// Reads what follows the end of the archive, to the end of the stream.
    pub fn drain(mut self) -> Result<R> {
        loop {
            let length = self.input.fill_buf()?.len();
            if length == 0 {
                return Ok(self.input);
            }
            self.input.consume(length);
        }
    }

    fn pass_over(&mut self) -> Result<()> {
        self.content(&mut |_| Ok(()))?;
        self.content = std::mem::take(&mut self.padding);
        // Some writers leave out the last padding.
        while self.content > 0 {
            let length = (self.input.fill_buf()?.len() as u64).min(self.content);
            if length == 0 {
                self.content = 0;
            }
            self.input.consume(length as usize);
            self.content -= length;
            self.position += length;
        }
        Ok(())
    }

    /// The next block; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let piece = self.input.fill_buf()?;
            let length = piece.len().min(BLOCK - filled);
            if length == 0 {
                break;
            }
            block[filled..filled + length].copy_from_slice(&piece[..length]);
            self.input.consume(length);
            filled += length;
        }
        self.position += filled as u64;
        match filled {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(malformed(self.position, "it is cut short")),
        }
    }

    fn extended(&mut self, size: u64, start: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENDED {
            return Err(malformed(start, "an extended header is longer than 1 MiB"));
        }
        self.content = size;
        self.padding = padding(size) as u64;
        let mut bytes = Vec::new();
        self.content(&mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// The member with this header; `None` when it is nothing that belongs into a snapshot.
    fn member(&mut self, block: &[u8; BLOCK], size: u64, extended: Extended, start: u64) -> Result<Option<Member>> {
        let fault = |what: &str| malformed(start, what);
        let is_posix = block[257..263] == *b"ustar\0";
        let has_devices = is_posix || block[257..265] == *b"ustar  \0";
        let name = extended.path.unwrap_or_else(|| name_of(block, is_posix));
        let path = clean(&name).map_err(|what| fault(what).at(&name))?;
        let kind = match block[156] {
            b'0' | 0 | b'7' if name.ends_with(b"/") => Kind::Directory,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::Hardlink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharacterDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            b'S' => return Err(hostile("an archive has a sparse file, which is not supported").at(&path)),
            _ => return Err(fault("an entry has an unknown type").at(&path)),
        };
        if extended.is_sparse {
            return Err(hostile("an archive has a sparse file, which is not supported").at(&path));
        }
        let size = if kind == Kind::File { extended.size.unwrap_or(size) } else { 0 };
        self.content = size;
        self.padding = padding(size) as u64;
        let end = self.position.checked_add(size).and_then(|end| end.checked_add(BLOCK as u64));
        if end.is_none_or(|end| end > i64::MAX as u64) {
            return Err(fault("a size is out of range").at(&path));
        }
        let kind = match mark(&path) {
            Mark::None => kind,
            Mark::Whiteout => Kind::Whiteout,
            Mark::Opaque => Kind::Opaque,
            Mark::Ignored => return Ok(None),
            Mark::Invalid => return Err(fault("a whiteout is for no name").at(&path)),
        };
        if path.is_empty() && kind != Kind::Directory {
            return Err(fault("the root is no folder"));
        }
        let link = match kind {
            Kind::Symlink | Kind::Hardlink => extended.link.unwrap_or_else(|| text(&block[157..257]).to_vec()),
            _ => Vec::new(),
        };
        let link = match kind {
            Kind::Hardlink => clean(&link).map_err(|what| fault(what).at(&path))?,
            _ if link.len() > MAX_PATH => return Err(fault("a link is longer than 4,096 bytes").at(&path)),
            _ if link.contains(&0) => return Err(fault("a link has a zero byte").at(&path)),
            _ => link,
        };
        let field = |from: usize, to: usize| number(&block[from..to]);
        let id = |value: Option<i64>| value.and_then(|id| u32::try_from(id).ok());
        let seconds = field(136, 148).ok_or_else(|| fault("a time is no number").at(&path))?;
        let (seconds, nanoseconds) = extended.mtime.unwrap_or((seconds, 0));
        let is_device = has_devices && matches!(kind, Kind::CharacterDevice | Kind::BlockDevice);
        let device = |from: usize, to: usize| if is_device { id(field(from, to)) } else { Some(0) };
        let no_number = || fault("a number is out of range").at(&path);
        Ok(Some(Member {
            mode: (field(100, 108).ok_or_else(no_number)? & 0o7777) as u32,
            uid: extended.uid.or_else(|| id(field(108, 116))).ok_or_else(no_number)?,
            gid: extended.gid.or_else(|| id(field(116, 124))).ok_or_else(no_number)?,
            size: if kind == Kind::File { size } else { 0 },
            seconds,
            nanoseconds,
            link,
            major: device(329, 337).ok_or_else(no_number)?,
            minor: device(337, 345).ok_or_else(no_number)?,
            xattrs: encode_xattrs(extended.xattrs.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))),
            offset: self.position,
            kind,
            path,
        }))
    }
}

fn hostile(message: &str) -> Failure {
    Failure::new(Code::Hostile, message)
}

fn malformed(position: u64, what: &str) -> Failure {
    hostile(&format!("a tar is malformed at byte {position}: {what}"))
}

/// What the last name of a path means in a layer. OCI image-spec layer.md, "Whiteouts".
enum Mark {
    None,
    Whiteout,
    Opaque,
    /// What aufs had in layers for itself.
    Ignored,
    Invalid,
}

fn mark(path: &[u8]) -> Mark {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    match path[start..].strip_prefix(b".wh.") {
        None => Mark::None,
        Some(b".wh..opq") => Mark::Opaque,
        Some(name) if name.starts_with(b".wh.") => Mark::Ignored,
        Some(b"" | b"." | b"..") => Mark::Invalid,
        Some(_) => Mark::Whiteout,
    }
}

/// A path below the root of an image without empty names, `.` and `..`; the error is what is wrong with it.
fn clean(path: &[u8]) -> std::result::Result<Vec<u8>, &'static str> {
    if path.len() > MAX_PATH {
        return Err("a path is longer than 4,096 bytes");
    }
    if path.contains(&0) {
        return Err("a path has a zero byte");
    }
    let mut cleaned: Vec<u8> = Vec::with_capacity(path.len());
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if cleaned.is_empty() => return Err("a path leads out of the root"),
            b".." => cleaned.truncate(cleaned.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
            _ => {
                if !cleaned.is_empty() {
                    cleaned.push(b'/');
                }
                cleaned.extend_from_slice(name);
            }
        }
    }
    Ok(cleaned)
}

fn name_of(block: &[u8; BLOCK], is_posix: bool) -> Vec<u8> {
    let name = text(&block[..100]);
    // star keeps times in the last 24 bytes of the prefix.
    let prefix = if block[508..512] == *b"tar\0" { text(&block[345..476]) } else { text(&block[345..500]) };
    if !is_posix || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn has_right_sum(block: &[u8; BLOCK]) -> bool {
    let counted = || block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let unsigned: i64 = counted().map(i64::from).sum();
    // Some old writers had signed characters.
    let signed: i64 = counted().map(|byte| i64::from(byte as i8)).sum();
    number(&block[148..156]).is_some_and(|sum| sum == unsigned || sum == signed)
}

/// An octal number, or one to the base 256 as GNU tar writes large and negative ones. An empty field is 0.
fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base_256(field),
        _ => {
            let digits = text(field).trim_ascii();
            digits.iter().try_fold(0i64, |value, digit| match digit {
                b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
                _ => None,
            })
        }
    }
}

/// Two's complement, the highest bit of the first byte being the mark.
fn base_256(field: &[u8]) -> Option<i64> {
    let first = field[0];
    let is_negative = first & 0x40 != 0;
    let start = i128::from(if is_negative { (first | 0x80) as i8 } else { (first & 0x7f) as i8 });
    let value = field[1..].iter().try_fold(start, |value, byte| {
        let next = (value << 8) | i128::from(*byte);
        (next.unsigned_abs() < 1 << 100).then_some(next)
    })?;
    i64::try_from(value).ok()
}

/// `length key=value\n`, repeated. An empty value takes back what an earlier one said.
fn read_records(mut bytes: &[u8], extended: &mut Extended) -> std::result::Result<(), &'static str> {
    const FAULT: &str = "an extended header cannot be read";
    let mut xattrs_length: usize = extended.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
    while !bytes.is_empty() {
        let space = bytes.iter().take(12).position(|byte| *byte == b' ').ok_or(FAULT)?;
        let length = decimal(&bytes[..space]).and_then(|length| usize::try_from(length).ok()).ok_or(FAULT)?;
        if length < space + 3 || length > bytes.len() || bytes[length - 1] != b'\n' {
            return Err(FAULT);
        }
        let record = &bytes[space + 1..length - 1];
        bytes = &bytes[length..];
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(FAULT)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let given = (!value.is_empty()).then_some(value);
        let id = |value: &[u8]| decimal(value).and_then(|id| u32::try_from(id).ok()).ok_or(FAULT);
        match key {
            b"path" => extended.path = given.map(<[u8]>::to_vec),
            b"linkpath" => extended.link = given.map(<[u8]>::to_vec),
            b"size" => extended.size = given.map(|value| decimal(value).ok_or(FAULT)).transpose()?,
            b"uid" => extended.uid = given.map(id).transpose()?,
            b"gid" => extended.gid = given.map(id).transpose()?,
            b"mtime" => extended.mtime = given.map(|value| time(value).ok_or(FAULT)).transpose()?,
            _ if key.starts_with(b"GNU.sparse.") => extended.is_sparse = true,
            _ => {
                let Some(name) = key.strip_prefix(b"SCHILY.xattr.") else { continue };
                xattrs_length = xattrs_length.saturating_add(name.len() + value.len());
                if name.is_empty() || name.contains(&0) || xattrs_length > MAX_XATTRS {
                    return Err("an extended attribute is out of bounds");
                }
                extended.xattrs.insert(name.to_vec(), value.to_vec());
            }
        }
    }
    Ok(())
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// `[-]seconds[.fraction]`; digits after the ninth are cut off.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanoseconds =
        (0..9).fold(0u32, |value, at| value * 10 + fraction.get(at).map_or(0, |digit| u32::from(digit - b'0')));
    match (negative, nanoseconds) {
        (false, _) => Some((seconds, nanoseconds)),
        (true, 0) => Some((-seconds, 0)),
        (true, _) => Some((-seconds - 1, 1_000_000_000 - nanoseconds)),
    }
}

#[cfg(test)]
mod tests;
