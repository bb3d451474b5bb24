import { type Group, lines } from "../golden.ts";

/** ONBUILD. Dockerfile reference, "ONBUILD". */
export const onbuild: Group = {
  name: "onbuild",
  cases: [
    {
      name: "a trigger is kept in the config and not run",
      dockerfile: lines("FROM busybox", "ONBUILD RUN echo 1 >/x", "ONBUILD   COPY  a   b"),
    },
    {
      name: "triggers of the base run in their order in front of the first instruction, and are gone then",
      parents: { "golden-onbuild-order": lines("FROM busybox", "ONBUILD RUN echo 1 >>/x", "ONBUILD RUN echo 2 >>/x") },
      dockerfile: lines("FROM golden-onbuild-order", "RUN echo 3 >>/x"),
    },
    {
      name: "triggers do not reach grandchildren",
      parents: {
        "golden-onbuild-parent": lines("FROM busybox", "ONBUILD RUN echo 1 >>/x"),
        "golden-onbuild-child": lines("FROM golden-onbuild-parent"),
      },
      dockerfile: lines("FROM golden-onbuild-child", "RUN echo 2 >>/x"),
    },
    {
      name: "triggers of a stage run in the stages from it",
      dockerfile: lines(
        "FROM busybox AS base",
        "ONBUILD ENV A=trigger",
        "ONBUILD WORKDIR /w",
        "FROM base AS one",
        "RUN pwd >/x",
        "FROM base",
        "COPY --from=one /x /x",
      ),
    },
    {
      name: "a trigger of ENV counts for what follows",
      parents: { "golden-onbuild-env": lines("FROM busybox", "ONBUILD ENV WHO=trigger") },
      dockerfile: lines("FROM golden-onbuild-env", "ENV A=$WHO", "RUN echo $WHO >/x"),
    },
    {
      name: "a trigger of ARG is given by the build that runs it",
      parents: { "golden-onbuild-arg": lines("FROM busybox", "ONBUILD ARG V=default", "ONBUILD RUN echo $V >/x") },
      dockerfile: lines("FROM golden-onbuild-arg"),
      options: { args: { V: "given" } },
    },
    {
      name: "variables of a trigger are those of the build that runs it",
      parents: { "golden-onbuild-later": lines("FROM busybox", "ENV D=/parent", "ONBUILD COPY f $D/") },
      dockerfile: lines("FROM golden-onbuild-later", "ENV D=/child"),
      files: { f: "f\n" },
      why: "triggers run in front of the stage's own instructions",
    },
    {
      name: "a trigger's COPY takes from the context of the build that runs it",
      parents: { "golden-onbuild-copy": lines("FROM busybox", "ONBUILD COPY . /app") },
      dockerfile: lines("FROM golden-onbuild-copy", "WORKDIR /app"),
      files: { "src/f": "f\n", ".dockerignore": "Dockerfile\n.dockerignore\n" },
    },
    {
      name: "a trigger's COPY --from names a stage of the build that runs it",
      parents: { "golden-onbuild-from": lines("FROM busybox", "ONBUILD COPY --from=build /out /app") },
      dockerfile: lines("FROM busybox AS build", "RUN mkdir /out && echo built >/out/x", "FROM golden-onbuild-from"),
      differs: { buildah: "it finds images only", buildkit20: "the older one finds images only" },
    },
    {
      name: "a trigger of a stage copies from another stage",
      dockerfile: lines(
        "FROM busybox AS build",
        "RUN echo built >/out",
        "FROM busybox AS base",
        "ONBUILD COPY --from=build /out /x",
        "FROM base",
      ),
      differs: { buildah: "it finds images only", buildkit20: "the older one finds images only" },
    },
    {
      name: "a trigger's RUN --mount=from names a stage of the build that runs it",
      parents: {
        "golden-onbuild-mount": lines("FROM busybox", "ONBUILD RUN --mount=from=build,target=/b cp /b/out /x"),
      },
      dockerfile: lines("FROM busybox AS build", "RUN echo built >/out", "FROM golden-onbuild-mount"),
      differs: { buildah: "it finds images only", buildkit20: "the older one finds images only" },
    },
    {
      name: "a trigger's CMD counts as the stage's own for a later ENTRYPOINT",
      parents: { "golden-onbuild-cmd": lines("FROM busybox", 'ONBUILD CMD ["trigger"]') },
      dockerfile: lines("FROM golden-onbuild-cmd", 'ENTRYPOINT ["e"]'),
    },
    {
      name: "a trigger that fails has the place of the FROM",
      parents: { "golden-onbuild-fails": lines("FROM busybox", "ONBUILD RUN exit 3") },
      dockerfile: lines("FROM scratch AS one", "FROM golden-onbuild-fails", "ENV A=1"),
    },
    {
      name: "a trigger of an ONBUILD is an error",
      dockerfile: lines("FROM scratch", "ONBUILD ONBUILD RUN a"),
    },
    {
      name: "a trigger of FROM is an error",
      dockerfile: lines("FROM scratch", "ONBUILD FROM busybox"),
    },
    {
      name: "a trigger of MAINTAINER is an error",
      dockerfile: lines("FROM scratch", "ONBUILD MAINTAINER me"),
    },
    {
      name: "a trigger with a heredoc",
      parents: { "golden-onbuild-heredoc": lines("FROM busybox", "ONBUILD COPY <<EOF /x", "from the trigger", "EOF") },
      dockerfile: lines("FROM golden-onbuild-heredoc"),
    },
    {
      name: "triggers of both the base and the stage's own stay apart",
      parents: { "golden-onbuild-both": lines("FROM busybox", "ONBUILD RUN echo base >>/x") },
      dockerfile: lines("FROM golden-onbuild-both", "ONBUILD RUN echo own >>/x"),
    },
  ],
};
