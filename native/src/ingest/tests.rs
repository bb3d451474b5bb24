use super::*;
use crate::protocol::{Compression, CompressionKind, Recompress};
use crate::recompress::recompress;
use crate::table::{Entry, Source, Table};
use crate::tar::padding;
use crate::tar::write::{put_header, END};
use crate::testing::{ingest_request, table, Folder, Random};
use std::sync::mpsc::sync_channel;

fn tar(entries: &[(Entry<'_>, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (entry, content) in entries {
        put_header(&Entry { size: content.len() as u64, ..entry.clone() }, entry.seconds, &mut bytes).unwrap();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + padding(content.len() as u64), 0);
    }
    bytes.extend(END);
    bytes
}

fn file(path: &str) -> Entry<'_> {
    Entry::new(path.as_bytes(), Kind::File)
}

fn link<'a>(path: &'a str, target: &'a str) -> Entry<'a> {
    Entry { link: target.as_bytes(), ..Entry::new(path.as_bytes(), Kind::Hardlink) }
}

fn no_pieces() -> Receiver<Vec<u8>> {
    sync_channel(1).1
}

fn run(folder: &Folder, request: Ingest) -> Outcome {
    let outcome = ingest(request, no_pieces(), &Job::silent());
    if let Err(failure) = &outcome {
        let left: Vec<_> = folder.names().into_iter().filter(|name| !name.starts_with("input")).collect();
        assert!(left.is_empty(), "{failure} leaves {left:?}");
    }
    outcome
}

fn code(outcome: Outcome) -> Code {
    outcome.err().unwrap().code
}

/// The index of a plain tar.
fn index_of(bytes: &[u8]) -> Result<Table> {
    let folder = Folder::new();
    folder.write("input", bytes);
    run(&folder, ingest_request(&folder, IngestCompression::None))?;
    assert!(folder.read("output") == bytes);
    Ok(table(folder.read("index")))
}

fn tar_of_one(path: &str) -> Vec<u8> {
    tar(&[(file(path), b"")])
}

fn paths(table: &Table) -> Vec<String> {
    (0..table.len()).map(|number| String::from_utf8_lossy(table.entry(number).path).into_owned()).collect()
}

fn compressed(bytes: &[u8], kind: CompressionKind) -> Vec<u8> {
    let folder = Folder::new();
    folder.write("input", bytes);
    let input = crate::protocol::BlobSource { path: folder.text("input"), compression: CompressionKind::None };
    let compression = Compression { kind, level: 3 };
    let request = Recompress { id: 1, input, output: folder.text("output"), compression };
    recompress(request, &Job::silent()).unwrap();
    folder.read("output")
}

#[test]
fn the_index_is_in_tree_order_with_places_and_digests() {
    let content = Random::new(1).text(700_000);
    let tar = tar(&[
        (file("b"), &content),
        (file("a-b"), b"1"),
        (Entry::new(b"a", Kind::Directory), b""),
        (file("a/c"), b""),
    ]);
    let index = index_of(&tar).unwrap();
    assert_eq!(paths(&index), ["a", "a/c", "a-b", "b"]);
    let entry = index.entry(3);
    let Source::Blob { offset, .. } = entry.source else { panic!("no place") };
    assert!(&tar[offset as usize..][..content.len()] == content.as_slice());
    assert_eq!(entry.digest, Some(*blake3::hash(&content).as_bytes()));
    assert_eq!(index.entry(0).digest, None);
}

#[test]
fn all_compressions_give_the_same_index() {
    let content = Random::new(2).text(3_000_000);
    let tar = tar(&[(file("a"), &content), (file("b"), b"2")]);
    let plain = index_of(&tar).unwrap();
    for (kind, announced) in
        [(CompressionKind::Gzip, IngestCompression::Gzip), (CompressionKind::Zstd, IngestCompression::Zstd)]
    {
        for compression in [announced, IngestCompression::Detect] {
            let folder = Folder::new();
            let blob = compressed(&tar, kind);
            folder.write("input", &blob);
            let mut request = ingest_request(&folder, compression);
            request.tar = Some(folder.text("tar"));
            request.size = Some(blob.len() as u64);
            request.digest = Some(sha256(Sha256::new_with_prefix(&blob)));
            request.diff_id = Some(sha256(Sha256::new_with_prefix(&tar)));
            run(&folder, request).unwrap();
            assert!(folder.read("tar") == tar);
            assert!(folder.read("output") == blob);
            let index = table(folder.read("index"));
            assert_eq!(index.len(), plain.len());
            assert!((0..index.len()).all(|number| index.entry(number) == plain.entry(number)));
        }
    }
}

