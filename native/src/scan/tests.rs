use super::*;
use crate::failure::Code;
use crate::protocol::{IgnoreRule, Segment, Selection};
use crate::table::Table;
use std::os::unix::fs::symlink;
use std::path::Path;

fn request(root: &Path, selections: &[&str], ignore: &[&str]) -> Scan {
    let segment = |name: &str| match name {
        "**" => Segment::Any,
        _ if name.contains(['*', '?', '[', '\\']) => Segment::Pattern { text: name.to_owned() },
        _ => Segment::Name { text: name.to_owned() },
    };
    let selection = |path: &&str| Selection {
        segments: path.split('/').filter(|name| !name.is_empty()).map(segment).collect(),
        follow_last: true,
    };
    let rule =
        |text: &&str| IgnoreRule { pattern: text.trim_start_matches('!').to_owned(), negated: text.starts_with('!') };
    Scan {
        id: 1,
        root: root.to_str().unwrap().to_owned(),
        selections: selections.iter().map(selection).collect(),
        ignore: ignore.iter().map(rule).collect(),
        digest: true,
        stat_cache: None,
    }
}

/// What a scan gave: the paths in the table, and for each selection what it matched (`asked=path`) or why not.
struct Scanned {
    table: Table,
    matches: Vec<Vec<String>>,
    misses: Vec<Option<Option<u64>>>,
    warnings: Vec<String>,
    files_read: u64,
}

impl Scanned {
    fn paths(&self) -> Vec<String> {
        (0..self.table.len()).map(|at| String::from_utf8_lossy(self.table.entry(at).path).into_owned()).collect()
    }
}

fn run(request: Scan) -> Result<Scanned> {
    let (reply, body) = scan(request, &Job::silent())?;
    let table = Table::parse(body)?;
    let Reply::Scanned { matches, misses, warnings, files_read, .. } = reply else { panic!("another reply") };
    let show = |each: &Match| {
        let path = String::from_utf8_lossy(table.entry(each.entry as usize).path).into_owned();
        if path == each.asked {
            path
        } else {
            format!("{}={path}", each.asked)
        }
    };
    let matches = matches.iter().map(|list| list.iter().map(show).collect()).collect();
    let misses = misses.iter().map(|miss| miss.as_ref().map(|miss| miss.rule)).collect();
    let warnings = warnings.iter().map(|each| format!("{} {}", each.kind, each.path)).collect();
    Ok(Scanned { table, matches, misses, warnings, files_read })
}

fn plant(root: &Path, files: &[&str]) {
    for name in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, name).unwrap();
    }
}

/// The tree that most tests look at.
fn sample() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path(), &["a.txt", "a-b", "a/x", "d/e.txt", "d/f.md", "d/g/h.txt", "n/m.txt"]);
    for (name, target) in
        [("ln", "a.txt"), ("dln", "d"), ("abs", "/d/g"), ("up", "../../../a.txt"), ("dang", "nowhere"), ("one", "two")]
    {
        symlink(target, folder.path().join(name)).unwrap();
    }
    symlink("one", folder.path().join("two")).unwrap();
    symlink("g", folder.path().join("d/gln")).unwrap();
    folder
}

#[test]
fn the_root_is_listed_in_tree_order() {
    let folder = sample();
    let scanned = run(request(folder.path(), &[""], &["two", "one"])).unwrap();
    let expected = [
        "",
        "a",
        "a/x",
        "a-b",
        "a.txt",
        "abs",
        "d",
        "d/e.txt",
        "d/f.md",
        "d/g",
        "d/g/h.txt",
        "d/gln",
        "dang",
        "dln",
        "ln",
        "n",
        "n/m.txt",
        "up",
    ];
    assert_eq!(scanned.paths(), expected);
    assert_eq!(scanned.matches, [[""]]);
    let file = scanned.table.entry(2);
    assert_eq!(file.digest, Some(blake3::hash(b"a/x").into()));
    assert_eq!(file.source, Source::File { root: 0, path: b"a/x" });
    assert_eq!(file.size, 3);
    assert_eq!(scanned.table.entry(5).link, b"/d/g");
}

