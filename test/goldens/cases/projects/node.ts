import { type GoldenFiles, type Group, lines } from "../../golden.ts";

const FILES: GoldenFiles = {
  "package.json": '{ "name": "web", "scripts": { "build": "tsc" } }\n',
  "package-lock.json": '{ "lockfileVersion": 3 }\n',
  "tsconfig.json": "{}\n",
  "src/index.ts": "export const a = 1;\n",
  "src/lib/b.ts": "export const b = 2;\n",
  "public/index.html": "<p>\n",
  "node_modules/stale/index.js": "stale\n",
  "packages/api/package.json": '{ "name": "api" }\n',
  "packages/api/src/a.ts": "api\n",
  "packages/ui/package.json": '{ "name": "ui" }\n',
  "packages/ui/src/u.ts": "ui\n",
  ".dockerignore": lines("node_modules", "**/node_modules", ".git", "Dockerfile*", ".dockerignore"),
};

/** `npm ci`, as busybox has it: what is installed depends on the lock file alone. */
const INSTALL = "mkdir -p node_modules/dep && cat package-lock.json >node_modules/dep/index.js";
const COMPILE = 'mkdir dist && for f in src/*.ts; do cat "$f" >"dist/$(basename "$f" .ts).js"; done';

/** Node.js: dependencies first, then the sources, then a stage that runs. */
export const node: Group = {
  name: "projects/node",
  cases: [
    {
      name: "dependencies in a layer in front of the sources",
      dockerfile: lines(
        "FROM busybox",
        "WORKDIR /usr/src/app",
        "COPY package*.json ./",
        `RUN ${INSTALL}`,
        "COPY . .",
        "EXPOSE 3000",
        "USER nobody",
        'CMD ["node", "src/index.js"]',
      ),
      files: FILES,
    },
    {
      name: "dependencies, build and runtime as stages",
      dockerfile: lines(
        "# syntax=docker/dockerfile:1",
        "FROM busybox AS base",
        "WORKDIR /app",
        "ENV NODE_ENV=production",
        "",
        "FROM base AS deps",
        "COPY package.json package-lock.json ./",
        `RUN --mount=type=cache,id=golden-npm,target=/var/tmp ${INSTALL}`,
        "",
        "FROM deps AS build",
        "COPY . .",
        `RUN ${COMPILE}`,
        "",
        "FROM base AS runtime",
        "COPY --from=deps --chown=nobody:nobody /app/node_modules ./node_modules",
        "COPY --from=build --chown=nobody:nobody /app/dist ./dist",
        "COPY package.json .",
        "USER nobody",
        "HEALTHCHECK --interval=10s --timeout=3s CMD wget -qO- http://localhost:3000/health || exit 1",
        'ENTRYPOINT ["node"]',
        'CMD ["dist/index.js"]',
      ),
      files: FILES,
    },
    {
      name: "a development stage by --target",
      dockerfile: lines(
        "FROM busybox AS base",
        "WORKDIR /app",
        "COPY package*.json ./",
        "FROM base AS dev",
        "ENV NODE_ENV=development",
        `RUN ${INSTALL}`,
        "COPY . .",
        "CMD npm run dev",
        "FROM base AS prod",
        "RUN false",
      ),
      files: FILES,
      options: { target: "dev" },
    },
    {
      name: "manifests of a workspace with --parents",
      dockerfile: lines(
        "FROM busybox",
        "WORKDIR /repo",
        "COPY --parents package.json package-lock.json packages/*/package.json ./",
        `RUN ${INSTALL}`,
        "COPY --parents packages ./",
      ),
      files: FILES,
    },
    {
      name: "manifests and lock file by bind mounts",
      dockerfile: lines(
        "FROM busybox",
        "WORKDIR /app",
        "RUN --mount=type=bind,source=package.json,target=package.json \\",
        "    --mount=type=bind,source=package-lock.json,target=package-lock.json \\",
        "    --mount=type=cache,id=golden-npm-bind,target=/var/tmp \\",
        `    ${INSTALL}`,
        "COPY src ./src",
      ),
      files: FILES,
      differs: {
        buildah: "it leaves the mount points of the two files behind",
      },
    },
  ],
};
