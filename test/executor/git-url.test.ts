import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { findReference } from "../../src/executor/remote/git-reference.ts";
import { type GitAddress, parseGitAddress, showGitAddress } from "../../src/executor/remote/git-url.ts";

const Address = suite("addresses of git repositories");

const parse = (text: string) => parseGitAddress(text, "build.gitAddress", "bareGitHub");

const plain: Omit<GitAddress, "remote" | "host"> = {
  ref: undefined,
  subdir: "",
  checksum: undefined,
  keepGitDir: undefined,
  submodules: undefined,
};

const CASES: readonly (readonly [string, Partial<GitAddress> | undefined])[] = [
  ["https://github.com/foo/bar.git", { remote: "https://github.com/foo/bar.git", host: "github.com" }],
  ["https://github.com/foo/bar.git#v1", { remote: "https://github.com/foo/bar.git", host: "github.com", ref: "v1" }],
  [
    "https://github.com/foo/bar.git#baz/qux:quux/quuz",
    { remote: "https://github.com/foo/bar.git", host: "github.com", ref: "baz/qux", subdir: "quux/quuz" },
  ],
  [
    "https://github.com/foo/bar.git#:dir",
    { remote: "https://github.com/foo/bar.git", host: "github.com", subdir: "dir" },
  ],
  ["https://github.com/foo/bar", undefined],
  ["https://github.com/foo/bar.tar.gz", undefined],
  ["https://example.com/bar.git/archive.tar", undefined],
  ["http://localhost:8080/x.git", { remote: "http://localhost:8080/x.git", host: "localhost:8080" }],
  ["git://host/x", { remote: "git://host/x", host: "host" }],
  ["ssh://git@host:22/x", { remote: "ssh://git@host:22/x", host: "host:22" }],
  ["git@github.com:foo/bar.git", { remote: "git@github.com:foo/bar.git", host: "github.com" }],
  [
    "git@github.com:foo/bar#main:sub",
    { remote: "git@github.com:foo/bar", host: "github.com", ref: "main", subdir: "sub" },
  ],
  ["me@host.xz:~/repo", { remote: "me@host.xz:~/repo", host: "host.xz" }],
  ["github.com/foo/bar", { remote: "https://github.com/foo/bar", host: "github.com" }],
  ["github.com/foo/bar#d4f088e", { remote: "https://github.com/foo/bar", host: "github.com", ref: "d4f088e" }],
  ["./github.com/foo", undefined],
  ["../x.git", undefined],
  [".", undefined],
  ["dir/x.txt", undefined],
  ["a:b", undefined],
  [
    "https://h/x.git?ref=main&subdir=d&submodules=false&keep-git-dir=1",
    { remote: "https://h/x.git", host: "h", ref: "main", subdir: "d", submodules: false, keepGitDir: true },
  ],
  ["https://h/x.git?tag=v1", { remote: "https://h/x.git", host: "h", ref: "refs/tags/v1" }],
  ["https://h/x.git?branch=b", { remote: "https://h/x.git", host: "h", ref: "refs/heads/b" }],
  ["https://h/x.git?keep-git-dir", { remote: "https://h/x.git", host: "h", keepGitDir: true }],
  [
    "https://h/x.git?commit=0123456789abcdef",
    { remote: "https://h/x.git", host: "h", ref: "0123456789abcdef", checksum: "0123456789abcdef" },
  ],
  ["https://h/x.git?ref=a#a", { remote: "https://h/x.git", host: "h", ref: "a" }],
];
for (const [text, expected] of CASES) {
  Address(text, () => {
    assert.equal(parse(text), expected === undefined ? undefined : { ...plain, ...expected });
  });
}

for (const [text, reason] of [
  ["https://h/x.git?foo=1", /query that is not known: foo/],
  ["https://h/x.git?ref=a&ref=b", /several values/],
  ["https://h/x.git?ref=", /no value for ref/],
  ["https://h/x.git?ref=a#b", /a and b/],
  ["https://h/x.git?subdir=a#:b", /a and b/],
  ["https://h/x.git?tag=a&branch=b", /refs\/tags\/a and refs\/heads\/b/],
  ["https://h/x.git?submodules=maybe", /neither true nor false/],
  ["https://h/x.git?checksum=xyz", /no commit/],
  ["https://h/x.git#--upload-pack=evil", /no name/],
  ["git://h/x#a b", /no name/],
] as const) {
  Address(`${text} is refused`, () => {
    assert.throws(
      () => parse(text),
      (error: unknown) =>
        error instanceof KbuildError && error.code === "build.gitAddress" && reason.test(error.message),
    );
  });
}

Address("github.com without a scheme is a path where a path is meant as well", () => {
  assert.is(parseGitAddress("github.com/foo/bar", "build.gitAddress", "no"), undefined);
  assert.is(parseGitAddress("https://h/x", "build.gitAddress", "anyHttp")?.remote, "https://h/x");
});

Address("a password is not shown", () => {
  assert.is(showGitAddress("https://me:secret@h/x.git#a"), "https://xxxxx@h/x.git#a");
  assert.is(showGitAddress("https://me:se@cret@h/x.git"), "https://xxxxx@h/x.git");
  assert.is(showGitAddress("https://token@h/x.git"), "https://xxxxx@h/x.git");
  assert.is(showGitAddress("ssh://git@h/x"), "ssh://git@h/x");
  assert.is(showGitAddress("git@h:x"), "git@h:x");
});

Address.run();

const Reference = suite("names in a repository");
const a = "a".repeat(40);
const b = "b".repeat(40);
const c = "c".repeat(40);
const listing = [
  `${a}\tHEAD`,
  `${a}\trefs/heads/main`,
  `${b}\trefs/heads/feature/main`,
  `${b}\trefs/heads/both`,
  `${c}\trefs/tags/both`,
  `${c}\trefs/tags/v1`,
  `${b}\trefs/tags/v1^{}`,
  `${c}\trefs/pull/7/head`,
].join("\n");
for (const [ref, expected] of [
  [undefined, { commit: a, object: a, name: "HEAD" }],
  ["main", { commit: a, object: a, name: "refs/heads/main" }],
  ["both", { commit: b, object: b, name: "refs/heads/both" }],
  ["refs/tags/both", { commit: c, object: c, name: "refs/tags/both" }],
  ["v1", { commit: b, object: c, name: "refs/tags/v1" }],
  ["pull/7/head", { commit: c, object: c, name: "refs/pull/7/head" }],
  ["feature", undefined],
  ["nope", undefined],
] as const) {
  Reference(`${ref}`, () => {
    assert.equal(findReference(listing, ref), expected);
  });
}
Reference.run();
