//! Finds what the sources of a COPY select, as BuildKit does it over the context without what the rules exclude:
//! links in the names before the first wildcard are followed, a wildcard takes only real folders on its way, and of a
//! link that is the last name, its target is taken.
use super::found::{join, vanished, Folder, ItemKind, Sort};
use super::walk::{too_many, warning, MAX_ENTRIES, NAMES};
use crate::failure::{Code, Failure, Result};
use crate::glob::Glob;
use crate::ignore::{Ignore, Matched};
use crate::protocol::{ScanWarning, Segment, Selection};
use crate::root::Root;
use crate::session::Job;
use rustix::fs::{fstat, openat, readlinkat, statat, AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Links that are followed for one path at most, as BuildKit has it.
const MAX_LINKS: usize = 255;
/// Names that resolving one path may take: links can make a short path arbitrarily expensive.
const MAX_STEPS: usize = 100_000;

/// Something that a selection matched.
pub struct Target {
    /// Number of the selection.
    pub selection: usize,
    /// The path as it was asked for.
    pub asked: Vec<u8>,
    /// Its real path.
    pub path: Vec<u8>,
    /// The thing as the only item of the folder that it is in.
    pub unit: Folder,
    /// What its entries inherit, if it is a folder that is to be listed.
    pub inherited: Option<Matched>,
    /// For a folder: the rule that excludes it. It is only there if something in it is let in.
    pub excluded: Option<usize>,
}

/// What selecting came to.
#[derive(Default)]
pub struct Selected {
    pub targets: Vec<Target>,
    /// For each selection the rule that excludes the first thing that it would have matched.
    pub rules: Vec<Option<usize>>,
    pub warnings: Vec<ScanWarning>,
}

pub struct Selector<'a> {
    root: &'a Root,
    ignore: &'a Ignore,
    job: &'a Job,
    selected: Selected,
}

/// A segment of a selection, ready to be matched.
enum Matcher {
    Name(Vec<u8>),
    Pattern(Glob),
    Any,
}

/// Where following a path led.
enum Reached {
    /// The folder where the place is now.
    Folder,
    /// A thing of this name in that folder.
    Leaf(Vec<u8>, Stat),
    /// Nothing, perhaps because of a rule.
    Nothing(Option<usize>),
    TooManyLinks,
}

impl<'a> Selector<'a> {
    pub fn new(root: &'a Root, ignore: &'a Ignore, job: &'a Job) -> Self {
        Selector { root, ignore, job, selected: Selected::default() }
    }

    /// Fails with `pattern` for a malformed wildcard, with `hostile` for links that lead in a circle, with `denied`.
    pub fn select(mut self, selections: &[Selection]) -> Result<Selected> {
        for (number, selection) in selections.iter().enumerate() {
            self.selected.rules.push(None);
            let matchers = matchers(&selection.segments)?;
            let names: Vec<&[u8]> = matchers
                .iter()
                .map_while(|matcher| match matcher {
                    Matcher::Name(name) => Some(name.as_slice()),
                    _ => None,
                })
                .collect();
            let has_wildcard = names.len() < matchers.len();
            let asked = names.join(&b'/');
            let mut place = Place::new(self.root, self.ignore);
            match place.follow(&asked, has_wildcard || selection.follow_last)? {
                Reached::Folder if has_wildcard => {
                    self.descend(number, &matchers, names.len(), selection.follow_last, place, asked)?;
                }
                Reached::Leaf(..) if has_wildcard => {}
                Reached::Folder => self.take_folder(number, &mut place, asked)?,
                Reached::Leaf(name, stat) => self.take_leaf(number, &mut place, &name, &stat, asked)?,
                Reached::Nothing(rule) => self.selected.rules[number] = rule,
                Reached::TooManyLinks => {
                    return Err(Failure::new(Code::Hostile, "too many symbolic links").at(asked));
                }
            }
        }
        Ok(self.selected)
    }

    fn take_folder(&mut self, selection: usize, place: &mut Place<'_>, asked: Vec<u8>) -> Result<()> {
        let path = place.path();
        let folder = place.folder()?;
        let stat = fstat(&folder).map_err(|error| Failure::from(error).at(&path))?;
        let excluded = place.excluded();
        let is_listed = excluded.is_none_or(|rule| self.ignore.may_readmit(rule, &path));
        let (parent, name) = split(&path);
        let mut unit = Folder::new(parent.to_vec());
        let kind = ItemKind::Directory { listing: None, excluded: excluded.is_some() };
        unit.add(folder.as_fd(), name, kind, &stat)?;
        let inherited = is_listed.then(|| place.matched().clone());
        self.take(Target { selection, asked, path, unit, inherited, excluded })
    }

