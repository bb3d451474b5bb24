use super::*;
use crate::attributes;
use crate::failure::Code;
use crate::folders::MAX_OPEN;
use crate::ingest::ingest;
use crate::protocol::{BlobSource, Compression, CompressionKind, IngestCompression, Recompress};
use crate::recompress::recompress;
use crate::record::{implied_file, Record};
use crate::sandbox::protocol::{IngestTree, Owners};
use crate::tar::padding;
use crate::tar::write::{put_header, END};
use crate::testing::{has_root, ingest_request, Folder, Random};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::fs::{symlink, FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::mpsc::sync_channel;

type Member<'a> = (Entry<'a>, &'a [u8]);

fn tar(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (entry, content) in members {
        put_header(&Entry { size: content.len() as u64, ..entry.clone() }, entry.seconds, &mut bytes).unwrap();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + padding(content.len() as u64), 0);
    }
    bytes.extend(END);
    bytes
}

fn file<'a>(path: &'a str, content: &'a str) -> Member<'a> {
    (Entry { mode: 0o644, seconds: 1000, ..Entry::new(path.as_bytes(), Kind::File) }, content.as_bytes())
}

fn folder_at(path: &str, mode: u32) -> Member<'_> {
    (Entry { mode, seconds: 77, ..Entry::new(path.as_bytes(), Kind::Directory) }, b"")
}

fn link<'a>(path: &'a str, target: &'a str, kind: Kind) -> Member<'a> {
    (Entry { link: target.as_bytes(), mode: 0o777, ..Entry::new(path.as_bytes(), kind) }, b"")
}

fn mark(path: &str) -> Member<'_> {
    (Entry::new(path.as_bytes(), Kind::Whiteout), b"")
}

/// How a tree comes to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Plain,
    Compressed,
    Ingested,
    IngestedCompressed,
}

const WAYS: [Way; 4] = [Way::Plain, Way::Compressed, Way::Ingested, Way::IngestedCompressed];

/// Takes a layer in and unpacks it to `tree`.
fn unpack_in(folder: &Folder, bytes: &[u8], way: Way, form: TreeForm, owners: Owners) -> Result<()> {
    let job = &Job::silent();
    folder.write("plain", bytes);
    let is_compressed = matches!(way, Way::Compressed | Way::IngestedCompressed);
    let kind = if is_compressed { CompressionKind::Zstd } else { CompressionKind::None };
    let input = BlobSource { path: folder.text("plain"), compression: CompressionKind::None };
    let compression = Compression { kind, level: 3 };
    let _ = std::fs::remove_file(folder.at("input"));
    recompress(Recompress { id: 1, input, output: folder.text("input"), compression }, job).unwrap();
    let announced = if is_compressed { IngestCompression::Zstd } else { IngestCompression::None };
    let mut request = ingest_request(folder, announced);
    request.output = None;
    let _ = std::fs::remove_file(folder.at("index"));
    let is_ingested = matches!(way, Way::Ingested | Way::IngestedCompressed);
    if is_ingested {
        request.tree = Some(IngestTree { output: folder.text("tree"), owners });
    }
    ingest(request, sync_channel(1).1, job)?;
    if is_ingested {
        return Ok(());
    }
    let blob = BlobSource { path: folder.text("input"), compression: kind };
    let (index, output) = (folder.text("index"), folder.text("tree"));
    unpack(Unpack { id: 1, blob, index, output, form, owners }, job).map(drop)
}

fn code(result: Result<()>) -> Code {
    result.err().unwrap().code
}

