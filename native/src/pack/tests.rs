use super::*;
use crate::compress::decode::{decoder, Encoding};
use crate::protocol::{BlobSource, Compression};
use crate::testing::{pack_request, table as parse, table_bytes, Folder, Random};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Paths and contents, sorted.
fn contents() -> Vec<(String, Vec<u8>)> {
    let mut random = Random::new(5);
    let sizes = [0, 1, 511, 512, 513, 60_000, 70_000, 262_144, 300_000, 1_500_000];
    (0..200)
        .map(|number| (format!("f{number:03}"), random.text(sizes[number % sizes.len()] / (1 + number / 40))))
        .collect()
}

/// The entry of a file that is there.
fn found<'a>(root: &Path, name: &'a str) -> Entry<'a> {
    let data = std::fs::metadata(root.join(name)).unwrap();
    Entry {
        mode: 0o644,
        size: data.len(),
        seconds: data.mtime(),
        nanoseconds: data.mtime_nsec() as u32,
        source: Source::File { root: 0, path: name.as_bytes() },
        ..Entry::new(name.as_bytes(), Kind::File)
    }
}

fn context(contents: &[(String, Vec<u8>)]) -> Folder {
    let folder = Folder::new();
    for (name, content) in contents {
        folder.write(name, content);
    }
    folder
}

fn code(outcome: Outcome) -> Code {
    outcome.err().unwrap().code
}

fn hex(bytes: &[u8]) -> String {
    sha256(Sha256::new_with_prefix(bytes))
}

#[test]
fn a_layer_has_every_content_where_its_index_says() {
    let contents = contents();
    let (root, folder) = (context(&contents), Folder::new());
    let entries = contents.iter().map(|(name, _)| found(root.path(), name));
    let request = pack_request(&folder, &[root.text("")], &[]);
    let (reply, _) = pack(request, table_bytes(entries), &Job::silent()).unwrap();
    let tar = folder.read("output");
    let Reply::Packed { diff_id, digest, size, tar_size, .. } = reply else { panic!("another reply") };
    assert_eq!((digest, diff_id), (hex(&tar), hex(&tar)));
    assert_eq!((size, tar_size), (tar.len() as u64, tar.len() as u64));
    let index = parse(folder.read("index"));
    assert_eq!(index.len(), contents.len());
    for (number, (name, content)) in contents.iter().enumerate() {
        let entry = index.entry(number);
        let Source::Blob { blob: 0, offset } = entry.source else { panic!("{name} has no place") };
        assert!(&tar[offset as usize..][..content.len()] == content, "{name}");
        assert_eq!(entry.digest, Some(*blake3::hash(content).as_bytes()), "{name}");
        assert_eq!(entry.nanoseconds, 0);
    }
}

