use super::*;
use crate::failure::{Code, Failure};
use crate::ingest::ingest;
use crate::protocol::{BlobSource, IngestCompression};
use crate::record::{write_owners, Record, STAT};
use crate::sandbox::protocol::{Move, Owners, TreeForm, Unpack};
use crate::table::{Entry, Kind, Table};
use crate::tar::padding;
use crate::tar::write::{put_header, END};
use crate::testing::{has_root, ingest_request, Folder, Random};
use crate::unpack::implied::restore;
use crate::unpack::unpack;
use rustix::fs::{fsetxattr, makedev, mknodat, Mode, XattrFlags, CWD};
use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{chown, lchown, symlink, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

/// All times that a test makes are later.
const EPOCH: i64 = 1_000_000;
/// Runs of random steps.
const SEEDS: u64 = 30;

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

fn folder_at(path: &str) -> Member<'_> {
    (Entry { mode: 0o755, seconds: 500, ..Entry::new(path.as_bytes(), Kind::Directory) }, b"")
}

fn link<'a>(path: &'a str, target: &'a str, kind: Kind) -> Member<'a> {
    (Entry { link: target.as_bytes(), mode: 0o777, seconds: 500, ..Entry::new(path.as_bytes(), kind) }, b"")
}

fn mark_at(path: &str) -> Member<'_> {
    (Entry::new(path.as_bytes(), Kind::Whiteout), b"")
}

/// Layers, and the two kinds of trees of them: an overlay and a copy.
struct Trees {
    folder: Folder,
    indexes: Vec<String>,
    /// Unpacked layers, lowest first.
    lower: Vec<String>,
    merged: PathBuf,
    is_mounted: bool,
    /// Layers that were made by `diff`.
    made: usize,
    /// `None`: as the files have them.
    epoch: Option<i64>,
}

impl Drop for Trees {
    fn drop(&mut self) {
        if self.is_mounted {
            // Not to be undone: the folder is in a place for such.
            let _ = unmount(&self.merged, UnmountFlags::DETACH);
        }
    }
}

/// The layer that `diff` made.
struct Made {
    entries: u64,
    tar: Vec<u8>,
    index: Vec<u8>,
    path: String,
}

impl Made {
    /// Path and kind of each entry.
    fn names(&self) -> Vec<String> {
        let table = Table::parse(self.index.clone()).unwrap();
        let name = |entry: Entry<'_>| match entry.kind {
            Kind::Directory => format!("{}/", String::from_utf8_lossy(entry.path)),
            Kind::Hardlink => {
                format!("{} = {}", String::from_utf8_lossy(entry.path), String::from_utf8_lossy(entry.link))
            }
            _ => String::from_utf8_lossy(entry.path).into_owned(),
        };
        (0..table.len()).map(|number| name(table.entry(number))).collect()
    }
}

impl Trees {
    /// `None` when nothing can be mounted here, which is told.
    fn new(test: &str, layers: &[Vec<Member<'_>>]) -> Option<Trees> {
        if !has_root(test) {
            return None;
        }
        let folder = Folder::new();
        let mut lower = Vec::new();
        let mut indexes = Vec::new();
        for (number, members) in layers.iter().enumerate() {
            folder.write("input", &tar(members));
            let index = folder.text(&format!("index{number}"));
            let tree = folder.text(&format!("tree{number}"));
            let request = ingest_request(&folder, IngestCompression::None);
            let request = crate::protocol::Ingest { index: index.clone(), output: None, ..request };
            ingest(request, sync_channel(1).1, &Job::silent()).unwrap();
            for (output, form) in [(tree.clone(), TreeForm::Layer), (folder.text("copy"), TreeForm::Apply)] {
                let blob = BlobSource { path: folder.text("input"), compression: CompressionKind::None };
                let request = Unpack { id: 1, blob, index: index.clone(), output, form, owners: Owners::Real };
                unpack(request, &Job::silent()).unwrap();
            }
            lower.push(tree);
            indexes.push(index);
        }
        let merged = folder.at("merged");
        for name in ["merged", "empty"] {
            fs::create_dir(folder.at(name)).unwrap();
        }
        let (made, epoch, is_mounted) = (0, Some(EPOCH), false);
        let mut trees = Trees { folder, indexes, lower, merged, is_mounted, made, epoch };
        if let Err(error) = trees.mount() {
            eprintln!("NOT TESTED, because no overlay can be mounted here ({error}): {test}");
            return None;
        }
        trees.keep_before();
        Some(trees)
    }

    /// Mounts an overlay of the layers with an empty upper directory.
    fn mount(&mut self) -> rustix::io::Result<()> {
        if self.is_mounted {
            unmount(&self.merged, UnmountFlags::empty()).unwrap();
            self.is_mounted = false;
        }
        for name in ["upper", "work", "init"] {
            crate::trees::remove_tree(&self.folder.text(name), None).unwrap();
            fs::create_dir(self.folder.at(name)).unwrap();
        }
        restore(&self.lower, &self.folder.text("init")).unwrap();
        let mut lower = vec![self.folder.text("init")];
        lower.extend(self.lower.iter().rev().cloned());
        lower.push(self.folder.text("empty"));
        let (lower, upper, work) = (lower.join(":"), self.folder.text("upper"), self.folder.text("work"));
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work},userxattr");
        let options = CString::new(options).unwrap();
        mount("overlay", &self.merged, "overlay", MountFlags::empty(), options.as_c_str())?;
        self.is_mounted = true;
        Ok(())
    }

