import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { must } from "../../support/command.ts";
import { inEach } from "../../support/situations.ts";
import { ground } from "./ground.ts";
import { addRows, contextFor, digestIn, EPOCH, type Ground } from "./rows.ts";
import { npmRows } from "./tables/npm.ts";
import { INSTALL, PACKAGES } from "./tables/packages.ts";

const Packages = suite<Ground>(
  "packages are installed and programs compiled, the same in all four situations",
  await ground("packages", ["debian", "node"]),
);
addRows(Packages, await npmRows());
addRows(Packages, PACKAGES);

Packages(
  "--mount=type=ssh: an agent, or a key that kbuild serves itself; the key is nowhere in the step",
  async (ground) => {
    const { folder, situations } = ground;
    const key = path.join(folder, "key");
    await must("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", key]);
    const fingerprint = (await must("ssh-keygen", ["-l", "-f", `${key}.pub`])).stdout.split(" ")[1] ?? "";
    const build = `${INSTALL}COPY key.pub /key.pub
ARG KEYS=kbuild
RUN --mount=type=ssh [ -S "$SSH_AUTH_SOCK" ] && ssh-add -l >/seen
RUN --mount=type=ssh,id=other,target=/run/other.sock,uid=1000,mode=0600 stat -c '%u %a' /run/other.sock >>/seen && echo "$SSH_AUTH_SOCK" >>/seen
RUN --mount=type=ssh echo signed >/data && ssh-keygen -q -Y sign -f /key.pub -n file /data && ssh-keygen -Y check-novalidate -n file -s /data.sig </data >>/seen
RUN --mount=type=ssh,id=absent [ ! -e /run/buildkit/ssh_agent.0 ] && echo optional >>/seen; [ ! -e "$SSH_AUTH_SOCK" ]
`;
    const context = contextFor(ground, build, { "key.pub": fs.readFileSync(`${key}.pub`) });
    const digests = await inEach(situations.all, async (each) => {
      // A key belongs to who uses it.
      const own = path.join(each.folder, "key");
      const { uid, gid } = fs.statSync(each.folder);
      fs.copyFileSync(key, own);
      fs.chmodSync(own, 0o600);
      fs.chownSync(own, uid, gid);
      const common = ["--progress=plain", "-t", "ssh:1", ...ground.bases];
      await each.must([...common, "--ssh", `default=${own}`, "--ssh", `other=${own}`, context], {
        env: { SOURCE_DATE_EPOCH: EPOCH },
      });
      const first = digestIn(each, "ssh:1");
      // The machine of the container has no agent; root's is as good for it.
      const socket = path.join(each.folder, "agent");
      const agent = each.name === "container" ? situations.of("root") : each;
      let stop = (): void => {};
      const serving = agent.program("ssh-agent", ["-D", "-a", socket], {
        started: (child) => {
          stop = () => void child.kill("SIGTERM");
        },
      });
      const env = { SSH_AUTH_SOCK: socket, SOURCE_DATE_EPOCH: EPOCH };
      // Its socket is there before it listens.
      let added = await agent.program("ssh-add", ["-q", own], { env });
      for (let tries = 0; tries < 100 && added.status !== 0; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        added = await agent.program("ssh-add", ["-q", own], { env });
      }
      assert.is(added.status, 0, added.stderr);
      try {
        const words = ["--build-arg", "KEYS=agent", "--ssh", "default", "--ssh", `other=${socket}`];
        await each.must([...common, ...words, context], { env });
      } finally {
        stop();
        await serving;
      }
      return `${first} ${digestIn(each, "ssh:1")}`;
    });
    assert.is(new Set(digests.values()).size, 1, [...digests].join(" "));
    const { root } = situations.of("root");
    await must("umoci", ["unpack", "--image", `${root}:ssh:1`, path.join(folder, "ssh")], { timeout: 240_000 });
    const seen = fs.readFileSync(path.join(folder, "ssh/rootfs/seen"), "utf8");
    assert.ok(seen.includes(fingerprint), seen);
    assert.match(seen, /^1000 600\n\/run\/other.sock\nGood "file" signature/m);
    assert.match(seen, /optional\n$/);
  },
);

Packages.after(({ situations }) => situations.close());
Packages.run();