/// A line for each path that tells what is there.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let stat = std::fs::symlink_metadata(&path).unwrap();
            let kind = stat.file_type();
            let what = if kind.is_dir() {
                waiting.push(path.clone());
                let opened = std::fs::File::open(&path).unwrap();
                if attributes::read(opened.as_fd()).unwrap().is_opaque { "opaque" } else { "folder" }.to_owned()
            } else if kind.is_symlink() {
                format!("-> {}", std::fs::read_link(&path).unwrap().display())
            } else if kind.is_char_device() {
                format!("device {}", stat.rdev())
            } else if kind.is_fifo() {
                "fifo".to_owned()
            } else {
                format!("{}", blake3::hash(&std::fs::read(&path).unwrap()))
            };
            let is_link = kind.is_symlink();
            let mode = if is_link { 0 } else { stat.mode() & 0o7777 };
            lines.insert(name, format!("{what} {mode:o} {}:{} {}", stat.uid(), stat.gid(), stat.mtime()));
        }
    }
    lines
}

#[test]
fn a_layer_becomes_a_lower_directory_of_an_overlay() {
    if !has_root("a_layer_becomes_a_lower_directory_of_an_overlay") {
        return;
    }
    let xattrs = crate::table::encode_xattrs([
        (b"security.selinux".as_slice(), b"label".as_slice()),
        (b"user.kbuild.stat", b"1 1 100644 0 0"),
        (b"user.note", b"x"),
        (b"user.overlay.opaque", b"y"),
    ]);
    let large = String::from_utf8(Random::new(1).text(700_000)).unwrap();
    let members = [
        folder_at("d", 0o2555),
        (Entry { mode: 0o4750, uid: 7, gid: 8, xattrs: &xattrs, ..file("d/set", "").0 }, b"content".as_slice()),
        (Entry { uid: 1000, gid: 1000, ..link("d/link", "/etc/passwd", Kind::Symlink).0 }, b""),
        (Entry { mode: 0o622, uid: 3, ..Entry::new(b"d/pipe", Kind::Fifo) }, b""),
        (Entry { mode: 0o666, major: 1, minor: 3, ..Entry::new(b"dev/null", Kind::CharacterDevice) }, b""),
        link("hard", "d/set", Kind::Hardlink),
        file("large", &large),
        mark("gone/.wh.file"),
        mark("hidden/.wh..wh..opq"),
        mark("hidden/.wh.moot"),
        folder_at("new", 0o700),
        mark(".wh.new"),
        file("new/inside", "1"),
        file("covered", "2"),
        mark(".wh.covered"),
    ];
    let mut listings = Vec::new();
    for way in WAYS {
        let folder = Folder::new();
        unpack_in(&folder, &tar(&members), way, TreeForm::Layer, Owners::Real).unwrap();
        let tree = folder.at("tree");
        let listed = listing(&tree);
        let hash = |text: &str| blake3::hash(text.as_bytes()).to_string();
        for (path, expected) in [
            ("d", "folder 2555 0:0 77".to_owned()),
            ("d/set", format!("{} 4750 7:8 1000", hash("content"))),
            ("d/link", "-> /etc/passwd 0 1000:1000 0".to_owned()),
            ("d/pipe", "fifo 622 3:0 0".to_owned()),
            ("dev", "folder 755 0:0 0".to_owned()),
            ("dev/null", format!("{} 666 0:0 0", hash(""))),
            ("hard", format!("{} 4750 7:8 1000", hash("content"))),
            ("large", format!("{} 644 0:0 1000", hash(&large))),
            ("gone/file", "device 0 0 0:0".to_owned()),
            ("hidden", "opaque 755 0:0 0".to_owned()),
            ("new", "opaque 700 0:0 77".to_owned()),
            ("covered", format!("{} 644 0:0 1000", hash("2"))),
        ] {
            let line = &listed[path];
            let line = if path == "gone/file" { &line[..expected.len()] } else { line };
            assert_eq!(line, expected, "{path} {way:?}");
        }
        assert!(!listed.contains_key("hidden/moot"));
        let inode = |path: &str| std::fs::metadata(tree.join(path)).unwrap().ino();
        assert_eq!(inode("d/set"), inode("hard"));
        let read = |path: &str| attributes::read(std::fs::File::open(tree.join(path)).unwrap().as_fd()).unwrap();
        let found = read("d/set");
        assert_eq!(found.attributes, [(b"user.note".to_vec(), b"x".to_vec())]);
        assert_eq!((found.record, found.is_opaque), (None, false));
        let device = Record { uid: 0, gid: 0, mode: 0o020_666, major: 1, minor: 3 };
        assert_eq!(read("dev/null").record, Some(device));
        let implied = std::fs::read(implied_file(tree.to_str().unwrap())).unwrap();
        assert_eq!(String::from_utf8(implied).unwrap(), "\0dev\0gone\0hidden\0");
        let mut listed = listed;
        listed.remove("gone/file");
        listings.push(listed);
    }
    assert!(listings.iter().all(|listed| *listed == listings[0]));
}