    /// Goes on with a layer that was made: the overlay gets it as one more lower directory, unpacked or the upper
    /// directory itself; the copy goes on as it is.
    fn go_on(&mut self, made: &Made, is_adopted: bool) {
        if made.entries > 0 {
            let tree = self.folder.text(&format!("tree{}", self.lower.len()));
            if is_adopted {
                unmount(&self.merged, UnmountFlags::empty()).unwrap();
                self.is_mounted = false;
                let from = self.folder.text("upper");
                crate::trees::rename(Move { id: 1, from, to: tree.clone() }, &Job::silent()).unwrap();
            } else {
                let blob = BlobSource { path: made.path.clone(), compression: CompressionKind::None };
                let (index, output, form) = (format!("{}.index", made.path), tree.clone(), TreeForm::Layer);
                unpack(Unpack { id: 1, blob, index, output, form, owners: Owners::Real }, &Job::silent()).unwrap();
            }
            self.lower.push(tree);
            self.indexes.push(format!("{}.index", made.path));
        }
        self.mount().unwrap();
        self.keep_before();
    }

    fn mark(&self) {
        let output = self.folder.text("mark");
        drop(fs::remove_file(&output));
        mark(Mark { id: 1, root: self.folder.text("copy"), output }, &Job::silent()).unwrap();
    }

    /// Does the same in both trees.
    fn both(&self, act: impl Fn(&Path)) {
        act(&self.merged);
        act(&self.folder.at("copy"));
    }

    fn diff_of(&mut self, tree: ChangedTree) -> Result<Made, Failure> {
        self.made += 1;
        let path = self.folder.text(&format!("made{}", self.made));
        let index = format!("{path}.index");
        let request = Diff {
            id: 1,
            tree,
            parents: self.indexes.clone(),
            owners: Owners::Real,
            output: path.clone(),
            index: index.clone(),
            temporary: self.folder.text(""),
            epoch: self.epoch,
        };
        let (reply, _) = diff(request, &Job::silent())?;
        let Reply::Diffed { entries, tar_size, size, .. } = reply else { panic!("{reply:?}") };
        if entries == 0 {
            assert!(!Path::new(&path).exists() && !Path::new(&index).exists());
            return Ok(Made { entries, tar: Vec::new(), index: Vec::new(), path });
        }
        let tar = fs::read(&path).unwrap();
        assert_eq!((tar.len() as u64, tar_size), (size, size));
        Ok(Made { entries, tar, index: fs::read(&index).unwrap(), path })
    }

    fn overlay(&self) -> ChangedTree {
        ChangedTree::Overlay { upper: self.folder.text("upper") }
    }

    fn copy(&self) -> ChangedTree {
        ChangedTree::Copy { root: self.folder.text("copy"), mark: self.folder.text("mark") }
    }

    /// The layer, which is the same from both trees; and laid over the layers before, it gives what is in them.
    fn diff(&mut self) -> Made {
        let made = self.diff_of(self.overlay()).unwrap();
        let copied = self.diff_of(self.copy()).unwrap();
        if made.tar != copied.tar {
            panic!("overlay: {:#?}\ncopy: {:#?}", made.names(), copied.names());
        }
        assert!(made.index == copied.index);
        assert_eq!(listing(&self.merged), listing(&self.folder.at("copy")));
        if made.entries > 0 {
            self.check(&made);
        }
        made
    }

