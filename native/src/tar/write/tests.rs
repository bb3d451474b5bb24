use super::*;
use crate::table::encode_xattrs;

fn headers(entry: &Entry<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_header(entry, entry.seconds, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_plain_file_has_one_ustar_header_of_known_bytes() {
    let entry = Entry { mode: 0o4755, uid: 1000, gid: 10, size: 5, seconds: 1, ..Entry::new(b"a/b", Kind::File) };
    let block = headers(&entry);
    assert_eq!(block.len(), BLOCK);
    let fields = [
        (0, &b"a/b\0"[..]),
        (100, b"0004755\0"),
        (108, b"0001750\0"),
        (116, b"0000012\0"),
        (124, b"00000000005\0"),
        (136, b"00000000001\0"),
        (148, b"007614\0 "),
        (156, b"0"),
        (257, b"ustar\x0000"),
        (329, b"0000000\x000000000\0"),
    ];
    for (at, expected) in fields {
        assert_eq!(&block[at..at + expected.len()], expected, "at {at}");
    }
    let named = fields.iter().flat_map(|(at, expected)| *at..*at + expected.len()).collect::<Vec<_>>();
    assert!((0..BLOCK).filter(|at| !named.contains(at)).all(|at| block[at] == 0));
}

#[test]
fn long_paths_are_divided_at_a_slash_if_they_can() {
    let divided = [b"d".repeat(150).as_slice(), b"/", &b"f".repeat(100)].concat();
    let block = headers(&Entry::new(&divided, Kind::File));
    assert_eq!(block.len(), BLOCK);
    assert_eq!(&block[345..496], [b"d".repeat(150).as_slice(), b"\0"].concat());
    assert_eq!(&block[..100], b"f".repeat(100));
    for path in [b"n".repeat(101), b"d".repeat(99), [b"d".repeat(156).as_slice(), b"/f"].concat()] {
        let kind = if path.len() == 99 { Kind::Directory } else { Kind::File };
        let expected = if path.len() == 99 { BLOCK } else { 3 * BLOCK };
        assert_eq!(headers(&Entry::new(&path, kind)).len(), expected, "{} bytes", path.len());
    }
}

#[test]
fn pax_records_stand_in_for_what_ustar_cannot_hold() {
    let name = "\u{fc}".as_bytes();
    let xattrs = encode_xattrs([(b"security.capability".as_slice(), b"\x01\0".as_slice())]);
    for (entry, expected) in [
        (Entry::new(name, Kind::File), &b"11 path=\xc3\xbc\n"[..]),
        (Entry { link: name, ..Entry::new(b"a", Kind::Symlink) }, b"15 linkpath=\xc3\xbc\n"),
        (Entry { size: 9 << 30, ..Entry::new(b"a", Kind::File) }, b"19 size=9663676416\n"),
        (Entry { uid: 2_097_152, ..Entry::new(b"a", Kind::File) }, b"15 uid=2097152\n"),
        (Entry { seconds: -1, ..Entry::new(b"a", Kind::File) }, b"12 mtime=-1\n"),
        (Entry { xattrs: &xattrs, ..Entry::new(b"a", Kind::File) }, b"39 SCHILY.xattr.security.capability=\x01\0\n"),
    ] {
        let bytes = headers(&entry);
        assert_eq!(bytes.len(), 3 * BLOCK);
        assert_eq!(bytes[156], b'x');
        let content = &bytes[BLOCK..BLOCK + expected.len() + 1];
        assert_eq!(content, [expected, b"\0"].concat(), "{}", String::from_utf8_lossy(content));
    }
    // A size that fits the field to the last digit takes no record.
    assert_eq!(headers(&Entry { size: (8 << 30) - 1, ..Entry::new(b"a", Kind::File) }).len(), BLOCK);
    // Bytes that are no UTF-8 stay as they are.
    assert_eq!(&headers(&Entry::new(b"\xff", Kind::File))[..2], b"\xff\0");
}

#[test]
fn names_that_no_tar_can_hold_are_refused() {
    let xattrs = encode_xattrs([(b"user.a=b".as_slice(), b"".as_slice())]);
    for entry in [
        Entry::new(b"a\0b", Kind::File),
        Entry { link: b"\0", ..Entry::new(b"a", Kind::Symlink) },
        Entry { xattrs: &xattrs, ..Entry::new(b"a", Kind::File) },
    ] {
        assert_eq!(put_header(&entry, 0, &mut Vec::new()).map_err(|failure| failure.code), Err(Code::Protocol));
    }
}

#[test]
fn a_record_counts_its_own_length() {
    for length in 0..1200 {
        let mut out = Vec::new();
        put_record(b"k", &b"v".repeat(length), &mut out);
        let told = out.split(|byte| *byte == b' ').next().unwrap();
        assert_eq!(std::str::from_utf8(told).unwrap().parse::<usize>().unwrap(), out.len());
    }
}