#[test]
fn owners_that_nobody_may_give_are_kept_on_record() {
    let me = (geteuid().as_raw(), getegid().as_raw());
    let owned = |entry: Entry<'static>| Entry { uid: 1000, gid: 100, ..entry };
    let members = [
        (owned(folder_at("d", 0o750).0), b"".as_slice()),
        (owned(Entry { mode: 0o4755, ..file("d/file", "").0 }), b"1"),
        (owned(link("d/link", "x", Kind::Symlink).0), b""),
        (owned(Entry { mode: 0o600, ..Entry::new(b"pipe", Kind::Fifo) }), b""),
        file("root's", ""),
        link("root's link", "x", Kind::Symlink),
    ];
    for way in WAYS {
        let folder = Folder::new();
        unpack_in(&folder, &tar(&members), way, TreeForm::Layer, Owners::Recorded).unwrap();
        let tree = folder.at("tree");
        let read = |path: &str| attributes::read(std::fs::File::open(tree.join(path)).unwrap().as_fd()).unwrap().record;
        let record = |mode| Record { uid: 1000, gid: 100, mode, major: 0, minor: 0 };
        assert_eq!(read("d"), Some(record(0o040_750)));
        assert_eq!(read("d/file"), Some(record(0o104_755)));
        assert_eq!(read("root's"), None);
        let records = read_owners(tree.to_str().unwrap()).unwrap();
        let expected = [("d/link", record(0o120_777)), ("pipe", record(0o010_600))];
        assert_eq!(records, expected.map(|(path, record)| (path.as_bytes().to_vec(), record)).into_iter().collect());
        let stat = std::fs::metadata(tree.join("d/file")).unwrap();
        assert_eq!((stat.mode() & 0o7777, stat.uid(), stat.gid()), (0o4755, me.0, me.1));
    }
}

#[test]
fn later_members_replace_earlier_ones() {
    let many: Vec<String> = (0..200).map(|number| format!("many/{number}")).collect();
    let mut members = vec![
        file("a", "1"),
        file("b/c", "2"),
        link("kept", "a", Kind::Hardlink),
        file("a", "3"),
        file("b", "4"),
        link("l", "/etc", Kind::Symlink),
        folder_at("l", 0o755),
        file("l/inside", "5"),
        folder_at("e", 0o755),
        file("e/x", "6"),
        folder_at("e", 0o700),
    ];
    members.extend(many.iter().map(|path| file(path, "old")));
    members.push(file("many", "no folder"));
    members.push(folder_at("many", 0o755));
    members.extend(many.iter().rev().map(|path| file(path, "new")));
    for way in WAYS {
        let folder = Folder::new();
        unpack_in(&folder, &tar(&members), way, TreeForm::Layer, Owners::Recorded).unwrap();
        let text = |path: &str| std::fs::read_to_string(folder.at("tree").join(path)).unwrap();
        let contents = ["a", "kept", "b", "l/inside", "e/x"].map(text);
        assert_eq!(contents, ["3", "1", "4", "5", "6"], "{way:?}");
        assert_eq!(std::fs::metadata(folder.at("tree/e")).unwrap().mode() & 0o777, 0o700);
        assert!(many.iter().all(|path| text(path) == "new"), "{way:?}");
    }
}