    fn check(&self, made: &Made) {
        let output = self.folder.text("again");
        let job = &Job::silent();
        crate::trees::remove_tree(&output, None).unwrap();
        let before = self.folder.text("before");
        let status = std::process::Command::new("cp").args(["-a", &before, &output]).status().unwrap();
        assert!(status.success());
        let blob = BlobSource { path: made.path.clone(), compression: CompressionKind::None };
        let index = format!("{}.index", made.path);
        let request = Unpack { id: 1, blob, index, output, form: TreeForm::Apply, owners: Owners::Real };
        unpack(request, job).unwrap();
        assert_eq!(listing(&self.folder.at("again")), listing(&self.merged));
        // What was made can be taken in again and has the same index.
        let request = ingest_request(&self.folder, IngestCompression::None);
        let index = self.folder.text("index-again");
        drop(fs::remove_file(&index));
        let input = Some(made.path.clone());
        ingest(
            crate::protocol::Ingest { input, output: None, index: index.clone(), ..request },
            sync_channel(1).1,
            job,
        )
        .unwrap();
        let (again, index) =
            (Table::parse(fs::read(index).unwrap()).unwrap(), Table::parse(made.index.clone()).unwrap());
        assert_eq!(again.len(), index.len());
        for number in 0..index.len() {
            assert_eq!(again.entry(number), index.entry(number));
        }
    }

    /// Keeps the tree as it is before anything is done, for [`Trees::check`], and marks it.
    fn keep_before(&self) {
        let (copy, before) = (self.folder.text("copy"), self.folder.text("before"));
        crate::trees::remove_tree(&before, None).unwrap();
        let status = std::process::Command::new("cp").args(["-a", &copy, &before]).status().unwrap();
        assert!(status.success());
        self.mark();
    }
}

/// What is in a tree, with times as a layer has them.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let stat = fs::symlink_metadata(&path).unwrap();
            let kind = stat.file_type();
            if kind.is_socket() {
                continue;
            }
            let what = if kind.is_dir() {
                waiting.push(path.clone());
                "folder".to_owned()
            } else if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_file() {
                // Which names are one file is not compared: a layer that is laid over a tree gives each a file of its own.
                blake3::hash(&fs::read(&path).unwrap()).to_string()
            } else {
                format!("{kind:?}")
            };
            let time = stat.mtime().min(EPOCH);
            lines.insert(name, format!("{what} {:o} {}:{} {time}", stat.mode(), stat.uid(), stat.gid()));
        }
    }
    lines
}

fn base() -> Vec<Vec<Member<'static>>> {
    vec![
        vec![
            folder_at("etc"),
            file("etc/passwd", "root"),
            file("etc/shadow", "secret"),
            folder_at("usr"),
            folder_at("usr/lib"),
            file("usr/lib/a", "1"),
            file("usr/lib/b", "2"),
            folder_at("old"),
            file("old/x", "1"),
            file("old/y", "2"),
            link("lib", "usr/lib", Kind::Symlink),
        ],
        vec![
            folder_at("usr/lib"),
            file("usr/lib/c", "3"),
            file("etc/shadow", "changed"),
            mark_at("old/.wh.y"),
            folder_at("app"),
            file("app/main", "main"),
        ],
    ]
}

fn trees(test: &str) -> Option<Trees> {
    Trees::new(test, &base())
}

#[test]
fn a_step_that_changes_nothing_makes_no_layer() {
    let Some(mut trees) = trees("a_step_that_changes_nothing_makes_no_layer") else { return };
    assert_eq!(trees.diff().entries, 0);
    // What is changed and changed back, or only copied up, is nothing.
    trees.both(|root| {
        fs::set_permissions(root.join("etc/passwd"), PermissionsExt::from_mode(0o600)).unwrap();
        fs::set_permissions(root.join("etc/passwd"), PermissionsExt::from_mode(0o644)).unwrap();
        lchown(root.join("lib"), Some(0), Some(0)).unwrap();
        chown(root.join("usr/lib"), Some(0), Some(0)).unwrap();
    });
    assert_eq!(trees.diff().entries, 0);
    std::os::unix::net::UnixListener::bind(trees.merged.join("old/socket")).unwrap();
    let touched = fs::File::open(trees.merged.join("old")).unwrap();
    let time = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(500));
    touched.set_times(time).unwrap();
    assert_eq!(trees.diff_of(trees.overlay()).unwrap().entries, 0);
}

