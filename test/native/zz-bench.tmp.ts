import * as fs from "node:fs";
import * as path from "node:path";
import { debianLayout } from "../support/debian.ts";
import { makeAccount } from "../support/accounts.ts";
import { KBUILD, run } from "../support/command.ts";
import { workspace } from "../support/workspace.ts";
const folder = workspace("kbuild-bench");
const layout = await debianLayout();
const { name, uid, gid } = makeAccount("plain");
const own = path.join(folder, "own");
fs.mkdirSync(own); fs.chownSync(own, uid, gid);
fs.mkdirSync(path.join(folder, "ctx"));
fs.writeFileSync(path.join(folder, "ctx/Dockerfile"), `FROM debian
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q && apt-get install -qy --no-install-recommends --download-only dbus cron sudo libcap2-bin attr tcc libc6-dev openssh-client python3
ARG NR
RUN s=$(date +%s%N); apt-get install -qy --no-download --no-install-recommends dbus cron sudo libcap2-bin attr tcc libc6-dev openssh-client python3 >/dev/null; e=$(date +%s%N); echo "took apt $(( (e-s)/1000000 )) ms"; echo "nr $NR"; \\
 s=$(date +%s%N); grep -rl zzzz /usr/share /usr/lib >/dev/null; e=$(date +%s%N); echo "took grep $(( (e-s)/1000000 )) ms"
`);
fs.chmodSync(folder, 0o755);
const names = process.argv[2]!.split(",");
const rounds = Number(process.argv[3] ?? 3);
const times: Record<string, number[]> = {};
for (let n = -1; n < rounds; n += 1) for (const each of names) {
  const done = await run("setpriv", [`--reuid=${uid}`, `--regid=${gid}`, "--init-groups", process.execPath, KBUILD, "--progress=plain", "-t", "x:1", "--build-arg", `NR=${n}-${each}`, "--build-context", `debian=oci-layout://${layout}`, path.join(folder, "ctx")],
   { cwd: own, env: { HOME: own, USER: name, LOGNAME: name, KBUILD_ROOT: path.join(own, "store"), KBUILD_NATIVE_PATH: `/tmp/kb/${each}` }, timeout: 400_000 });
  if (done.status !== 0) { console.log(done.stdout.slice(-3000), done.stderr.slice(-3000)); process.exit(1); }
  for (const m of (done.stdout + done.stderr).matchAll(/took (\w+) (\d+) ms/g)) {
    if (n >= 0) (times[`${m[1]} ${each}`] ??= []).push(Number(m[2]));
  }
}
for (const [k, v] of Object.entries(times)) console.log(k, v.sort((a, b) => a - b).join(" "));
