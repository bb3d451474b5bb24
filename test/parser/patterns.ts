import * as fc from "fast-check";

/** Names, and patterns of which many match some of them. */
export const someName = fc.string({
  unit: fc.constantFrom("a", "b", ".", "-", "é", "😀", "[", "*"),
  minLength: 1,
  maxLength: 4,
});

const member = fc.constantFrom("a", "b", "é", "\\-", "\\]", "a-b", "a-é", "b-a", "*", "[");
const unit = fc.oneof(
  fc.constantFrom("a", "b", ".", "é", "*", "?", "\\*", "\\[", "\\a", "]", "😀"),
  fc
    .tuple(fc.constantFrom("", "^"), fc.array(member, { minLength: 1, maxLength: 3 }))
    .map(([negated, members]) => `[${negated}${members.join("")}]`),
);

/** A well-formed pattern of Go's `filepath.Match` for one name. */
export const namePattern = fc.array(unit, { minLength: 1, maxLength: 5 }).map((units) => units.join(""));

/**
 * A pattern of an ignore file, name by name. In docker a class may match a slash and `**` within a name is more than two
 * `*`; a range must not be upside down there: what is not for the plain matcher is left out.
 */
const ignorePattern = fc
  .array(
    fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom("a", "b", "c", "a.b", ".a") },
      { weight: 1, arbitrary: fc.constant("**") },
      {
        weight: 2,
        arbitrary: namePattern.filter((text) => !text.includes("**") && !text.includes("^") && !text.includes("b-a")),
      },
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((names) => names.join("/"))
  // What is cleaned away or is a comment, and two `**` that another reading makes one of.
  .filter((text) => !/(^|\/)\.{1,2}(\/|$)/.test(text) && !text.includes("**/**"));

export const ignoreText = fc
  .array(fc.tuple(fc.constantFrom("", "", "!", "/", "!/"), ignorePattern, fc.constantFrom("", "/", " ")), {
    maxLength: 5,
  })
  .map((lines) => lines.map((parts) => parts.join("")).join("\n"));