#[test]
fn content_that_changes_within_the_time_and_size_is_found() {
    let Some(mut trees) = trees("content_that_changes_within_the_time_and_size_is_found") else { return };
    trees.both(|root| {
        fs::write(root.join("etc/passwd"), "toor").unwrap();
        let file = fs::File::options().write(true).open(root.join("etc/passwd")).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
        file.set_times(fs::FileTimes::new().set_modified(time)).unwrap();
    });
    assert_eq!(trees.diff().names(), ["etc/passwd"]);
}

#[test]
fn changes_become_entries() {
    type Act = fn(&Path);
    let cases: [(&str, Act, &[&str]); 17] = [
        ("a new file", |root| fs::write(root.join("etc/new"), "x").unwrap(), &["etc/", "etc/new"]),
        ("a deleted file", |root| fs::remove_file(root.join("usr/lib/a")).unwrap(), &["usr/lib/", "usr/lib/.wh.a"]),
        ("the only file", |root| fs::remove_file(root.join("app/main")).unwrap(), &["app/", "app/.wh.main"]),
        ("a deleted folder", |root| fs::remove_dir_all(root.join("usr")).unwrap(), &[".wh.usr"]),
        (
            "a folder that was replaced by one",
            |root| {
                fs::remove_dir_all(root.join("usr/lib")).unwrap();
                fs::create_dir(root.join("usr/lib")).unwrap();
                fs::write(root.join("usr/lib/new"), "x").unwrap();
            },
            &["usr/", "usr/lib/", "usr/lib/.wh..wh..opq", "usr/lib/new"],
        ),
        (
            "a folder that was replaced by one with the same names",
            |root| {
                fs::remove_dir_all(root.join("usr/lib")).unwrap();
                fs::create_dir(root.join("usr/lib")).unwrap();
                fs::write(root.join("usr/lib/a"), "x").unwrap();
            },
            &["usr/", "usr/lib/", "usr/lib/.wh.b", "usr/lib/.wh.c", "usr/lib/a"],
        ),
        (
            "a folder for a file",
            |root| {
                fs::remove_file(root.join("app/main")).unwrap();
                fs::create_dir(root.join("app/main")).unwrap();
                fs::write(root.join("app/main/x"), "x").unwrap();
            },
            &["app/", "app/main/", "app/main/x"],
        ),
        (
            "a file for a folder",
            |root| {
                fs::remove_dir_all(root.join("usr/lib")).unwrap();
                fs::write(root.join("usr/lib"), "x").unwrap();
            },
            &["usr/", "usr/lib"],
        ),
        (
            "a folder for a link",
            |root| {
                fs::remove_file(root.join("lib")).unwrap();
                fs::create_dir(root.join("lib")).unwrap();
            },
            &["lib/"],
        ),
        (
            "a link that was changed",
            |root| {
                fs::remove_file(root.join("lib")).unwrap();
                symlink("usr", root.join("lib")).unwrap();
            },
            &["lib"],
        ),
        ("an owner", |root| chown(root.join("etc/passwd"), Some(7), Some(8)).unwrap(), &["etc/passwd"]),
        ("an owner of a link", |root| lchown(root.join("lib"), Some(7), None).unwrap(), &["lib"]),
        (
            "a renamed file",
            |root| fs::rename(root.join("usr/lib/a"), root.join("usr/lib/z")).unwrap(),
            &["usr/lib/", "usr/lib/.wh.a", "usr/lib/z"],
        ),
        (
            "hard links",
            |root| {
                fs::write(root.join("app/z"), "x").unwrap();
                fs::hard_link(root.join("app/z"), root.join("etc/y")).unwrap();
                fs::hard_link(root.join("app/z"), root.join("app/a")).unwrap();
            },
            &["app/", "app/a", "app/z = app/a", "etc/", "etc/y = app/a"],
        ),
        (
            "a hard link to an old file",
            |root| {
                fs::hard_link(root.join("etc/passwd"), root.join("a")).unwrap();
            },
            &["a"],
        ),
        (
            "the root's mode",
            |root| {
                fs::set_permissions(root, PermissionsExt::from_mode(0o700)).unwrap();
            },
            &["/"],
        ),
        (
            "whiteouts of two layers",
            |root| {
                fs::remove_file(root.join("usr/lib/a")).unwrap();
                fs::remove_file(root.join("usr/lib/c")).unwrap();
                fs::remove_file(root.join("etc/shadow")).unwrap();
                fs::write(root.join("old/y"), "again").unwrap();
            },
            &["etc/", "etc/.wh.shadow", "old/", "old/y", "usr/lib/", "usr/lib/.wh.a", "usr/lib/.wh.c"],
        ),
    ];
    for (name, act, expected) in cases {
        let Some(mut trees) = trees("changes_become_entries") else { return };
        trees.both(act);
        assert_eq!(trees.diff().names(), expected, "{name}");
    }
}