#[test]
fn compressed_layers_hold_the_same_tar() {
    let contents = contents();
    let root = context(&contents);
    let mut tars = Vec::new();
    for (kind, encoding) in [
        (CompressionKind::None, Encoding::None),
        (CompressionKind::Gzip, Encoding::Gzip),
        (CompressionKind::Zstd, Encoding::Zstd),
    ] {
        let folder = Folder::new();
        let mut request = pack_request(&folder, &[root.text("")], &[]);
        request.compression = Compression { kind, level: 2 };
        let entries = contents.iter().map(|(name, _)| found(root.path(), name));
        let (reply, _) = pack(request, table_bytes(entries), &Job::silent()).unwrap();
        let blob = folder.read("output");
        let mut tar = Vec::new();
        decoder(encoding, blob.as_slice()).unwrap().read_to_end(&mut tar).unwrap();
        let Reply::Packed { diff_id, digest, size, .. } = reply else { panic!("another reply") };
        assert_eq!((diff_id, digest, size), (hex(&tar), hex(&blob), blob.len() as u64));
        tars.push(tar);
    }
    assert!(tars.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn contents_come_out_of_layers_of_every_compression_and_in_any_order() {
    let contents = contents();
    let root = context(&contents);
    for kind in [CompressionKind::None, CompressionKind::Gzip, CompressionKind::Zstd] {
        let (base, folder) = (Folder::new(), Folder::new());
        let mut request = pack_request(&base, &[root.text("")], &[]);
        request.compression = Compression { kind, level: 1 };
        pack(request, table_bytes(contents.iter().map(|(name, _)| found(root.path(), name))), &Job::silent()).unwrap();
        let index = parse(base.read("index"));
        let blobs = [BlobSource { path: base.text("output"), compression: kind }];
        for is_turned in [false, true] {
            let order = |number: usize| if is_turned { contents.len() - 1 - number } else { number };
            let names: Vec<String> = (0..contents.len()).map(|number| format!("g{number:03}")).collect();
            let entries = (0..contents.len())
                .filter(|number| number % 3 != 1)
                .map(|number| Entry { path: names[number].as_bytes(), ..index.entry(order(number)) });
            let (output, listing) = (folder.text("output"), folder.text("index"));
            pack(pack_request(&folder, &[], &blobs), table_bytes(entries), &Job::silent()).unwrap();
            let made = parse(folder.read("index"));
            let tar = folder.read("output");
            for number in 0..made.len() {
                let entry = made.entry(number);
                let Source::Blob { offset, .. } = entry.source else { panic!("no place") };
                let digest = *blake3::hash(&tar[offset as usize..][..entry.size as usize]).as_bytes();
                assert_eq!(Some(digest), entry.digest, "{kind:?} {is_turned} {number}");
            }
            std::fs::remove_file(output).unwrap();
            std::fs::remove_file(listing).unwrap();
        }
    }
}

#[test]
fn a_file_that_is_not_what_the_table_says_fails_and_leaves_nothing() {
    let root = context(&[("a".into(), b"content".to_vec())]);
    std::fs::create_dir(root.at("folder")).unwrap();
    std::os::unix::fs::symlink("a", root.at("link")).unwrap();
    let right = found(root.path(), "a");
    for (name, entry) in [
        ("shorter", Entry { size: 8, ..right.clone() }),
        ("longer", Entry { size: 6, ..right.clone() }),
        ("time", Entry { nanoseconds: right.nanoseconds ^ 1, ..right.clone() }),
        ("digest", Entry { digest: Some([7; 32]), ..right.clone() }),
        ("gone", Entry { source: Source::File { root: 0, path: b"b" }, ..right.clone() }),
        ("folder", Entry { size: 0, source: Source::File { root: 0, path: b"folder" }, ..right.clone() }),
        ("link", Entry { source: Source::File { root: 0, path: b"link" }, ..right.clone() }),
    ] {
        let folder = Folder::new();
        let request = pack_request(&folder, &[root.text("")], &[]);
        let failure = pack(request, table_bytes([entry]), &Job::silent()).err().unwrap();
        assert_eq!(failure.code, Code::Changed, "{name}: {failure}");
        assert!(failure.path.is_some(), "{name}");
        assert!(folder.names().is_empty(), "{name} leaves {:?}", folder.names());
    }
}

#[test]
fn a_blob_that_ends_early_or_holds_something_else_is_a_mismatch() {
    let folder = Folder::new();
    folder.write("plain", &[0; 1000]);
    folder.write("broken", &[0x1f, 0x8b, 8, 0, 1, 2, 3]);
    let digest = Some(*blake3::hash(b"other").as_bytes());
    for (name, compression, offset, digest) in [
        ("plain", CompressionKind::None, 996, None),
        ("plain", CompressionKind::None, u64::MAX - 2, None),
        ("plain", CompressionKind::None, 0, digest),
        ("broken", CompressionKind::Gzip, 0, None),
    ] {
        let blobs = [BlobSource { path: folder.text(name), compression }];
        let source = Source::Blob { blob: 0, offset };
        let entry = Entry { size: 5, source, digest, ..Entry::new(b"a", Kind::File) };
        // Twice, so that the stream is not in order and goes through a file.
        for entries in [vec![entry.clone()], vec![entry.clone(), Entry { path: b"b", ..entry }]] {
            let outcome = pack(pack_request(&folder, &[], &blobs), table_bytes(entries), &Job::silent());
            assert_eq!(code(outcome), Code::Mismatch, "{name} at {offset}");
            assert_eq!(folder.names(), ["broken", "plain"]);
        }
    }
}

#[test]
fn times_are_clamped_as_they_are_written() {
    let root = context(&[("a".into(), b"content".to_vec())]);
    let folder = Folder::new();
    let mut request = pack_request(&folder, &[root.text("")], &[]);
    request.epoch = Some(1000);
    pack(request, table_bytes([found(root.path(), "a")]), &Job::silent()).unwrap();
    let index = parse(folder.read("index"));
    assert_eq!((index.entry(0).seconds, index.entry(0).nanoseconds), (1000, 0));
    assert_eq!(&folder.read("output")[136..147], b"00000001750");
}

#[test]
fn an_output_that_is_there_is_not_touched() {
    let folder = Folder::new();
    folder.write("output", b"mine");
    let outcome = pack(pack_request(&folder, &[], &[]), table_bytes([]), &Job::silent());
    assert_eq!(code(outcome), Code::Io);
    assert_eq!(folder.read("output"), b"mine");
}

#[test]
fn an_archive_takes_files_whatever_their_time() {
    let root = context(&[("blob".into(), Random::new(9).text(10_000_000))]);
    let folder = Folder::new();
    let mut request = pack_request(&folder, &[root.text("")], &[]);
    (request.purpose, request.index) = (Purpose::Archive, None);
    let entry = Entry { seconds: 0, ..found(root.path(), "blob") };
    let note = Entry { size: 2, source: Source::Inline(b"{}"), ..Entry::new(b"index.json", Kind::File) };
    pack(request, table_bytes([entry, note]), &Job::silent()).unwrap();
    let tar = folder.read("output");
    assert!(tar[512..512 + 10_000_000] == root.read("blob"));
    assert_eq!(tar.len() % 512, 0);
    assert!(tar.ends_with(&END));
}

#[test]
fn numbers_that_lead_nowhere_are_refused() {
    for source in [Source::None, Source::File { root: 1, path: b"a" }, Source::Blob { blob: 3, offset: 0 }] {
        let folder = Folder::new();
        let entry = Entry { size: 1, source, ..Entry::new(b"a", Kind::File) };
        let outcome = pack(pack_request(&folder, &[], &[]), table_bytes([entry]), &Job::silent());
        assert_eq!(code(outcome), Code::Protocol);
    }
}
