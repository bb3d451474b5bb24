//! The rules of .dockerignore as BuildKit applies them (moby/patternmatcher, `MatchesUsingParentResults`), over patterns
//! that are already clean.
//!
//! A rule matches a path if its pattern does or if it matched the folder that the path is in; of the rules that match,
//! the last one decides. A rule is only tried where it would change the verdict so far. That makes a difference: below a
//! folder `d`, the rule `!d` does nothing against an earlier `d/x`, because at `d` there was nothing yet to turn around.
use crate::failure::{Code, Failure, Result};
use crate::glob::{decode, Class, Glob};
use crate::protocol::IgnoreRule;

/// All rules of a file.
pub struct Ignore {
    rules: Vec<Rule>,
}

struct Rule {
    negated: bool,
    pattern: Pattern,
}

/// Which rules have matched a folder: what is in it inherits that.
#[derive(Clone)]
pub struct Matched(Box<[u64]>);

impl Matched {
    fn has(&self, rule: usize) -> bool {
        self.0[rule / 64] & (1 << (rule % 64)) != 0
    }
}

impl Ignore {
    /// Fails with `pattern` where docker does.
    pub fn new(rules: &[IgnoreRule]) -> Result<Ignore> {
        let rules = rules.iter().map(|rule| {
            let pattern = Pattern::new(&rule.pattern).ok_or_else(|| {
                let shown = if rule.negated { "!" } else { "" };
                let message = format!("the ignore rule \"{shown}{}\" has a syntax error", rule.pattern);
                Failure::new(Code::Pattern, message)
            })?;
            Ok(Rule { negated: rule.negated, pattern })
        });
        Ok(Ignore { rules: rules.collect::<Result<_>>()? })
    }

    /// What holds at the root, which no rule matches.
    pub fn root(&self) -> Matched {
        Matched(vec![0; self.rules.len().div_ceil(64)].into())
    }

    /// The number of the rule that excludes the path, if one does. `above` is of the folder that it is in.
    pub fn excludes(&self, above: &Matched, path: &[u8]) -> Option<usize> {
        self.decide(above, path, |_| {})
    }

    /// The same for a folder, with what its own entries inherit.
    pub fn enter(&self, above: &Matched, path: &[u8]) -> (Option<usize>, Matched) {
        // Not those of `above`: a rule that is not tried is not inherited further down either, unless it had matched.
        let mut matched = above.clone();
        let excluded = self.decide(above, path, |rule| matched.0[rule / 64] |= 1 << (rule % 64));
        (excluded, matched)
    }

    /// Whether something below a folder that rule `excluded_by` excludes may be let in again.
    pub fn may_readmit(&self, excluded_by: usize, folder: &[u8]) -> bool {
        self.rules[excluded_by..].iter().any(|rule| rule.negated && rule.pattern.may_match_below(folder))
    }

    fn decide(&self, above: &Matched, path: &[u8], mut matches: impl FnMut(usize)) -> Option<usize> {
        let mut excluded = None;
        for (number, rule) in self.rules.iter().enumerate() {
            if !above.has(number) {
                let changes_nothing = rule.negated != excluded.is_some();
                if changes_nothing || !rule.pattern.matches(path) {
                    continue;
                }
                matches(number);
            }
            excluded = (!rule.negated).then_some(number);
        }
        excluded
    }
}

/// One pattern, in the cheapest form that does it.
#[derive(Debug)]
enum Pattern {
    /// Exactly this path.
    Exact(Vec<u8>),
    /// `x/**`: whatever begins so.
    Prefix(Vec<u8>),
    /// `**x`, `**/*x`: whatever ends so.
    Suffix(Vec<u8>),
    /// `**/x`: whatever has this as its last names. The slash is kept in front.
    Names(Vec<u8>),
    /// `*x`: names in the root that end so.
    RootSuffix(Vec<u8>),
    General(Machine),
}