#[test]
fn attributes_and_special_files_are_kept() {
    let Some(mut trees) = trees("attributes_and_special_files_are_kept") else { return };
    trees.both(|root| {
        let app = fs::File::open(root.join("app/main")).unwrap();
        let mut capability = [0; 20];
        (capability[0], capability[3], capability[5]) = (1, 2, 4);
        fsetxattr(&app, "security.capability", &capability, XattrFlags::empty()).unwrap();
        fsetxattr(&app, "user.note", b"x", XattrFlags::empty()).unwrap();
        let device = fs::File::create(root.join("app/null")).unwrap();
        let record = Record { uid: 0, gid: 0, mode: 0o020_666, major: 1, minor: 3 };
        fsetxattr(&device, STAT, record.text().as_bytes(), XattrFlags::empty()).unwrap();
        let forged = fs::File::create(root.join("app/forged")).unwrap();
        fsetxattr(&forged, STAT, b"7 7 40755 0 0", XattrFlags::empty()).unwrap();
        mknodat(CWD, root.join("app/pipe"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    });
    let made = trees.diff_of(trees.overlay()).unwrap();
    assert_eq!(made.tar, trees.diff_of(trees.copy()).unwrap().tar);
    let table = Table::parse(made.index).unwrap();
    let entry = |path: &str| {
        (0..table.len()).map(|number| table.entry(number)).find(|entry| entry.path == path.as_bytes()).unwrap()
    };
    let names: Vec<_> = entry("app/main").xattr_pairs().into_iter().map(|(name, _)| name.to_vec()).collect();
    assert_eq!(names, [b"security.capability".to_vec(), b"user.note".to_vec()]);
    let null = entry("app/null");
    assert_eq!((null.kind, null.major, null.minor, null.xattrs), (Kind::CharacterDevice, 1, 3, b"".as_slice()));
    assert_eq!((entry("app/forged").kind, entry("app/forged").uid), (Kind::File, 0));
    assert_eq!(entry("app/pipe").kind, Kind::Fifo);
}

#[test]
fn recorded_owners_are_written() {
    let folder = Folder::new();
    fs::create_dir(folder.at("upper")).unwrap();
    folder.write("upper/file", b"x");
    folder.write("upper/stale", b"x");
    symlink("x", folder.at("upper/link")).unwrap();
    let record = |mode| Record { uid: 1000, gid: 100, mode, major: 0, minor: 0 };
    let file = fs::File::open(folder.at("upper/file")).unwrap();
    fsetxattr(&file, STAT, record(0o104_711).text().as_bytes(), XattrFlags::empty()).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o2750);
    file.set_permissions(permissions).unwrap();
    let records = [("link", record(0o120_777)), ("stale", record(0o120_777))];
    let records = records.map(|(path, record)| (path.as_bytes().to_vec(), record)).into_iter().collect();
    write_owners(&folder.text("upper"), &records).unwrap();
    let request = Diff {
        id: 1,
        tree: ChangedTree::Overlay { upper: folder.text("upper") },
        parents: Vec::new(),
        owners: Owners::Recorded,
        output: folder.text("output"),
        index: folder.text("index"),
        temporary: folder.text(""),
        epoch: None,
    };
    diff(request, &Job::silent()).unwrap();
    let table = Table::parse(folder.read("index")).unwrap();
    let all: Vec<_> =
        (0..table.len()).map(|number| table.entry(number)).filter(|entry| !entry.path.is_empty()).collect();
    let told: Vec<_> = all.iter().map(|entry| (entry.path, entry.uid, entry.gid)).collect();
    assert_eq!(told[..2], [(b"file".as_slice(), 1000, 100), (b"link", 1000, 100)]);
    // Permissions are the file's own, whatever they were when the record was made.
    assert_eq!(all[0].mode, 0o2750);
    assert_eq!(all[2].uid, fs::metadata(folder.at("upper/stale")).unwrap().uid());
}

#[test]
fn a_name_that_means_something_in_a_layer_is_refused() {
    let Some(mut trees) = trees("a_name_that_means_something_in_a_layer_is_refused") else { return };
    trees.both(|root| fs::write(root.join("etc/.wh.x"), "").unwrap());
    for tree in [trees.overlay(), trees.copy()] {
        let failure = trees.diff_of(tree).err().unwrap();
        assert_eq!((failure.code, failure.path.as_deref()), (Code::Hostile, Some("etc/.wh.x")));
    }
}

#[test]
fn devices_that_are_real_are_kept() {
    let Some(mut trees) = trees("devices_that_are_real_are_kept") else { return };
    trees.both(|root| {
        let kind = rustix::fs::FileType::CharacterDevice;
        mknodat(CWD, root.join("app/null"), kind, Mode::from_raw_mode(0o666), makedev(1, 3)).unwrap();
    });
    assert_eq!(trees.diff_of(trees.overlay()).unwrap().names(), ["app/", "app/null"]);
}

#[test]
fn a_file_of_holes_takes_no_space() {
    let Some(mut trees) = trees("a_file_of_holes_takes_no_space") else { return };
    trees.both(|root| {
        let file = fs::File::create(root.join("app/holes")).unwrap();
        file.set_len(64 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"data", 40 << 20).unwrap();
    });
    let made = trees.diff();
    let blocks = fs::metadata(&made.path).unwrap().blocks();
    assert!(blocks * 512 < 4 << 20, "{blocks}");
}

#[test]
fn hard_links_of_the_parent_are_compared_as_files() {
    let layers = vec![vec![file("b", "1"), link("a", "b", Kind::Hardlink), file("c", "2"), file("d", "2")]];
    let Some(mut trees) = Trees::new("hard_links_of_the_parent_are_compared_as_files", &layers) else { return };
    trees.both(|root| fs::remove_file(root.join("b")).unwrap());
    assert_eq!(trees.diff().names(), [".wh.b"]);
    // What were two files is one now.
    let Some(mut trees) = Trees::new("hard_links_of_the_parent_are_compared_as_files", &layers) else { return };
    trees.both(|root| {
        fs::remove_file(root.join("d")).unwrap();
        fs::hard_link(root.join("c"), root.join("d")).unwrap();
    });
    assert_eq!(trees.diff().names(), ["c", "d = c"]);
}

#[test]
fn without_a_time_to_clamp_to_times_are_whole_seconds() {
    let Some(mut trees) = trees("without_a_time_to_clamp_to_times_are_whole_seconds") else { return };
    trees.epoch = None;
    fs::write(trees.merged.join("app/new"), "x").unwrap();
    let made = trees.diff_of(trees.overlay()).unwrap();
    let table = Table::parse(made.index).unwrap();
    let now = fs::metadata(trees.merged.join("app/new")).unwrap().mtime();
    assert_eq!((table.entry(1).seconds, table.entry(1).nanoseconds), (now, 0));
}

/// Does something at random below a folder.
fn act(random: &mut Random, root: &Path) {
    let names = ["a", "b", "c", "a-b", "é"];
    let mut path = root.to_owned();
    for _ in 0..=random.below(3) {
        path.push(names[random.below(names.len())]);
    }
    let other = root.join(names[random.below(names.len())]);
    let content = random.text(20);
    let number = random.below(1000) as u32;
    let stat = fs::symlink_metadata(&path).ok();
    let is_folder = stat.as_ref().is_some_and(fs::Metadata::is_dir);
    let is_file = stat.as_ref().is_some_and(fs::Metadata::is_file);
    // What cannot be done, because of what is there, is not done in either tree.
    let done = match random.below(12) {
        0..=2 if !is_folder && !is_link(&path) => fs::write(&path, content),
        3 => fs::create_dir_all(&path),
        4 if is_folder => fs::remove_dir_all(&path),
        5 if stat.is_some() && !is_folder => fs::remove_file(&path),
        6 => fs::set_permissions(&path, PermissionsExt::from_mode(0o400 | number & 0o377)),
        7 => lchown(&path, Some(number), Some(number)),
        8 => symlink("target", &path),
        // Of a file that only this step has: overlayfs takes the names of a lower file apart.
        9 => fs::write(&path, "linked").and_then(|()| fs::hard_link(&path, &other)),
        10 if is_file => fs::rename(&path, &other),
        11 if is_folder && path != root => {
            fs::remove_dir_all(&path).and_then(|()| fs::create_dir(&path)).and_then(|()| fs::write(path.join("a"), "1"))
        }
        _ => Ok(()),
    };
    drop(done);
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|stat| stat.is_symlink())
}

