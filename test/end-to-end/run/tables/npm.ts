import * as fs from "node:fs";
import * as path from "node:path";
import * as assert from "uvu/assert";
import { tarOf } from "../../../conformance/base.ts";
import type { Row } from "../rows.ts";

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const DEPENDENCY = {
  name: "greeter",
  version: "1.2.3",
  main: "index.js",
  bin: { greet: "cli.js" },
  // A script of a package, which npm runs when it is installed.
  scripts: { install: "node -e \"require('fs').writeFileSync('installed', process.version)\"" },
};

/** `npm ci` of a project whose only dependency comes as an archive, so that no registry is needed. */
export async function npmRows(): Promise<readonly Row[]> {
  const file = (name: string, data: string, mode = 0o644) =>
    ({ name: `package/${name}`, type: "file", mode, data }) as const;
  const archive = await tarOf([
    file("package.json", json(DEPENDENCY)),
    file("index.js", 'module.exports = (who) => "hello " + who;\n'),
    file("cli.js", "#!/usr/bin/env node\nconsole.log(require('./index.js')(process.argv[2]));\n", 0o755),
  ]);
  const dependencies = { greeter: "file:greeter.tar" };
  return [
    {
      name: "npm ci of a small project",
      build: `FROM node
WORKDIR /app
COPY package.json package-lock.json greeter.tar ./
RUN npm ci --no-audit --no-fund --no-update-notifier && rm -rf /root/.npm /tmp/*
COPY app.js .
USER 1000
RUN node app.js >/tmp/seen && node_modules/.bin/greet you >>/tmp/seen
`,
      files: {
        "package.json": json({ name: "app", version: "1.0.0", dependencies }),
        "package-lock.json": json({
          name: "app",
          version: "1.0.0",
          lockfileVersion: 3,
          requires: true,
          packages: {
            "": { name: "app", version: "1.0.0", dependencies },
            "node_modules/greeter": {
              version: "1.2.3",
              resolved: "file:greeter.tar",
              hasInstallScript: true,
              bin: { greet: "cli.js" },
            },
          },
        }),
        "greeter.tar": archive,
        "app.js": "console.log(require('greeter')('app'));\n",
      },
      expected: {
        "tmp/seen": { text: "hello app\nhello you\n", owner: [1000, 0] },
        "app/node_modules/greeter/index.js": { owner: [0, 0], mode: 0o644 },
        "app/node_modules/.bin/greet": { link: "../greeter/cli.js" },
        "app/node_modules/greeter/installed": { text: process.version },
      },
      check: (rootfs) => {
        const lock = fs.readFileSync(path.join(rootfs, "app/node_modules/.package-lock.json"), "utf8");
        assert.match(lock, /greeter/);
      },
    },
  ];
}