impl Pattern {
    /// `None` where docker finds a syntax error.
    fn new(text: &str) -> Option<Pattern> {
        // Only its verdict on the syntax is of interest.
        Glob::new(text).ok()?;
        let machine = Machine::new(text)?;
        let literal = |from: usize| -> Option<Vec<u8>> {
            let tail = &text[from..];
            let is_plain = !tail.is_empty() && !tail.contains(['*', '?', '[', ']', '\\', '/']);
            is_plain.then(|| tail.as_bytes().to_vec())
        };
        if !text.contains(['*', '?', '[', ']', '\\']) {
            return Some(Pattern::Exact(text.as_bytes().to_vec()));
        }
        let body = text.strip_prefix("**").or(text.strip_suffix("**")).unwrap_or("*");
        if !body.contains(['*', '?', '[', ']', '\\']) {
            let bytes = body.as_bytes().to_vec();
            return Some(match text.starts_with("**") {
                true if body.starts_with('/') => Pattern::Names(bytes),
                true => Pattern::Suffix(bytes),
                false => Pattern::Prefix(bytes),
            });
        }
        if let Some(tail) = text.starts_with("**/*").then(|| literal(4)).flatten() {
            return Some(Pattern::Suffix(tail));
        }
        if let Some(tail) = text.starts_with('*').then(|| literal(1)).flatten() {
            return Some(Pattern::RootSuffix(tail));
        }
        Some(Pattern::General(machine))
    }

    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Pattern::Exact(whole) => path == whole,
            Pattern::Prefix(start) => path.starts_with(start),
            Pattern::Suffix(end) => path.ends_with(end),
            Pattern::Names(end) => path.ends_with(end) || path == &end[1..],
            Pattern::RootSuffix(end) => path.ends_with(end) && !path.contains(&b'/'),
            Pattern::General(machine) => machine.matches(path),
        }
    }

    fn may_match_below(&self, folder: &[u8]) -> bool {
        let is_below = |path: &[u8]| path.starts_with(folder) && path.get(folder.len()) == Some(&b'/');
        match self {
            Pattern::Exact(whole) => is_below(whole),
            Pattern::Prefix(start) => is_below(start) || folder.starts_with(start),
            Pattern::Suffix(_) | Pattern::Names(_) => true,
            Pattern::RootSuffix(_) => false,
            Pattern::General(machine) => machine.may_match_below(folder),
        }
    }
}

/// A pattern as the regular expression that moby makes of it, run over all its states at once, so that no pattern can
/// make matching slow.
#[derive(Debug)]
struct Machine {
    steps: Vec<Step>,
    /// What every path that matches begins with.
    start: Vec<u8>,
}

#[derive(Debug)]
enum Step {
    /// This character.
    Char(u32),
    /// `?`: any but a slash.
    One,
    /// `*`: any number of those.
    Many,
    /// `**` at the end: anything.
    All,
    /// `**` elsewhere: nothing, or anything up to a slash, for which the next step stands.
    Deep,
    DeepInside,
    /// Unlike in a glob, a slash may be one of them: so it is in moby.
    Class(Class),
}

impl Machine {
    fn new(text: &str) -> Option<Machine> {
        let mut rest = text.chars().peekable();
        let mut steps = Vec::new();
        while let Some(character) = rest.next() {
            match character {
                '*' if rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    if rest.peek().is_none() {
                        steps.push(Step::All);
                    } else {
                        steps.extend([Step::Deep, Step::DeepInside]);
                    }
                }
                '*' => steps.push(Step::Many),
                '?' => steps.push(Step::One),
                '[' => steps.push(Step::Class(Class::parse(&mut rest).ok().filter(|class| !class.is_upside_down())?)),
                '\\' => steps.push(Step::Char(rest.next()?.into())),
                _ => steps.push(Step::Char(character.into())),
            }
        }
        let plain = steps.iter().map_while(|step| match step {
            Step::Char(character) => char::from_u32(*character),
            _ => None,
        });
        let start = plain.collect::<String>().into_bytes();
        Some(Machine { steps, start })
    }

    fn matches(&self, path: &[u8]) -> bool {
        path.starts_with(&self.start) && self.run(&[path]).is_some_and(|states| states.has(self.steps.len()))
    }

    fn may_match_below(&self, folder: &[u8]) -> bool {
        // The last state needs nothing more, but there is more to come.
        self.run(&[folder, b"/"]).is_some_and(|states| (0..self.steps.len()).any(|step| states.has(step)))
    }

    /// The states after these pieces; `None` when none is left.
    fn run(&self, pieces: &[&[u8]]) -> Option<States> {
        let mut states = States::new(self.steps.len() + 1);
        let mut next = States::new(self.steps.len() + 1);
        self.reach(0, &mut states);
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (character, length) = decode(rest);
                rest = &rest[length..];
                next.clear();
                states.for_each(|state| self.advance(state, character, &mut next));
                std::mem::swap(&mut states, &mut next);
                if states.is_empty() {
                    return None;
                }
            }
        }
        Some(states)
    }

    fn advance(&self, state: usize, character: u32, next: &mut States) {
        let is_slash = character == u32::from(b'/');
        let (stays, goes) = match self.steps.get(state) {
            None | Some(Step::Deep) => (false, false),
            Some(Step::Char(wanted)) => (false, *wanted == character),
            Some(Step::One) => (false, !is_slash),
            Some(Step::Many) => (!is_slash, false),
            Some(Step::All) => (true, false),
            Some(Step::DeepInside) => (true, is_slash),
            Some(Step::Class(class)) => (false, class.has(character)),
        };
        if stays {
            if let Some(Step::DeepInside) = self.steps.get(state) {
                next.put(state);
            } else {
                self.reach(state, next);
            }
        }
        if goes {
            self.reach(state + 1, next);
        }
    }

    /// Adds a state and those that it leads to without a character.
    fn reach(&self, mut state: usize, states: &mut States) {
        loop {
            states.put(state);
            match self.steps.get(state) {
                Some(Step::Many | Step::All) => state += 1,
                Some(Step::Deep) => {
                    states.put(state + 1);
                    state += 2;
                }
                _ => return,
            }
        }
    }
}