#[test]
fn nothing_outside_is_touched_and_nothing_stays() {
    let deep = vec!["d"; 1000].join("/");
    for (name, members, expected) in [
        ("through a link", vec![link("d", "../elsewhere", Kind::Symlink), file("d/file", "x")], Code::Hostile),
        ("below a file", vec![file("d", ""), file("d/file", "x")], Code::Hostile),
        ("a mark below a file", vec![file("d", ""), mark("d/.wh.x")], Code::Hostile),
        ("a link to nothing", vec![link("a", "missing", Kind::Hardlink)], Code::Hostile),
        (
            "a link through a link",
            vec![link("d", "/", Kind::Symlink), link("a", "d/etc/passwd", Kind::Hardlink)],
            Code::Hostile,
        ),
        ("a link below a file", vec![file("d", ""), link("a", "d/x", Kind::Hardlink)], Code::Hostile),
    ] {
        for way in WAYS {
            let folder = Folder::new();
            folder.write("outside", b"untouched");
            std::fs::create_dir(folder.at("elsewhere")).unwrap();
            let result = unpack_in(&folder, &tar(&members), way, TreeForm::Layer, Owners::Recorded);
            let found = code(result);
            assert!(found == expected || found == Code::Denied, "{name} {way:?}: {found:?}");
            assert_eq!(std::fs::read_dir(folder.at("elsewhere")).unwrap().count(), 0, "{name} {way:?}");
            assert!(!folder.names().iter().any(|name| name.starts_with("tree")), "{name} {way:?}");
        }
    }
    for way in WAYS {
        let folder = Folder::new();
        let path = format!("{deep}/a");
        unpack_in(&folder, &tar(&[file(&path, "1")]), way, TreeForm::Layer, Owners::Recorded).unwrap();
        let wide: Vec<String> =
            (0..MAX_OPEN * 2).map(|number| format!("{}/{number}", vec!["n"; number + 1].join("/"))).collect();
        let members: Vec<_> = wide.iter().map(|path| file(path, path)).collect();
        let other = Folder::new();
        unpack_in(&other, &tar(&members), way, TreeForm::Layer, Owners::Recorded).unwrap();
        assert!(wide.iter().all(|path| std::fs::read_to_string(other.at("tree").join(path)).unwrap() == *path));
        crate::trees::remove_tree(&folder.text("tree"), None).unwrap();
    }
}

#[test]
fn a_damaged_layer_leaves_nothing() {
    let bytes = tar(&[file("a", "content"), file("b", "more")]);
    let folder = Folder::new();
    unpack_in(&folder, &bytes, Way::Plain, TreeForm::Layer, Owners::Recorded).unwrap();
    crate::trees::remove_tree(&folder.text("tree"), None).unwrap();
    let mut damaged = bytes.clone();
    damaged[512] ^= 1;
    folder.write("input", &damaged);
    let blob = BlobSource { path: folder.text("input"), compression: CompressionKind::None };
    let (index, output) = (folder.text("index"), folder.text("tree"));
    let request = Unpack { id: 1, blob, index, output, form: TreeForm::Layer, owners: Owners::Recorded };
    assert_eq!(unpack(request, &Job::silent()).err().unwrap().code, Code::Mismatch);
    assert!(!folder.at("tree").exists());
}

#[test]
fn zeros_become_holes() {
    let mut content = vec![0; 3 << 20];
    content[1 << 20] = 1;
    let text = String::from_utf8(content.clone()).unwrap();
    let zeros = "\0".repeat(100_000);
    for way in WAYS {
        let folder = Folder::new();
        let members = [file("a", &text), file("z", &zeros)];
        unpack_in(&folder, &tar(&members), way, TreeForm::Layer, Owners::Recorded).unwrap();
        assert!(std::fs::read(folder.at("tree/a")).unwrap() == content);
        assert_eq!(std::fs::metadata(folder.at("tree/z")).unwrap().len(), 100_000);
        let blocks = std::fs::metadata(folder.at("tree/a")).unwrap().blocks();
        assert!(blocks * 512 < 1 << 20, "{way:?} {blocks}");
    }
}