#[test]
fn pieces_may_come_in_any_size() {
    let tar = tar(&[(file("a"), &Random::new(2).text(100_000))]);
    for step in [1000, 511, 1 << 20] {
        let folder = Folder::new();
        let request = Ingest { input: None, ..ingest_request(&folder, IngestCompression::None) };
        let (sender, pieces) = sync_channel(1);
        std::thread::scope(|scope| {
            let tar = &tar;
            scope.spawn(move || tar.chunks(step).for_each(|piece| sender.send(piece.to_vec()).unwrap()));
            ingest(request, pieces, &Job::silent()).unwrap();
        });
        assert!(folder.read("output") == tar);
    }
}

#[test]
fn what_is_not_as_announced_is_a_mismatch_even_when_it_is_no_tar() {
    let good = tar(&[(file("a"), b"1")]);
    let wrong = format!("sha256:{}", "0".repeat(64));
    for bytes in [good.clone(), b"no tar at all".repeat(100)] {
        let folder = Folder::new();
        folder.write("input", &bytes);
        let request = || ingest_request(&folder, IngestCompression::None);
        assert_eq!(code(run(&folder, Ingest { digest: Some(wrong.clone()), ..request() })), Code::Mismatch);
        let size = Some(bytes.len() as u64);
        let right = Some(sha256(Sha256::new_with_prefix(&bytes)));
        assert_eq!(code(run(&folder, Ingest { size: size.map(|n| n - 1), digest: right, ..request() })), Code::Hostile);
    }
    let folder = Folder::new();
    folder.write("input", &good);
    let request = || ingest_request(&folder, IngestCompression::None);
    let size = Some(good.len() as u64 + 1);
    assert_eq!(code(run(&folder, Ingest { size, ..request() })), Code::Mismatch);
    assert_eq!(code(run(&folder, Ingest { diff_id: Some(wrong), ..request() })), Code::Mismatch);
}

#[test]
fn bytes_after_the_end_count_for_the_digest() {
    let tar = [tar(&[(file("a"), b"1")]), b"anything".repeat(5000)].concat();
    let folder = Folder::new();
    folder.write("input", &compressed(&tar, CompressionKind::Gzip));
    let request = ingest_request(&folder, IngestCompression::Gzip);
    let request = Ingest { diff_id: Some(sha256(Sha256::new_with_prefix(&tar))), ..request };
    run(&folder, request).unwrap();
}

#[test]
fn empty_layers_are_layers_but_no_archives() {
    for bytes in [vec![], vec![0; 1024], vec![0; 10240]] {
        assert_eq!(index_of(&bytes).unwrap().len(), 0);
        let folder = Folder::new();
        folder.write("input", &bytes);
        assert_eq!(code(run(&folder, ingest_request(&folder, IngestCompression::Detect))), Code::NotArchive);
    }
}

#[test]
fn files_that_are_no_archives_are_told_apart_from_damaged_ones() {
    let tar = tar(&[(file("a"), &Random::new(3).text(9000))]);
    let gzip = compressed(&tar, CompressionKind::Gzip);
    let cut = gzip.len() - 100;
    for (name, bytes, expected) in [
        ("text", b"#!/bin/sh\n".repeat(1000), Code::NotArchive),
        ("a byte", b"a".to_vec(), Code::NotArchive),
        ("compressed text", compressed(&b"text ".repeat(1000), CompressionKind::Zstd), Code::NotArchive),
        ("a magic number alone", vec![0x1f, 0x8b, 8], Code::NotArchive),
        ("bzip2 of nothing", b"BZh9 is not compressed".to_vec(), Code::NotArchive),
        ("xz of nothing", b"\xfd7zXZ\0 is not compressed".to_vec(), Code::NotArchive),
        ("a cut archive", gzip[..cut].to_vec(), Code::Hostile),
        ("a cut tar", tar[..2000].to_vec(), Code::Hostile),
        ("a tar that leaves the root", tar_of_one("../a"), Code::Hostile),
    ] {
        let folder = Folder::new();
        folder.write("input", &bytes);
        let mut request = ingest_request(&folder, IngestCompression::Detect);
        request.tar = Some(folder.text("tar"));
        assert_eq!(code(run(&folder, request)), expected, "{name}");
    }
}

