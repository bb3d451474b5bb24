import { suite } from "uvu";
import * as assert from "uvu/assert";
import { findProcessUser } from "../../../src/executor/run/user.ts";
import { refusal } from "./support.ts";

const FILES: Readonly<Record<string, string>> = {
  "etc/passwd": [
    "root:x:0:0:root:/root:/bin/sh",
    "daemon:x:2:3:daemon:/sbin:",
    "web:x:33:34:web:/var/www:/bin/false",
    "web:x:1:1:a second one:/:",
    "broken:x:abc:1::/b:",
    "nohome:x:50:50:::",
    "1234:x:7:8:a number for a name:/seven:",
  ].join("\n"),
  "etc/group": "root:x:0:\nmail:x:8:daemon,web\nwheel:x:10:root\nstaff:x:51:web\nagain:x:8:web\nbroken:x:y:web\n",
};

const User = suite("the user of a step");

for (const [text, expected] of [
  ["", { uid: 0, gid: 0, groups: [], home: "/root" }],
  ["root", { uid: 0, gid: 0, groups: [10], home: "/root" }],
  ["daemon", { uid: 2, gid: 3, groups: [8], home: "/sbin" }],
  ["web", { uid: 33, gid: 34, groups: [8, 51], home: "/var/www" }],
  ["web:staff", { uid: 33, gid: 51, groups: [], home: "/var/www" }],
  ["web:77", { uid: 33, gid: 77, groups: [], home: "/var/www" }],
  ["daemon:", { uid: 2, gid: 3, groups: [8], home: "/sbin" }],
  [":staff", { uid: 0, gid: 51, groups: [], home: "/root" }],
  ["33", { uid: 33, gid: 34, groups: [8, 51], home: "/var/www" }],
  ["33:34", { uid: 33, gid: 34, groups: [], home: "/var/www" }],
  ["1234", { uid: 1234, gid: 0, groups: [], home: "/" }],
  ["1234:mail", { uid: 1234, gid: 8, groups: [], home: "/" }],
  ["nohome", { uid: 50, gid: 50, groups: [], home: "/" }],
  ["4294967294:4294967294", { uid: 4294967294, gid: 4294967294, groups: [], home: "/" }],
] as const) {
  User(JSON.stringify(text), async () => {
    assert.equal(await findProcessUser(text, async (path) => FILES[path]), expected);
  });
}

for (const [text, message, hint] of [
  ["nosuch", /unable to find user nosuch/, /useradd/],
  ["webb", /unable to find user webb/, /did you mean web\?/],
  ["broken", /unable to find user broken/, /useradd/],
  ["web:stafff", /unable to find group stafff/, /did you mean staff\?/],
  ["web:xyz", /unable to find group xyz/, /groupadd/],
  ["-1", /unable to find user -1/, /useradd/],
] as const) {
  User(`${text} is refused`, async () => {
    const error = await refusal(() => findProcessUser(text, async (path) => FILES[path]));
    assert.is(error.code, "build.unknownUser");
    assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
  });
}

User("a number that no id can be is refused", async () => {
  const error = await refusal(() => findProcessUser("4294967295", async () => undefined));
  assert.match(error.message, /too large/);
});

User("without files there are numbers and root", async () => {
  const none = async () => undefined;
  assert.equal(await findProcessUser("", none), { uid: 0, gid: 0, groups: [], home: "/" });
  assert.equal(await findProcessUser("5:6", none), { uid: 5, gid: 6, groups: [], home: "/" });
  assert.match((await refusal(() => findProcessUser("root", none))).message, /unable to find user root/);
});

User.run();