#[test]
fn what_each_selection_matches() {
    let folder = sample();
    let rows: &[(&str, &[&str])] = &[
        ("a.txt", &["a.txt"]),
        ("ln", &["ln=a.txt"]),
        ("up", &["up=a.txt"]),
        ("dln/e.txt", &["dln/e.txt=d/e.txt"]),
        ("abs/h.txt", &["abs/h.txt=d/g/h.txt"]),
        ("dln/gln", &["dln/gln=d/g"]),
        ("dln/gln/h.txt", &["dln/gln/h.txt=d/g/h.txt"]),
        ("a*", &["a", "a-b", "a.txt", "abs=d/g"]),
        ("dln/*.txt", &["dln/e.txt=d/e.txt"]),
        ("*/h.txt", &[]),
        ("*/*/h.txt", &["d/g/h.txt"]),
        ("*/*.txt", &["d/e.txt", "n/m.txt"]),
        ("**/*.txt", &["a.txt", "d/e.txt", "d/g/h.txt", "n/m.txt"]),
        ("**/**/h.txt", &["d/g/h.txt"]),
        ("d/**", &["d/e.txt", "d/f.md", "d/g", "d/gln=d/g"]),
        ("d/**/h.txt", &["d/g/h.txt"]),
        ("dang", &[]),
        ("dan?", &["dang"]),
        ("[op]ne", &["one"]),
        ("a.txt/x", &[]),
        ("nowhere/*", &[]),
        ("a.txt/*", &[]),
        ("no\0name", &[]),
    ];
    for (selection, expected) in rows {
        let scanned = run(request(folder.path(), &[selection], &[])).unwrap();
        assert_eq!(scanned.matches[0], *expected, "{selection:?}");
        assert_eq!(scanned.misses[0], expected.is_empty().then_some(None), "{selection:?}");
    }
}

#[test]
fn several_selections_give_one_table() {
    let folder = sample();
    let scanned = run(request(folder.path(), &["d/g/h.txt", "d", "dln", "d/*", "a.txt", "none"], &[])).unwrap();
    assert_eq!(scanned.paths(), ["a.txt", "d", "d/e.txt", "d/f.md", "d/g", "d/g/h.txt", "d/gln"]);
    let expected: [&[&str]; 6] =
        [&["d/g/h.txt"], &["d"], &["dln=d"], &["d/e.txt", "d/f.md", "d/g", "d/gln=d/g"], &["a.txt"], &[]];
    assert_eq!(scanned.matches, expected);
    assert_eq!(scanned.files_read, 4);
}

#[test]
fn a_link_as_the_last_name_stays_one_when_asked() {
    let folder = sample();
    let mut wanted = request(folder.path(), &["dln", "d*", "dln/gln"], &[]);
    for selection in &mut wanted.selections {
        selection.follow_last = false;
    }
    let expected: [&[&str]; 3] = [&["dln"], &["d", "dang", "dln"], &["dln/gln=d/gln"]];
    assert_eq!(run(wanted).unwrap().matches, expected);
}

#[test]
fn circles_of_links_are_refused() {
    let folder = sample();
    for selection in ["one", "two/x", "one/*"] {
        let failure = run(request(folder.path(), &[selection], &[])).err().unwrap();
        assert_eq!((failure.code, failure.message.as_str()), (Code::Hostile, "too many symbolic links"));
    }
}