#[test]
fn a_bomb_is_stopped() {
    // Each frame gives 2 MiB for some hundred bytes.
    let frame = compressed(&vec![1; 2 << 20], CompressionKind::Zstd);
    let folder = Folder::new();
    folder.write("input", &frame.repeat(2000));
    let failure = run(&folder, ingest_request(&folder, IngestCompression::Zstd)).err().unwrap();
    assert_eq!(failure.code, Code::Hostile, "{failure}");
    // Much of nothing is no bomb.
    let zeros = tar(&[(file("zeros"), &vec![0; 128 << 20])]);
    folder.write("input", &compressed(&zeros, CompressionKind::Zstd));
    run(&folder, ingest_request(&folder, IngestCompression::Zstd)).unwrap();
}

#[test]
fn later_entries_replace_earlier_ones() {
    let folder = |path: &'static str| Entry::new(path.as_bytes(), Kind::Directory);
    for (name, entries, expected) in [
        ("a file again", vec![(file("a"), &b"1"[..]), (file("a"), b"22")], vec!["a"]),
        ("a file for a folder", vec![(folder("a"), b""), (file("a/b"), b""), (file("a"), b"22")], vec!["a"]),
        (
            "a folder for a file for a folder",
            vec![(file("a/b"), &b""[..]), (file("a"), b""), (folder("a"), b""), (file("a/c"), b"")],
            vec!["a", "a/c"],
        ),
        ("folders stay", vec![(folder("a"), b""), (file("a/b"), b""), (folder("a"), b"")], vec!["a", "a/b"]),
    ] {
        assert_eq!(paths(&index_of(&tar(&entries)).unwrap()), expected, "{name}");
    }
    assert_eq!(index_of(&tar(&[(file("a"), b"1"), (file("a"), b"22")])).unwrap().entry(0).size, 2);
}

#[test]
fn hard_links_lead_to_the_content() {
    let chain = index_of(&tar(&[(file("c"), b"1"), (link("b", "c"), b""), (link("a", "b"), b"")])).unwrap();
    assert_eq!((chain.entry(0).link, chain.entry(1).link), (&b"c"[..], &b"c"[..]));
    // What a link was made to stays when its first name is given to something else.
    let moved = [(file("b"), &b"old"[..]), (link("a", "b"), b""), (file("b"), b"newer")];
    let moved = index_of(&tar(&moved)).unwrap();
    assert_eq!((moved.entry(0).kind, moved.entry(0).size), (Kind::File, 3));
    assert_eq!(moved.entry(0).digest, Some(*blake3::hash(b"old").as_bytes()));
    // A link into a layer below.
    assert_eq!(index_of(&tar(&[(link("a", "below"), b"")])).unwrap().entry(0).link, b"below");
    for (name, entries) in [
        ("to itself", vec![(link("a", "a"), &b""[..])]),
        ("in a circle", vec![(link("a", "b"), b""), (link("b", "a"), b"")]),
        ("to a folder", vec![(Entry::new(b"b", Kind::Directory), b""), (link("a", "b"), b"")]),
    ] {
        let failure = index_of(&tar(&entries)).err().unwrap();
        assert_eq!(failure.code, Code::Hostile, "{name}");
    }
}

#[test]
fn many_names_and_links_of_one_path_take_no_longer() {
    let mut entries = Vec::new();
    for _ in 0..30_000 {
        entries.push((file("a"), &b""[..]));
        entries.push((link("b", "a"), b""));
    }
    assert_eq!(paths(&index_of(&tar(&entries)).unwrap()), ["a", "b"]);
}

#[test]
fn damage_ends_in_a_failure_never_in_a_panic() {
    let mut random = Random::new(6);
    let tar = tar(&[(file("a"), &random.text(5000)), (link("b", "a"), b""), (file("\u{e4}"), b"1")]);
    let inputs = [
        (tar.clone(), IngestCompression::None),
        (compressed(&tar, CompressionKind::Gzip), IngestCompression::Gzip),
        (compressed(&tar, CompressionKind::Zstd), IngestCompression::Detect),
    ];
    for (bytes, compression) in inputs {
        for _ in 0..150 {
            let folder = Folder::new();
            let mut damaged = bytes.clone();
            damaged[random.below(bytes.len())] ^= 1 << random.below(8);
            damaged.truncate(bytes.len() - random.below(2) * random.below(bytes.len()));
            folder.write("input", &damaged);
            if let Err(failure) = run(&folder, ingest_request(&folder, compression)) {
                assert!(matches!(failure.code, Code::Hostile | Code::NotArchive), "{failure}");
            }
        }
    }
}