#[test]
fn a_layer_is_laid_over_a_tree() {
    let folder = Folder::new();
    let elsewhere = folder.write("outside", b"untouched");
    let apply = |members: &[Member<'_>]| {
        unpack_in(&folder, &tar(members), Way::Plain, TreeForm::Apply, Owners::Recorded).unwrap();
    };
    let outside = elsewhere.as_str();
    let owned = Entry { uid: 5, ..link("links/owned", "x", Kind::Symlink).0 };
    let noted = crate::table::encode_xattrs([(b"user.note".as_slice(), b"1".as_slice())]);
    apply(&[
        (Entry { xattrs: &noted, uid: 9, ..folder_at("d", 0o700).0 }, b""),
        file("d/a", "1"),
        file("d/b", "1"),
        folder_at("gone", 0o755),
        file("gone/x/y", "1"),
        folder_at("emptied", 0o755),
        file("emptied/old", "1"),
        file("to-folder", "1"),
        folder_at("to-file", 0o755),
        file("to-file/x", "1"),
        link("link", outside, Kind::Symlink),
        file("one", "linked"),
        link("two", "one", Kind::Hardlink),
        (owned, b""),
        folder_at("still", 0o711),
        file("still/x", "1"),
    ]);
    assert_eq!(read_owners(&folder.text("tree")).unwrap().len(), 1);
    apply(
        &[
            folder_at("d", 0o755),
            mark("d/.wh.a"),
            mark(".wh.gone"),
            mark("emptied/.wh..wh..opq"),
            file("emptied/new", "2"),
            folder_at("to-folder", 0o755),
            file("to-folder/x", "2"),
            file("to-file", "2"),
            file("link", "2"),
            file("two", "2"),
            link("three", "one", Kind::Hardlink),
            mark("missing/.wh.x"),
            mark("to-file/.wh.x").clone(),
            file("links/owned", "2"),
            file("still/y", "2"),
        ][..12],
    );
    apply(&[file("links/owned", "2"), file("still/y", "2")]);
    let text = |path: &str| std::fs::read_to_string(folder.at("tree").join(path)).unwrap();
    let exists = |path: &str| folder.at("tree").join(path).symlink_metadata().is_ok();
    assert_eq!(
        ["d/b", "emptied/new", "to-folder/x", "to-file", "link", "two", "one", "three"].map(text),
        ["1", "2", "2", "2", "2", "2", "linked", "linked"]
    );
    assert_eq!(["d/a", "gone", "emptied/old"].map(exists), [false; 3]);
    assert_eq!(folder.read("outside"), b"untouched");
    let found = attributes::read(std::fs::File::open(folder.at("tree/d")).unwrap().as_fd()).unwrap();
    assert_eq!((found.attributes.len(), found.record), (0, None));
    let stat = |path: &str| std::fs::metadata(folder.at("tree").join(path)).unwrap();
    assert_eq!((stat("d").mode() & 0o777, stat("d").mtime()), (0o755, 77));
    // A folder that the layer says nothing of is what it was.
    assert_eq!((stat("still").mode() & 0o777, stat("still").mtime()), (0o711, 77));
    assert_eq!((stat("missing").mode() & 0o777, stat("missing").mtime()), (0o755, 0));
    assert!(read_owners(&folder.text("tree")).unwrap().is_empty());
    assert!(!folder.at("tree.owners").exists());
    // Links of the tree are not followed.
    apply(&[link("out", folder.path().to_str().unwrap(), Kind::Symlink)]);
    symlink(folder.path(), folder.at("tree/out2")).unwrap();
    apply(&[file("out/outside", "3"), mark("out2/.wh.outside")]);
    assert_eq!(folder.read("outside"), b"untouched");
    assert_eq!(text("out/outside"), "3");
}