#[test]
fn rules_hold_for_real_paths() {
    let folder = sample();
    type Row<'a> = (&'a [&'a str], &'a str, &'a [&'a str], Option<u64>);
    let rows: &[Row<'_>] = &[
        (&["a.txt"], "a.txt", &[], Some(0)),
        (&["x", "a.txt"], "ln", &[], Some(1)),
        (&["ln"], "ln", &[], Some(0)),
        (&["dln"], "dln/e.txt", &[], Some(0)),
        (&["d"], "dln/e.txt", &[], Some(0)),
        (&["d", "!d/g"], "d", &["d"], None),
        (&["d", "!d/g"], "d/e.txt", &[], Some(0)),
        (&["d", "!d/g"], "d/g/h.txt", &["d/g/h.txt"], None),
        (&["d", "!d/nothing"], "d", &[], Some(0)),
        (&["d"], "d", &[], Some(0)),
        (&["d"], "d/none", &[], None),
        (&["*.txt"], "*.txt", &[], Some(0)),
        (&["a.txt"], "l*", &["ln"], None),
        (&["**"], "", &[""], None),
    ];
    for (ignore, selection, expected, rule) in rows {
        let scanned = run(request(folder.path(), &[selection], ignore)).unwrap();
        assert_eq!(scanned.matches[0], *expected, "{ignore:?} {selection}");
        assert_eq!(scanned.misses[0], expected.is_empty().then_some(*rule), "{ignore:?} {selection}");
    }
    let scanned = run(request(folder.path(), &[""], &["*", "!d/g/*.txt", "!n/none"])).unwrap();
    assert_eq!(scanned.paths(), ["", "d", "d/g", "d/g/h.txt"]);
}

#[test]
fn names_of_one_inode_are_told_and_read_once() {
    let folder = sample();
    std::fs::hard_link(folder.path().join("a.txt"), folder.path().join("z")).unwrap();
    let scanned = run(request(folder.path(), &["a.txt", "z", "a-b"], &[])).unwrap();
    let groups: Vec<u64> = (0..3).map(|at| scanned.table.entry(at).inode_group).collect();
    assert_eq!(scanned.paths(), ["a-b", "a.txt", "z"]);
    assert_eq!(groups, [0, 1, 1]);
    assert_eq!(scanned.table.entry(1).digest, Some(blake3::hash(b"a.txt").into()));
    assert_eq!(scanned.table.entry(2).digest, Some(blake3::hash(b"a.txt").into()));
    assert_eq!(scanned.files_read, 2);
}

#[test]
fn what_no_image_can_have_is_left_out_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path(), &["file", "d/x"]);
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("d/socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let scanned = run(request(folder.path(), &["", "fifo", "d/socket"], &[])).unwrap();
    assert_eq!(scanned.paths(), ["", "d", "d/x", "file"]);
    assert_eq!(scanned.warnings, ["socket d/socket", "fifo fifo"]);
    assert_eq!(scanned.misses, [None, Some(None), Some(None)]);
    assert_eq!(run(request(folder.path(), &[""], &["fifo", "**/socket"])).unwrap().warnings, Vec::<String>::new());
}

#[test]
fn a_malformed_pattern_or_name_is_refused() {
    let folder = sample();
    assert_eq!(run(request(folder.path(), &["a["], &[])).err().unwrap().code, Code::Pattern);
    assert_eq!(run(request(folder.path(), &[""], &["a["])).err().unwrap().code, Code::Pattern);
    assert_eq!(run(request(folder.path(), &["../x"], &[])).err().unwrap().code, Code::Protocol);
    assert_eq!(run(request(&folder.path().join("none"), &[""], &[])).err().unwrap().code, Code::NotFound);
}

#[test]
fn a_large_file_and_many_small_ones_are_read_right() {
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(folder.path().join("large"), &large).unwrap();
    for number in 0..2_000 {
        plant(folder.path(), &[&format!("d{}/f{number}", number % 7)]);
    }
    let scanned = run(request(folder.path(), &[""], &[])).unwrap();
    assert_eq!(scanned.files_read, 2_001);
    for at in 0..scanned.table.len() {
        let entry = scanned.table.entry(at);
        if entry.kind == Kind::File {
            let expected = if entry.path == b"large" { blake3::hash(&large) } else { blake3::hash(entry.path) };
            assert_eq!(entry.digest, Some(expected.into()));
        }
    }
}
