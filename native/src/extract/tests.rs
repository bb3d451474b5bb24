use super::*;
use crate::folders::MAX_OPEN;
use crate::table::{encode_xattrs, Source};
use crate::testing::{extract_request, table_bytes, Folder};
use std::os::unix::fs::{symlink, MetadataExt};

fn inline<'a>(path: &'a str, content: &'a [u8]) -> Entry<'a> {
    Entry {
        mode: 0o640,
        size: content.len() as u64,
        seconds: 1000,
        nanoseconds: 5,
        source: Source::Inline(content),
        ..Entry::new(path.as_bytes(), Kind::File)
    }
}

fn run<'a>(folder: &Folder, entries: impl IntoIterator<Item = Entry<'a>>) -> Outcome {
    extract(extract_request(folder, &[], &[]), table_bytes(entries), &Job::silent())
}

#[test]
fn a_tree_is_written_as_the_table_says() {
    let folder = Folder::new();
    let xattrs = encode_xattrs([(b"user.note".as_slice(), b"x".as_slice())]);
    let entries = [
        Entry { mode: 0o555, seconds: 7, ..Entry::new(b"d", Kind::Directory) },
        Entry { mode: 0o4750, xattrs: &xattrs, ..inline("d/file", b"content") },
        Entry { link: b"d/file", ..Entry::new(b"hard", Kind::Hardlink) },
        Entry { link: b"/etc/passwd", seconds: 9, ..Entry::new(b"link", Kind::Symlink) },
        inline("made/on/the/way", b""),
        Entry { mode: 0o600, ..Entry::new(b"pipe", Kind::Fifo) },
    ];
    // The owner is one that everyone may give: oneself.
    let (uid, gid) = (geteuid().as_raw(), rustix::process::getegid().as_raw());
    let (reply, _) = run(&folder, entries.map(|entry| Entry { uid, gid, ..entry })).unwrap();
    let Reply::Extracted { files: 2, bytes: 7, .. } = reply else { panic!("{reply:?}") };
    let stat = |path: &str| std::fs::symlink_metadata(folder.at("tree").join(path)).unwrap();
    assert_eq!((stat("d").mode() & 0o7777, stat("d").mtime()), (0o555, 7));
    assert_eq!((stat("d/file").mode() & 0o7777, stat("d/file").mtime_nsec()), (0o4750, 5));
    assert_eq!(stat("d/file").ino(), stat("hard").ino());
    assert_eq!(std::fs::read_link(folder.at("tree/link")).unwrap().to_str(), Some("/etc/passwd"));
    assert_eq!(stat("link").mtime(), 9);
    assert_eq!(std::fs::read(folder.at("tree/hard")).unwrap(), b"content");
    assert_eq!(stat("made/on/the/way").size(), 0);
}

#[test]
fn what_is_there_is_replaced_and_links_are_not_followed() {
    let folder = Folder::new();
    let outside = folder.write("outside", b"untouched");
    std::fs::create_dir_all(folder.at("tree/kept")).unwrap();
    std::fs::create_dir_all(folder.at("elsewhere")).unwrap();
    std::fs::write(folder.at("tree/kept/file"), b"old").unwrap();
    symlink(&outside, folder.at("tree/a")).unwrap();
    symlink(folder.at("elsewhere"), folder.at("tree/d")).unwrap();
    let folders = [b"d".as_slice(), b"kept"].map(|path| Entry { mode: 0o755, ..Entry::new(path, Kind::Directory) });
    let [d, kept] = folders;
    run(&folder, [inline("a", b"new"), d, inline("d/b", b"inside"), kept, inline("kept/file", b"new")]).unwrap();
    assert_eq!(folder.read("outside"), b"untouched");
    assert_eq!(std::fs::read_dir(folder.at("elsewhere")).unwrap().count(), 0);
    assert_eq!(folder.read("tree/a"), b"new");
    assert_eq!(folder.read("tree/d/b"), b"inside");
    assert_eq!(folder.read("tree/kept/file"), b"new");
}

#[test]
fn nothing_is_written_through_a_link_or_outside() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.at("elsewhere")).unwrap();
    let link = Entry { link: b"../elsewhere", ..Entry::new(b"d", Kind::Symlink) };
    let failure = run(&folder, [link, inline("d/file", b"x")]).err().unwrap();
    assert_eq!(failure.code, Code::Denied);
    for path in ["../elsewhere/file", "/elsewhere", "a//b", "a/./b", "a/"] {
        assert_eq!(run(&folder, [inline(path, b"x")]).err().unwrap().code, Code::Protocol, "{path}");
    }
    let mark = Entry { ..Entry::new(b".wh.a", Kind::Whiteout) };
    assert_eq!(run(&folder, [mark]).err().unwrap().code, Code::Protocol);
    assert_eq!(std::fs::read_dir(folder.at("elsewhere")).unwrap().count(), 0);
}

#[test]
fn a_folder_with_files_is_not_replaced_by_a_file() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.at("tree/a")).unwrap();
    folder.write("tree/a/precious", b"");
    assert_eq!(run(&folder, [inline("a", b"x")]).err().unwrap().code, Code::Denied);
    assert!(folder.at("tree/a/precious").exists());
}

#[test]
fn a_content_of_another_digest_is_a_mismatch() {
    let folder = Folder::new();
    let entry = Entry { digest: Some([1; 32]), ..inline("a", b"x") };
    assert_eq!(run(&folder, [entry]).err().unwrap().code, Code::Mismatch);
    assert!(!folder.at("tree/a").exists());
}

#[test]
fn trees_deeper_than_folders_are_kept_open_are_written() {
    let folder = Folder::new();
    let deep = vec!["d"; MAX_OPEN * 2].join("/");
    let paths = [format!("{deep}/a"), format!("{deep}/b"), "z/c".to_owned()];
    run(&folder, paths.iter().map(|path| inline(path, b"x"))).unwrap();
    assert!(paths.iter().all(|path| folder.at("tree").join(path).exists()));
}
