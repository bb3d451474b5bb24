//! Go's `path/filepath.Match` on one name: `*`, `?`, `[a-z]`, `[^a]`, `\c`. Takes time in proportion to the length of
//! the name times that of the pattern, whatever they are.
use std::iter::Peekable;
use std::str::Chars;

/// A pattern whose syntax is wrong: Go's `ErrBadPattern`.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// A pattern that is ready to be matched.
#[derive(Debug)]
pub struct Glob {
    tokens: Vec<Token>,
}

#[derive(Debug)]
enum Token {
    /// This character.
    Char(u32),
    /// `?`
    One,
    /// `*`
    Many,
    Class(Class),
}

impl Glob {
    pub fn new(pattern: &str) -> Result<Glob, Malformed> {
        let mut rest = pattern.chars().peekable();
        let mut tokens = Vec::new();
        while let Some(character) = rest.next() {
            tokens.push(match character {
                '*' => Token::Many,
                '?' => Token::One,
                '[' => Token::Class(Class::parse(&mut rest)?),
                '\\' => Token::Char(rest.next().ok_or(Malformed)?.into()),
                _ => Token::Char(character.into()),
            });
        }
        Ok(Glob { tokens })
    }

    /// Whether the whole name matches. `name` has no slash.
    pub fn matches(&self, name: &[u8]) -> bool {
        let (mut token, mut at) = (0, 0);
        // Where to go on when what follows the last `*` does not fit: that `*` then takes one character more. Earlier
        // ones need never take more, because whatever they could give to the rest this one can give as well.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            if matches!(self.tokens.get(token), Some(Token::Many)) {
                token += 1;
                retry = Some((token, at));
                continue;
            }
            if at == name.len() && token == self.tokens.len() {
                return true;
            }
            let fits = at < name.len() && {
                let (character, length) = decode(&name[at..]);
                at += length;
                self.tokens.get(token).is_some_and(|one| one.takes(character))
            };
            if fits {
                token += 1;
                continue;
            }
            match &mut retry {
                Some((after, from)) if *from < name.len() => {
                    *from += decode(&name[*from..]).1;
                    (token, at) = (*after, *from);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn takes(&self, character: u32) -> bool {
        match self {
            Token::Char(wanted) => *wanted == character,
            Token::One => true,
            Token::Many => false,
            Token::Class(class) => class.has(character),
        }
    }
}

/// A set of characters, as `[a-z]` and `[^x]` tell one.
#[derive(Debug)]
pub struct Class {
    negated: bool,
    /// From and to, both inside.
    ranges: Vec<(u32, u32)>,
}

impl Class {
    /// Reads what follows a `[`, with the closing bracket. `]` and `-` themselves must be escaped in it.
    pub fn parse(rest: &mut Peekable<Chars<'_>>) -> Result<Class, Malformed> {
        let negated = rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
            let low = Class::character(rest)?;
            let high = if rest.next_if_eq(&'-').is_some() { Class::character(rest)? } else { low };
            ranges.push((low.into(), high.into()));
        }
        Ok(Class { negated, ranges })
    }

    fn character(rest: &mut Peekable<Chars<'_>>) -> Result<char, Malformed> {
        match rest.next() {
            None | Some('-' | ']') => Err(Malformed),
            Some('\\') => rest.next().ok_or(Malformed),
            Some(character) => Ok(character),
        }
    }

    pub fn has(&self, character: u32) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != self.negated
    }

    /// Whether a range ends before it begins. `filepath.Match` lets it be, a regular expression does not.
    pub fn is_upside_down(&self) -> bool {
        self.ranges.iter().any(|(low, high)| low > high)
    }
}

/// The first character of some bytes, which are not empty, and its length. A byte that is not UTF-8 counts as one
/// character that no other is equal to.
pub fn decode(bytes: &[u8]) -> (u32, usize) {
    let first = bytes[0];
    if first < 0x80 {
        return (first.into(), 1);
    }
    let length = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let text = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text.and_then(|text| text.chars().next()) {
        Some(character) => (character.into(), length),
        None => (0x0011_0000 + u32::from(first), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_go_does() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*b*c*d*e*", "axbxcxdxe", true),
            ("a*b*c*d*e*", "axbxcxdxexxx", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("a[^a][^a][^a]b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "x", true),
            ("[x\\-]", "z", false),
            ("[[]x", "[x", true),
            ("a]b", "a]b", true),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("[z-a]", "m", false),
            ("*.txt", ".txt", true),
            ("*.txt", "a.txt.md", false),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(name.as_bytes()), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn what_go_calls_a_bad_pattern_is_one() {
        for pattern in
            ["[", "[]", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[^", "[^bc", "a[", "a\\", "*[", "[a\\", "x[]]"]
        {
            assert_eq!(Glob::new(pattern).unwrap_err(), Malformed, "{pattern}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_single_characters() {
        let matches = |pattern: &str, name: &[u8]| Glob::new(pattern).unwrap().matches(name);
        assert!(matches("a?b", b"a\xffb"));
        assert!(matches("*b", b"\xe2\x98b"));
        assert!(matches("??b", b"\xe2\x98b"));
        assert!(!matches("\u{fffd}", b"\xff"));
    }

    #[test]
    fn many_stars_take_no_long_time() {
        let pattern = format!("{}b", "*a".repeat(2_000));
        assert!(!Glob::new(&pattern).unwrap().matches("a".repeat(4_000).as_bytes()));
    }
}