#[test]
fn both_kinds_of_trees_give_the_same_layer_whatever_was_done() {
    for seed in 0..SEEDS {
        // The layers below are made of such steps as well.
        let layers: Vec<Vec<Member<'static>>> = vec![
            vec![
                folder_at("a"),
                file("a/a", "1"),
                file("a/b", "2"),
                folder_at("a/c"),
                file("a/c/a", "3"),
                file("b", "4"),
            ],
            vec![
                mark_at("a/.wh.b"),
                folder_at("c"),
                folder_at("c/a"),
                file("c/a/b", "5"),
                file("c/b", "6"),
                folder_at("a-b"),
            ],
            vec![file("a-b/a", "7"), mark_at("c/a/.wh..wh..opq"), file("c/a/c", "8"), link("é", "b", Kind::Symlink)],
        ];
        let test = "both_kinds_of_trees_give_the_same_layer_whatever_was_done";
        let Some(mut trees) = Trees::new(test, &layers) else { return };
        for step in 0..3 {
            eprintln!("seed {seed} step {step}");
            trees.both(|root| {
                let mut random = Random::new(seed * 10 + step);
                for _ in 0..=random.below(30) {
                    act(&mut random, root);
                }
            });
            let made = trees.diff();
            trees.go_on(&made, seed % 2 == 0);
        }
    }
}

