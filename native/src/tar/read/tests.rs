use super::*;
use crate::table::Entry;
use crate::tar::write::{put_header, END};
use crate::testing::Random;

fn members(bytes: &[u8]) -> Result<Vec<Member>> {
    let mut reader = Reader::new(bytes);
    let mut members = Vec::new();
    while let Some(member) = reader.next()? {
        members.push(member);
    }
    Ok(members)
}

/// A header as an old writer would make it, with a right checksum.
fn header(name: &[u8], change: impl FnOnce(&mut [u8; BLOCK])) -> Vec<u8> {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(b"00000000000");
    block[156] = b'0';
    change(&mut block);
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block.to_vec()
}

/// A header of this type with a content.
fn with_content(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(b"extended", |block| {
        block[156] = kind;
        block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    });
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + padding(content.len() as u64), 0);
    bytes
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest + 1..).find(|length| length.to_string().len() + rest == *length).unwrap();
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

#[test]
fn paths_are_cleaned_below_the_root() {
    for (given, expected) in [
        (&b"./a//b/./c/"[..], Some(&b"a/b/c"[..])),
        (b"/etc/passwd", Some(b"etc/passwd")),
        (b"a/b/../../c", Some(b"c")),
        (b"./", Some(b"")),
        (b"..", None),
        (b"a/../../b", None),
        (b"/..", None),
        (b"a\0b", None),
    ] {
        assert_eq!(clean(given).ok().as_deref(), expected, "{}", String::from_utf8_lossy(given));
    }
    assert!(clean(&[b'a'; MAX_PATH + 1]).is_err());
}