/// A set of states. Nearly every pattern has fewer than 256.
struct States {
    few: [u64; 4],
    many: Vec<u64>,
    /// Words in use.
    words: usize,
}

impl States {
    fn new(count: usize) -> Self {
        let words = count.div_ceil(64);
        States { few: [0; 4], many: if words > 4 { vec![0; words] } else { Vec::new() }, words }
    }

    fn words(&self) -> &[u64] {
        if self.words > 4 {
            &self.many
        } else {
            &self.few[..self.words]
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        if self.words > 4 {
            &mut self.many
        } else {
            &mut self.few[..self.words]
        }
    }

    fn put(&mut self, state: usize) {
        self.words_mut()[state / 64] |= 1 << (state % 64);
    }

    fn has(&self, state: usize) -> bool {
        self.words()[state / 64] & (1 << (state % 64)) != 0
    }

    fn clear(&mut self) {
        self.words_mut().fill(0);
    }

    fn is_empty(&self) -> bool {
        self.words().iter().all(|word| *word == 0)
    }

    fn for_each(&self, mut each: impl FnMut(usize)) {
        for (number, word) in self.words().iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                each(number * 64 + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules as a file has them, with `!` in front of the negated ones.
    fn ignore(patterns: &[&str]) -> Result<Ignore> {
        let rule = |text: &&str| match text.strip_prefix('!') {
            Some(pattern) => IgnoreRule { pattern: pattern.to_owned(), negated: true },
            None => IgnoreRule { pattern: (*text).to_owned(), negated: false },
        };
        Ignore::new(&patterns.iter().map(rule).collect::<Vec<_>>())
    }

    /// Goes down to the path, folder by folder, as a scan does.
    fn excluded(ignore: &Ignore, path: &str) -> Option<usize> {
        let mut above = ignore.root();
        for (at, _) in path.match_indices('/') {
            above = ignore.enter(&above, &path.as_bytes()[..at]).1;
        }
        ignore.excludes(&above, path.as_bytes())
    }

    #[test]
    fn what_is_excluded_and_by_which_rule() {
        let rows: [(&[&str], &str, Option<usize>); 55] = [
            (&[], "a", None),
            (&["a"], "a", Some(0)),
            (&["a"], "a/b/c", Some(0)),
            (&["a"], "ab", None),
            (&["a"], "b/a", None),
            (&["A"], "a", None),
            (&["a/b"], "a", None),
            (&["a/b"], "a/b/c", Some(0)),
            (&["*"], "a/b", Some(0)),
            (&["*.md"], "a.md", Some(0)),
            (&["*.md"], "d/a.md", None),
            (&["*.md"], "x.md/y", Some(0)),
            (&["*/*.md"], "d/a.md", Some(0)),
            (&["*/*.md"], "d/e/a.md", None),
            (&["**/*.md"], "a.md", Some(0)),
            (&["**/*.md"], "d/e/a.md", Some(0)),
            (&["**/*.md"], "d/a.mdx", None),
            (&["**/a"], "a", Some(0)),
            (&["**/a"], "d/a", Some(0)),
            (&["**/a"], "d/ba", None),
            (&["**a"], "d/ba", Some(0)),
            (&["**"], "anything/at/all", Some(0)),
            (&["d/**"], "d", None),
            (&["d/**"], "d/e/f", Some(0)),
            (&["d/**"], "de", None),
            (&["d**"], "de/f", Some(0)),
            (&["d/**/f"], "d/f", Some(0)),
            (&["d/**/f"], "d/e/e/f", Some(0)),
            (&["d/**/f"], "d/ef", None),
            (&["**/d/**"], "a/d/b", Some(0)),
            (&["**/d/**"], "a/d", None),
            (&["a**b"], "a/x/b", Some(0)),
            (&["a**b"], "axb", None),
            (&["?.txt"], "a.txt", Some(0)),
            (&["?.txt"], "ä.txt", Some(0)),
            (&["?.txt"], "ab.txt", None),
            (&["[ab].txt"], "b.txt", Some(0)),
            (&["[^ab].txt"], "b.txt", None),
            (&["a[^b]c"], "a/c", Some(0)),
            (&["\\[x\\].txt"], "[x].txt", Some(0)),
            (&["a.b"], "axb", None),
            (&["a+(b)|{c}$^"], "a+(b)|{c}$^", Some(0)),
            (&["*", "!a.txt"], "a.txt", None),
            (&["*", "!a.txt"], "b.txt", Some(0)),
            (&["!a.txt", "*.txt"], "a.txt", Some(1)),
            (&["*.txt", "!a.txt", "*.txt"], "a.txt", Some(2)),
            (&["d", "!d/g"], "d/g/h/i", None),
            (&["d", "!d/g"], "d/f", Some(0)),
            (&["d", "!d/g", "d/g/h"], "d/g/h/i", Some(2)),
            (&["*", "!**/*.txt"], "d/e/f.txt", None),
            (&["*", "!d", "d/*.md"], "d/x.md", Some(2)),
            (&["*", "!d", "d/*.md"], "d/x.txt", None),
            // What BuildKit does, see the head of this file.
            (&["d/x", "!d"], "d/x", Some(0)),
            (&["d/x", "!d/**"], "d/x", None),
            (&["d", "!d"], "d/x", None),
        ];
        for (patterns, path, expected) in rows {
            assert_eq!(excluded(&ignore(patterns).unwrap(), path), expected, "{patterns:?} on {path}");
        }
    }

    #[test]
    fn only_folders_that_may_hold_something_are_worth_entering() {
        let rows: [(&[&str], &str, bool); 19] = [
            (&["*"], "d", false),
            (&["d", "!e"], "d", false),
            (&["d", "!d/g"], "d", true),
            (&["d", "!d/g/h/i"], "d/g/h", true),
            (&["d", "!d/g/h/i"], "d/h", false),
            (&["d", "!dd/x"], "d", false),
            (&["!d/g", "d"], "d", false),
            (&["*", "!**/*.txt"], "d/e", true),
            (&["*", "!**/x"], "d/e", true),
            (&["*", "!**x"], "d/e", true),
            (&["*", "!*.txt"], "d", false),
            (&["*", "!d/*.txt"], "d", true),
            (&["*", "!d/*.txt"], "d/e", false),
            (&["*", "!*/e/?.txt"], "d/e", true),
            (&["*", "!d/**"], "d", true),
            (&["*", "!d/e/**"], "d", true),
            (&["*", "!d/e/**"], "e", false),
            (&["*", "!d/**/x"], "d/e/f", true),
            (&["*", "!d/**/x"], "e", false),
        ];
        for (patterns, folder, expected) in rows {
            let ignore = ignore(patterns).unwrap();
            let rule = excluded(&ignore, folder).unwrap();
            assert_eq!(ignore.may_readmit(rule, folder.as_bytes()), expected, "{patterns:?} at {folder}");
        }
    }

    #[test]
    fn a_syntax_error_is_told_with_its_rule() {
        for pattern in ["[", "a[", "[]", "a\\", "![", "[z-a]"] {
            let failure = ignore(&["fine", pattern]).err().unwrap();
            assert_eq!(failure.code, Code::Pattern);
            assert!(failure.message.contains(&format!("\"{pattern}\"")), "{}", failure.message);
        }
    }

    #[test]
    fn no_pattern_is_slow() {
        let ignore = ignore(&[&"*a".repeat(500), &"**/a*".repeat(100), &"?".repeat(3_000)]).unwrap();
        let path = vec!["a".repeat(20); 150].join("/");
        assert_eq!(excluded(&ignore, &format!("{path}/b")), Some(1));
    }

    #[derive(serde::Deserialize)]
    struct Case {
        patterns: Vec<String>,
        path: String,
        ignored: bool,
    }

    #[test]
    fn decides_as_moby_does() {
        let text = std::fs::read_to_string("../test/fixtures/ignore-cases.json").unwrap();
        let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
        assert!(cases.len() > 100);
        for Case { patterns, path, ignored } in cases {
            let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            assert_eq!(excluded(&ignore(&patterns).unwrap(), &path).is_some(), ignored, "{patterns:?} on {path}");
        }
    }
}
