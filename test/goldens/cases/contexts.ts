import { type Group, lines } from "../golden.ts";

/** Named contexts, `--build-context NAME=…`: they come before stages, and those before images. */
export const contexts: Group = {
  name: "contexts",
  cases: [
    {
      name: "COPY --from of a folder",
      dockerfile: lines("FROM scratch", "COPY --from=shared lib /lib"),
      options: { contexts: { shared: { folder: { "lib/a": "a\n", "lib/b": "b\n" } } } },
    },
    {
      name: "a named folder has an ignore file of its own",
      dockerfile: lines("FROM scratch", "COPY --from=shared . /x"),
      options: { contexts: { shared: { folder: { ".dockerignore": "*.log\n", a: "a\n", "a.log": "l\n" } } } },
      files: { ".dockerignore": "a\n" },
    },
    {
      name: "FROM a layout",
      dockerfile: lines("FROM parent", "ENV B=$A"),
      options: { contexts: { parent: { layout: lines("FROM busybox", "ENV A=1", "RUN echo 1 >/parent") } } },
    },
    {
      name: "COPY --from of a layout",
      dockerfile: lines("FROM scratch", "COPY --from=parent /x /y"),
      options: { contexts: { parent: { layout: lines("FROM busybox", "RUN echo 1 >/x") } } },
    },
    {
      name: "a context named like a stage takes its place in FROM and --from",
      dockerfile: lines("FROM busybox AS deps", "RUN false", "FROM scratch", "COPY --from=deps /x /y"),
      options: { contexts: { deps: { folder: { x: "from the folder\n" } } } },
      why: "the stage is not needed then, so that its failure is none",
    },
    {
      name: "a context named like a stage takes the place of a FROM of it",
      dockerfile: lines("FROM scratch AS base", "ENV WHO=stage", "FROM base", "ENV B=1"),
      options: { contexts: { base: { layout: lines("FROM busybox", "ENV WHO=context") } } },
    },
    {
      name: "a context takes the place of a stage whose name is in other letters",
      dockerfile: lines("FROM scratch AS Base", "ENV WHO=stage", "FROM BASE", "ENV B=1"),
      options: { contexts: { base: { layout: lines("FROM busybox", "ENV WHO=context") } } },
      why: "the stage of that name, in whatever letters, is the context",
    },
    {
      name: "a stage that a context stands for is the context by its number, too",
      dockerfile: lines("FROM busybox AS deps", "RUN false", "FROM scratch", "COPY --from=0 /x /y"),
      options: { contexts: { deps: { layout: lines("FROM busybox", "RUN echo 1 >/x") } } },
    },
    {
      name: "--target of a stage that a context stands for is the context",
      dockerfile: lines("FROM busybox AS deps", "RUN false", "FROM deps"),
      options: { target: "deps", contexts: { deps: { layout: lines("FROM busybox", "ENV WHO=context") } } },
    },
    {
      name: "COPY --from in other letters is the context, too",
      dockerfile: lines("FROM busybox AS Deps", "RUN false", "FROM scratch", "COPY --from=DEPS /x /y"),
      options: { contexts: { deps: { folder: { x: "from the folder\n" } } } },
    },
    {
      name: "a context named like an image takes its place however the name is written",
      dockerfile: lines("FROM docker.io/library/alpine:latest", "ENV A=1"),
      options: { contexts: { alpine: { layout: lines("FROM busybox", "ENV WHO=context") } } },
      why: "docker.io/library/ and :latest are what a name has when it is not said",
    },
    {
      name: "a context named with :latest is meant by the name alone",
      dockerfile: lines("FROM alpine", "ENV A=1"),
      options: { contexts: { "alpine:latest": { layout: lines("FROM busybox", "ENV WHO=context") } } },
    },
    {
      name: "a context named like an image takes its place",
      dockerfile: lines("FROM alpine:3.20", "ENV A=1"),
      options: { contexts: { "alpine:3.20": { layout: lines("FROM busybox", "ENV WHO=context") } } },
    },
    {
      name: "an image of the store under another name",
      parents: { "golden-context-image": lines("FROM busybox", "ENV WHO=parent") },
      dockerfile: lines("FROM alpine", "ENV A=$WHO"),
      options: { contexts: { alpine: { image: "golden-context-image" } } },
    },
    {
      name: "COPY --from of an image of the store under another name",
      parents: { "golden-context-copy": lines("FROM busybox", "RUN echo 1 >/x") },
      dockerfile: lines("FROM scratch", "COPY --from=tools /x /y"),
      options: { contexts: { tools: { image: "golden-context-copy" } } },
    },
    {
      name: "RUN --mount=from of a folder",
      dockerfile: lines("FROM busybox", "RUN --mount=from=conf,target=/c cat /c/one /c/two >/x"),
      options: { contexts: { conf: { folder: { one: "1\n", two: "2\n" } } } },
    },
    {
      name: "RUN --mount=from of a layout",
      dockerfile: lines("FROM busybox", "RUN --mount=from=tools,source=/opt,target=/opt cp /opt/t /x"),
      options: { contexts: { tools: { layout: lines("FROM busybox", "RUN mkdir /opt && echo tool >/opt/t") } } },
    },
    {
      name: "a path that a named folder lacks is an error of the COPY",
      dockerfile: lines("FROM scratch", "COPY --from=shared nope /x"),
      options: { contexts: { shared: { folder: { a: "a\n" } } } },
    },
    {
      name: "ONBUILD triggers of a layout run",
      dockerfile: lines("FROM parent", "COPY f /own"),
      files: { f: "f\n" },
      options: { contexts: { parent: { layout: lines("FROM busybox", "ONBUILD COPY f /trigger") } } },
    },
    {
      name: "a wildcard in a named folder",
      dockerfile: lines("FROM scratch", "COPY --from=shared --chown=1:2 *.txt /x/"),
      options: { contexts: { shared: { folder: { "a.txt": "a\n", "b.txt": "b\n", c: "c\n" } } } },
    },
  ],
};
