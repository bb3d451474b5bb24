use super::*;
use crate::testing::Folder;
use rustix::fs::mkdirat;
use std::os::unix::fs::{symlink, PermissionsExt};

fn run(paths: &[String]) {
    remove(Remove { id: 1, paths: paths.to_vec() }, &Job::silent()).unwrap();
}

#[test]
fn trees_are_removed_with_what_is_beside_them_and_links_are_not_followed() {
    let folder = Folder::new();
    folder.write("outside", b"untouched");
    std::fs::create_dir_all(folder.at("elsewhere/x")).unwrap();
    for at in ["tree", "tree/a", "tree/a/b/c/d/e/f"] {
        std::fs::create_dir_all(folder.at(at)).unwrap();
        for number in 0..50 {
            folder.write(&format!("{at}/{number}"), b"");
        }
        symlink(folder.at("elsewhere"), folder.at(at).join("link")).unwrap();
    }
    for name in ["tree.owners", "tree.implied", "file"] {
        folder.write(name, b"");
    }
    run(&["tree", "file", "missing"].map(|name| folder.text(name)));
    assert_eq!(folder.names(), ["elsewhere", "outside"]);
    assert!(folder.at("elsewhere/x").exists());
}

#[test]
fn folders_without_permissions_are_removed() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.at("tree/a/b")).unwrap();
    folder.write("tree/a/b/file", b"");
    for at in ["tree/a/b", "tree/a", "tree"] {
        std::fs::set_permissions(folder.at(at), PermissionsExt::from_mode(0o000)).unwrap();
    }
    run(&[folder.text("tree")]);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn trees_of_any_depth_are_removed() {
    let folder = Folder::new();
    std::fs::create_dir(folder.at("tree")).unwrap();
    for start in ["x", "y"] {
        let mut at = open_folder(CWD, folder.text("tree").as_bytes()).unwrap();
        for depth in 0..3000 {
            let name = if depth == 0 { start } else { "n" };
            mkdirat(&at, name, Mode::RWXU).unwrap();
            openat(&at, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
            at = open_folder(&at, name.as_bytes()).unwrap();
        }
    }
    // A name that is taken already, where deep folders are moved to.
    folder.write("tree/.kbuild-removed-0-0", b"");
    run(&[folder.text("tree")]);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn wide_trees_are_removed() {
    let folder = Folder::new();
    for number in 0..2000 {
        std::fs::create_dir_all(folder.at(&format!("tree/{number}/d"))).unwrap();
    }
    run(&[folder.text("tree")]);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_folder_is_renamed_or_gives_way() {
    let folder = Folder::new();
    let run =
        |from: &str, to: &str| rename(Move { id: 1, from: folder.text(from), to: folder.text(to) }, &Job::silent());
    std::fs::create_dir_all(folder.at("first/a")).unwrap();
    folder.write("first.owners", b"1");
    std::fs::create_dir_all(folder.at("second/b")).unwrap();
    folder.write("second.owners", b"2");
    run("first", "tree").unwrap();
    run("second", "tree").unwrap();
    assert_eq!(folder.names(), ["tree", "tree.owners"]);
    assert!(folder.at("tree/a").exists());
    assert_eq!(folder.read("tree.owners"), b"1");
    assert_eq!(run("missing", "other").err().unwrap().code, Code::NotFound);
}