#[test]
fn marks_and_copies_of_fuse_overlayfs_are_understood() {
    let below = vec![
        folder_at("bin"),
        file("bin/tool", "tool"),
        folder_at("etc"),
        file("etc/passwd", "root"),
        folder_at("old"),
        file("old/a", "a"),
        file("old/b", "b"),
        folder_at("usr"),
        file("usr/lib", "lib"),
    ];
    let Some(mut trees) = Trees::new("marks_and_copies_of_fuse_overlayfs_are_understood", &[below]) else { return };
    let write = |path: &str, text: &str, origin: Option<&str>| {
        trees.folder.write(path, text.as_bytes());
        let file = fs::File::options().write(true).open(trees.folder.at(path)).unwrap();
        file.set_permissions(PermissionsExt::from_mode(0o644)).unwrap();
        if let Some(origin) = origin {
            fsetxattr(&file, "user.fuseoverlayfs.origin", origin.as_bytes(), XattrFlags::empty()).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
            file.set_times(fs::FileTimes::new().set_modified(time)).unwrap();
        }
    };
    for path in ["bin", "etc", "old", "usr"] {
        fs::create_dir_all(trees.folder.at("served").join(path)).unwrap();
        fs::set_permissions(trees.folder.at("served").join(path), PermissionsExt::from_mode(0o755)).unwrap();
    }
    // Copied and left as it was; replaced; deleted by a device and by a file; made anew.
    write("served/bin/tool", "tool", Some("bin/tool"));
    write("served/etc/passwd", "other", None);
    mknodat(CWD, trees.folder.at("served/old/a"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    write("served/old/.wh.b", "", None);
    write("served/old/.wh.c", "", None);
    let usr = fs::File::open(trees.folder.at("served/usr")).unwrap();
    fsetxattr(&usr, "user.fuseoverlayfs.opaque", b"y", XattrFlags::empty()).unwrap();
    write("served/usr/.wh..wh..opq", "", None);
    write("served/usr/new", "new", None);
    let served = ChangedTree::FuseOverlay { upper: trees.folder.text("served") };
    let names = trees.diff_of(served).unwrap().names();
    let expected = ["etc/", "etc/passwd", "old/", "old/.wh.a", "old/.wh.b", "usr/", "usr/.wh..wh..opq", "usr/new"];
    assert_eq!(names, expected);
    // In the kernel's own overlay such names are what they are: no layer can have them.
    let kernels = ChangedTree::Overlay { upper: trees.folder.text("served") };
    assert_eq!(trees.diff_of(kernels).err().map(|failure| failure.code), Some(Code::Hostile));
}