#[test]
fn numbers_are_octal_or_to_the_base_256() {
    for (field, expected) in [
        (&b"0000644\0"[..], Some(0o644)),
        (b"   644 \0", Some(0o644)),
        (b"\0\0\0\0\0\0\0\0", Some(0)),
        (b"0000648\0", None),
        (b"-000001\0", None),
        (b"\x80\0\0\0\0\0\0\0\0\x20\0\0", Some(0x20_0000)),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
        (b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
    ] {
        assert_eq!(number(field), expected, "{field:?}");
    }
}

#[test]
fn times_may_be_negative_and_have_fractions() {
    for (text, expected) in [
        ("0", Some((0, 0))),
        ("12.5", Some((12, 500_000_000))),
        ("12.1234567891", Some((12, 123_456_789))),
        ("-1.25", Some((-2, 750_000_000))),
        ("-3", Some((-3, 0))),
        ("", None),
        ("1.x", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(time(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn old_and_gnu_headers_are_understood() {
    let long = [b"d/".repeat(80).as_slice(), b"f"].concat();
    let tar = [
        header(b"v7", |_| {}),
        header(b"v7folder/", |block| block[156] = 0),
        with_content(b'L', &[long.as_slice(), b"\0"].concat()),
        with_content(b'K', b"../target\0"),
        header(b"short", |block| block[156] = b'2'),
        header(b"name", |block| {
            block[257..265].copy_from_slice(b"ustar\x0000");
            block[345..351].copy_from_slice(b"prefix");
        }),
        header(b"gnu", |block| {
            block[257..265].copy_from_slice(b"ustar  \0");
            block[345..351].copy_from_slice(b"atime0");
        }),
    ]
    .concat();
    let members = members(&tar).unwrap();
    let paths: Vec<&[u8]> = members.iter().map(|member| member.path.as_slice()).collect();
    assert_eq!(paths, [b"v7".as_slice(), b"v7folder", &long, b"prefix/name", b"gnu"]);
    assert_eq!(members[1].kind, Kind::Directory);
    assert_eq!((members[2].kind, members[2].link.as_slice()), (Kind::Symlink, b"../target".as_slice()));
}

#[test]
fn pax_records_go_before_the_header_and_global_ones_are_passed_over() {
    let records = [
        record("path", "sch\u{f6}n".as_bytes()),
        record("size", b"3"),
        record("uid", b"4000000000"),
        record("mtime", b"7.5"),
        record("SCHILY.xattr.user.b", b"x\0y"),
        record("SCHILY.xattr.user.a", b""),
        record("comment", b"nothing"),
    ]
    .concat();
    let mut tar = with_content(b'g', &record("path", b"everywhere"));
    tar.extend(with_content(b'x', &records));
    tar.extend(header(b"ascii", |_| {}));
    tar.extend([b'c'; BLOCK]);
    tar.extend(header(b"next", |_| {}));
    let members = members(&tar).unwrap();
    assert_eq!(members[0].path, "sch\u{f6}n".as_bytes());
    assert_eq!((members[0].size, members[0].uid), (3, 4_000_000_000));
    assert_eq!((members[0].seconds, members[0].nanoseconds), (7, 500_000_000));
    let xattrs = encode_xattrs([(b"user.a".as_slice(), b"".as_slice()), (b"user.b", b"x\0y")]);
    assert_eq!(members[0].xattrs, xattrs);
    assert_eq!(members[1].path, b"next");
}

#[test]
fn marks_of_layers_are_told_apart() {
    let tar =
        [&b"a/.wh.b"[..], b"a/.wh..wh..opq", b".wh..wh.plnk", b"a.wh.b"].map(|name| header(name, |_| {})).concat();
    let kinds: Vec<Kind> = members(&tar).unwrap().iter().map(|member| member.kind).collect();
    assert_eq!(kinds, [Kind::Whiteout, Kind::Opaque, Kind::File]);
    for name in [&b"a/.wh."[..], b".wh...", b"a/.wh.."] {
        assert!(members(&header(name, |_| {})).is_err(), "{}", String::from_utf8_lossy(name));
    }
}

#[test]
fn what_is_hostile_or_not_supported_is_refused() {
    let sparse = with_content(b'x', &record("GNU.sparse.major", b"1"));
    let mut wrong_sum = header(b"a", |_| {});
    wrong_sum[0] = b'b';
    let long = with_content(b'x', &record("path", &[b'a'; MAX_PATH + 1]));
    for (name, tar) in [
        ("sparse of GNU", header(b"a", |block| block[156] = b'S')),
        ("sparse of pax", [sparse, header(b"a", |_| {})].concat()),
        ("wrong checksum", wrong_sum),
        ("too long", [long, header(b"a", |_| {})].concat()),
        ("unknown type", header(b"a", |block| block[156] = b'M')),
        (
            "huge extended header",
            header(b"a", |block| {
                block[156] = b'x';
                block[124..135].copy_from_slice(b"77777777777");
            }),
        ),
        ("negative size", header(b"a", |block| block[124..136].fill(0xff))),
        ("leaves the root", header(b"../a", |_| {})),
        (
            "link leaves the root",
            header(b"a", |block| {
                block[156] = b'1';
                block[157..160].copy_from_slice(b"../");
            }),
        ),
        ("cut short", with_content(b'0', &[1; 600])[..BLOCK + 100].to_vec()),
        ("lone zero block", [vec![0; BLOCK], header(b"a", |_| {})].concat()),
        ("record without length", [with_content(b'x', b"path=a\n"), header(b"a", |_| {})].concat()),
        ("root as a file", header(b".", |_| {})),
    ] {
        assert_eq!(members(&tar).map_err(|failure| failure.code), Err(Code::Hostile), "{name}");
    }
}

#[test]
fn an_archive_may_end_without_its_zero_blocks() {
    for tail in [0, BLOCK, 2 * BLOCK, 20 * BLOCK] {
        let tar = [header(b"a", |_| {}), vec![0; tail]].concat();
        assert_eq!(members(&tar).unwrap().len(), 1, "{tail} zero bytes");
    }
    assert!(members(b"").unwrap().is_empty());
}

#[test]
fn what_is_written_is_read_back() {
    let mut random = Random::new(7);
    for _ in 0..2000 {
        let path = random.path();
        let link = random.path();
        let kinds = [Kind::File, Kind::Directory, Kind::Symlink, Kind::Hardlink, Kind::CharacterDevice, Kind::Fifo];
        let kind = kinds[random.below(kinds.len())];
        let is_link = matches!(kind, Kind::Symlink | Kind::Hardlink);
        let is_device = kind == Kind::CharacterDevice;
        let value = random.bytes(40);
        let xattrs = encode_xattrs([(b"user.one".as_slice(), value.as_slice())].into_iter().take(random.below(2)));
        let seconds = [0, 1_700_000_000, -5, 1 << 33, 1 << 40][random.below(5)];
        let entry = Entry {
            mode: random.below(0o10000) as u32,
            uid: random.number() as u32 >> random.below(32),
            gid: random.number() as u32 >> random.below(32),
            size: if kind == Kind::File { random.number() >> (20 + random.below(44)) } else { 0 },
            seconds,
            link: if is_link { &link } else { b"" },
            major: if is_device { 5 } else { 0 },
            minor: if is_device { random.below(256) as u32 } else { 0 },
            xattrs: &xattrs,
            ..Entry::new(&path, kind)
        };
        let mut tar = Vec::new();
        put_header(&entry, entry.seconds, &mut tar).unwrap();
        assert_eq!(tar.len() % BLOCK, 0);
        let member = Reader::new(tar.as_slice()).next().unwrap().unwrap();
        let expected = Member {
            path: path.clone(),
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            seconds,
            nanoseconds: 0,
            link: entry.link.to_vec(),
            major: entry.major,
            minor: entry.minor,
            xattrs: xattrs.clone(),
            offset: tar.len() as u64,
        };
        assert_eq!(member, expected);
    }
}

#[test]
fn damaged_bytes_end_in_a_failure_or_in_other_members_never_in_a_panic() {
    let mut random = Random::new(3);
    let mut tar = with_content(b'x', &[record("path", "\u{f6}".as_bytes()), record("size", b"600")].concat());
    tar.extend(with_content(b'0', &[9; 600]));
    tar.extend(with_content(b'L', b"long\0"));
    tar.extend(header(b"b", |block| block[156] = b'1'));
    tar.extend(END);
    for _ in 0..20_000 {
        let mut damaged = tar.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(damaged.len());
            damaged[at] ^= 1 << random.below(8);
        }
        // The checksum would hide what lies behind it.
        for block in damaged.chunks_exact_mut(BLOCK).filter(|block| block[148..156] != [0; 8]) {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
        damaged.truncate(damaged.len() - random.below(3) * random.below(700));
        if let Err(failure) = members(&damaged) {
            assert_eq!(failure.code, Code::Hostile);
        }
    }
}