    fn take_leaf(
        &mut self,
        selection: usize,
        place: &mut Place<'_>,
        name: &[u8],
        stat: &Stat,
        asked: Vec<u8>,
    ) -> Result<()> {
        let mut unit = Folder::new(place.path());
        let path = unit.path_of(name);
        let kind = match Sort::of(FileType::from_raw_mode(stat.st_mode)) {
            Sort::File => ItemKind::File,
            Sort::Symlink => ItemKind::Symlink,
            Sort::Directory => return Err(Failure::new(Code::Changed, "it was changed while it was read").at(path)),
            Sort::Unwanted(kind) => {
                self.selected.warnings.push(warning(&path, kind));
                return Ok(());
            }
        };
        unit.add(place.folder()?.as_fd(), name, kind, stat)?;
        self.take(Target { selection, asked, path, unit, inherited: None, excluded: None })
    }

    fn take(&mut self, target: Target) -> Result<()> {
        self.selected.targets.push(target);
        if self.selected.targets.len() > MAX_ENTRIES {
            return Err(too_many());
        }
        Ok(())
    }

    /// Looks for what matches from segment `first` on, in the folder where `place` is.
    fn descend(
        &mut self,
        selection: usize,
        matchers: &[Matcher],
        first: usize,
        follow_last: bool,
        place: Place<'_>,
        asked: Vec<u8>,
    ) -> Result<()> {
        let mut names = vec![MaybeUninit::uninit(); NAMES];
        let mut states = Vec::new();
        reach(matchers, first, &mut states);
        let mut waiting = vec![(place, asked, states)];
        while let Some((mut place, asked, states)) = waiting.pop() {
            self.job.check()?;
            let path = place.path();
            let opened = self.root.open_with(&path, OFlags::RDONLY | OFlags::DIRECTORY);
            let folder = Rc::new(opened.map_err(|error| vanished(error, &path))?);
            place.folder = Some(Rc::clone(&folder));
            let mut dir = RawDir::new(&folder, &mut names);
            while let Some(entry) = dir.next() {
                let entry = entry.map_err(|error| vanished(error, &path))?;
                let name = entry.file_name().to_bytes();
                if name == b"." || name == b".." {
                    continue;
                }
                let (is_match, next) = advance(matchers, &states, name);
                let mut found = Vec::new();
                join(&mut found, &asked, name);
                if is_match {
                    self.take_match(selection, &mut place, name, follow_last, found)?;
                } else if !next.is_empty() && matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                    let mut below = place.clone();
                    let is_folder = matches!(below.enter_folder(name)?, Reached::Folder);
                    let path = below.path();
                    if is_folder && below.excluded().is_none_or(|rule| self.ignore.may_readmit(rule, &path)) {
                        // Many may be waiting: too many to be open.
                        below.folder = None;
                        waiting.push((below, found, next));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes what a wildcard matched. A link that leads to nothing, or nowhere, is taken as it is.
    fn take_match(
        &mut self,
        selection: usize,
        place: &mut Place<'_>,
        name: &[u8],
        follow_last: bool,
        asked: Vec<u8>,
    ) -> Result<()> {
        let mut below = place.clone();
        let mut reached = below.follow(name, follow_last)?;
        if follow_last && matches!(reached, Reached::Nothing(_) | Reached::TooManyLinks) {
            below = place.clone();
            reached = below.follow(name, false)?;
        }
        match reached {
            Reached::Folder => self.take_folder(selection, &mut below, asked),
            Reached::Leaf(name, stat) => self.take_leaf(selection, &mut below, &name, &stat, asked),
            Reached::Nothing(rule) => {
                let first = &mut self.selected.rules[selection];
                *first = first.or(rule);
                Ok(())
            }
            Reached::TooManyLinks => Ok(()),
        }
    }
}

fn matchers(segments: &[Segment]) -> Result<Vec<Matcher>> {
    let matcher = |segment: &Segment| match segment {
        Segment::Any => Ok(Matcher::Any),
        Segment::Name { text } => Ok(Matcher::Name(text.as_bytes().to_vec())),
        Segment::Pattern { text } => Glob::new(text).map(Matcher::Pattern).map_err(|_| {
            let failure = Failure::new(Code::Pattern, "the pattern has a syntax error");
            failure.at(text)
        }),
    };
    for segment in segments {
        let (Segment::Name { text } | Segment::Pattern { text }) = segment else { continue };
        if text.is_empty() || text == "." || text == ".." || text.contains('/') {
            return Err(Failure::new(Code::Protocol, format!("\"{text}\" is no name of a selection")));
        }
    }
    segments.iter().map(matcher).collect()
}

/// Adds the state of standing before a segment, and before those that `**` lets be skipped.
fn reach(matchers: &[Matcher], mut state: usize, states: &mut Vec<usize>) {
    while !states.contains(&state) {
        states.push(state);
        if !matches!(matchers[state], Matcher::Any) || state + 1 == matchers.len() {
            return;
        }
        state += 1;
    }
}

/// Whether a name is a match in one of the states, and the states in the folder of that name.
fn advance(matchers: &[Matcher], states: &[usize], name: &[u8]) -> (bool, Vec<usize>) {
    let mut next = Vec::new();
    let mut is_match = false;
    for state in states {
        let is_last = state + 1 == matchers.len();
        match &matchers[*state] {
            Matcher::Any if is_last => is_match = true,
            Matcher::Any => reach(matchers, *state, &mut next),
            Matcher::Name(wanted) if wanted != name => {}
            Matcher::Pattern(glob) if !glob.matches(name) => {}
            Matcher::Name(_) | Matcher::Pattern(_) if is_last => is_match = true,
            Matcher::Name(_) | Matcher::Pattern(_) => reach(matchers, state + 1, &mut next),
        }
    }
    (is_match, next)
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// A folder of the context on the way along a path.
#[derive(Clone)]
struct Place<'a> {
    root: &'a Root,
    ignore: &'a Ignore,
    /// The folders from the root down, real names all.
    steps: Vec<Rc<Step>>,
    at_root: Matched,
    /// The folder itself, if it is open.
    folder: Option<Rc<OwnedFd>>,
}

struct Step {
    name: Vec<u8>,
    matched: Matched,
    excluded: Option<usize>,
}

impl<'a> Place<'a> {
    fn new(root: &'a Root, ignore: &'a Ignore) -> Self {
        Place { root, ignore, steps: Vec::new(), at_root: ignore.root(), folder: None }
    }

    fn path(&self) -> Vec<u8> {
        let names: Vec<&[u8]> = self.steps.iter().map(|step| step.name.as_slice()).collect();
        names.join(&b'/')
    }

    fn matched(&self) -> &Matched {
        self.steps.last().map_or(&self.at_root, |step| &step.matched)
    }

    fn excluded(&self) -> Option<usize> {
        self.steps.last().and_then(|step| step.excluded)
    }

    fn folder(&mut self) -> Result<Rc<OwnedFd>> {
        if let Some(folder) = &self.folder {
            return Ok(Rc::clone(folder));
        }
        let path = self.path();
        let opened = self.root.open_with(&path, OFlags::PATH | OFlags::DIRECTORY);
        let folder = Rc::new(opened.map_err(|error| vanished(error, &path))?);
        self.folder = Some(Rc::clone(&folder));
        Ok(folder)
    }

    /// Goes along a path from here. Links are followed as if the context were the whole machine.
    fn follow(&mut self, path: &[u8], follow_last: bool) -> Result<Reached> {
        let mut pending = Vec::new();
        push(&mut pending, path);
        let (mut links, mut taken) = (0, 0);
        while let Some(name) = pending.pop() {
            taken += 1;
            if taken > MAX_STEPS {
                return Ok(Reached::TooManyLinks);
            }
            if name == b".." {
                self.steps.pop();
                self.folder = None;
                continue;
            }
            let reached = self.enter_folder(&name)?;
            let Reached::Leaf(name, stat) = reached else {
                if matches!(reached, Reached::Folder) {
                    continue;
                }
                return Ok(reached);
            };
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            if !is_link || (pending.is_empty() && !follow_last) {
                let is_last = pending.is_empty();
                return Ok(if is_last { Reached::Leaf(name, stat) } else { Reached::Nothing(None) });
            }
            links += 1;
            if links > MAX_LINKS {
                return Ok(Reached::TooManyLinks);
            }
            let target = readlinkat(self.folder()?, name.as_slice(), Vec::new());
            let target = target.map_err(|error| vanished(error, &self.path()))?.into_bytes();
            if target.first() == Some(&b'/') {
                self.steps.clear();
                self.folder = None;
            }
            push(&mut pending, &target);
        }
        Ok(Reached::Folder)
    }

    /// Goes into the folder of this name. What is no folder is a leaf.
    fn enter_folder(&mut self, name: &[u8]) -> Result<Reached> {
        let mut path = Vec::new();
        join(&mut path, &self.path(), name);
        let folder = self.folder()?;
        let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL) => return Ok(Reached::Nothing(None)),
            Err(error) => return Err(Failure::from(error).at(path)),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let excluded = self.ignore.excludes(self.matched(), &path);
            return Ok(match excluded {
                Some(rule) => Reached::Nothing(Some(rule)),
                None => Reached::Leaf(name.to_vec(), stat),
            });
        }
        let (excluded, matched) = self.ignore.enter(self.matched(), &path);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&folder, name, flags, Mode::empty()).map_err(|error| vanished(error, &path))?;
        self.steps.push(Rc::new(Step { name: name.to_vec(), matched, excluded }));
        self.folder = Some(Rc::new(opened));
        Ok(Reached::Folder)
    }
}

/// Puts the names of a path in front of those that are pending, the next one last.
fn push(pending: &mut Vec<Vec<u8>>, path: &[u8]) {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    pending.extend(names.rev().map(<[u8]>::to_vec));
}
