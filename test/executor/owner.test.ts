import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { findOwner } from "../../src/executor/copy/owner.ts";

const Owner = suite("the owner that --chown names");

const FILES: Readonly<Record<string, string>> = {
  "etc/passwd": [
    "root:x:0:0:root:/root:/bin/sh",
    "# a comment",
    "",
    "web:x:33:34:web:/var/www:/bin/false",
    "web:x:1:1:a second one:/:",
    "short:x:5",
    "broken:x:abc:1::",
    "huge:x:9999999999:0::",
    "last:x:4294967294:4294967294::",
    "1234:x:7:8:a number for a name:/:",
    "négatif:x:-1:0::",
  ].join("\n"),
  "etc/group": "root:x:0:\nstaff:x:50:web,root\nhuge:x:4294967295:\nbad:x:1e3:\n",
};

async function owner(text: string, files: Readonly<Record<string, string>> = FILES) {
  const warnings: string[] = [];
  const { uid, gid } = await findOwner(
    text,
    async (path) => files[path],
    (message) => warnings.push(message),
  );
  return { ids: `${uid}:${gid}`, warnings };
}

for (const [text, ids] of [
  ["0", "0:0"],
  ["1000", "1000:1000"],
  ["1000:2000", "1000:2000"],
  ["1234", "1234:1234"],
  ["007", "7:7"],
  ["web", "33:34"],
  ["web:", "33:34"],
  ["web:staff", "33:50"],
  ["web:7", "33:7"],
  ["5:staff", "5:50"],
  [":staff", "0:50"],
  [":9", "0:9"],
  ["", "0:0"],
  ["last", "4294967294:4294967294"],
  ["4294967294:0", "4294967294:0"],
] as const) {
  Owner(`${JSON.stringify(text)} is ${ids}`, async () => {
    assert.equal(await owner(text), { ids, warnings: [] });
  });
}

for (const [text, ids, warning] of [
  ["nobody", "0:0", /passwd has no user "nobody".*root/],
  ["short", "0:0", /no user "short"/],
  ["broken", "0:0", /no user "broken"/],
  ["huge", "0:0", /no user "huge"/],
  ["négatif", "0:0", /no user "négatif"/],
  ["-1", "0:0", /no user "-1"/],
  ["WEB", "0:0", /no user "WEB"/],
  ["web:nothing", "33:34", /group has no group "nothing"/],
  ["web:huge", "33:34", /no group "huge"/],
  ["web:bad", "33:34", /no group "bad"/],
  ["web:a:b", "33:34", /no group "a:b"/],
] as const) {
  Owner(`${JSON.stringify(text)} is ${ids}, with a warning`, async () => {
    const found = await owner(text);
    assert.is(found.ids, ids);
    assert.is(found.warnings.length, 1);
    assert.match(found.warnings[0] ?? "", warning);
  });
}

for (const text of ["4294967295", "0:4294967295", "99999999999999999999", `${"9".repeat(1000)}`]) {
  Owner(`${text.slice(0, 30)} is too large`, async () => {
    try {
      await owner(text);
      assert.unreachable("it was taken");
    } catch (error) {
      assert.ok(error instanceof KbuildError && error.code === "build.unknownUser", String(error));
    }
  });
}

Owner("without a passwd a name is nobody, and a number is a number", async () => {
  assert.equal(await owner("5:6", {}), { ids: "5:6", warnings: [] });
  try {
    await owner("web", {});
    assert.unreachable("it was taken");
  } catch (error) {
    assert.ok(error instanceof KbuildError && error.code === "build.unknownUser");
    assert.match(error.hint ?? "", /numbers/);
  }
  assert.match((await owner("5:staff", {})).warnings.join(), /no group "staff"/);
});

Owner.run();
