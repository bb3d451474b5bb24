// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type Group, lines } from "../golden.ts";

const FILE = { f: "f\n" };

/** FROM, stages, and the arguments in front of them. Dockerfile reference, "FROM" and "ARG". */
export const from: Group = {
  name: "from",
  cases: [
    {
      name: "a stage's name has no case, in AS, in FROM and in --from",
      dockerfile: lines("FROM scratch AS Base", "COPY f /one", "FROM BASE as next", "COPY --from=bAsE /one /two"),
      files: FILE,
      differs: { buildah: "capitals are an error in FROM", buildkit20: "capitals were an error in FROM" },
    },
    {
      name: "a stage is named by its number",
      dockerfile: lines(
        "FROM scratch",
        "COPY f /zero",
        "FROM scratch",
        "COPY f /one",
        "FROM scratch",
        "COPY --from=0 /zero /z",
        "COPY --from=1 /one /o",
      ),
      files: FILE,
    },
    {
      name: "a number that no stage has is an error at the flag",
      dockerfile: lines("FROM scratch", "COPY f /x", "FROM scratch", "COPY --from=7 /x /y"),
      files: FILE,
    },
    {
      name: "a stage shadows an image of its name",
      dockerfile: lines("FROM scratch AS busybox", "COPY f /x", "FROM busybox"),
      files: FILE,
      why: "the second FROM is the first stage, which has no /bin",
    },
    {
      name: "a stage that is named like the image it is from takes it from outside",
      dockerfile: lines("FROM busybox AS busybox", "COPY f /x", "FROM scratch", "COPY --from=busybox /x /y"),
      files: FILE,
    },
    {
      name: "of two stages with one name the nearest above counts",
      dockerfile: lines("FROM scratch AS a", "COPY f /one", "FROM scratch AS a", "COPY f /two", "FROM a"),
      files: FILE,
    },
    {
      name: "a stage inherits all of the config of the stage it is from",
      dockerfile: lines(
        "FROM busybox AS one",
        "ENV A=1",
        "WORKDIR /w",
        "USER 5:6",
        "EXPOSE 80",
        "LABEL l=1",
        "STOPSIGNAL SIGINT",
        'CMD ["c"]',
        "FROM one",
        "ENV B=$A$A",
      ),
    },
    {
      name: "a stage that is only copied from gives no config",
      dockerfile: lines("FROM scratch AS one", "ENV A=1", "COPY f /x", "FROM scratch", "COPY --from=one /x /y"),
      files: FILE,
    },
    {
      name: "a stage that nothing needs is not built",
      dockerfile: lines("FROM busybox AS broken", "RUN false", "FROM scratch", "COPY f /x"),
      files: FILE,
    },
    {
      name: "--target builds that stage, and only what it needs",
      dockerfile: lines(
        "FROM scratch AS base",
        "COPY f /base",
        "FROM base AS dev",
        "ENV MODE=dev",
        "FROM busybox AS prod",
        "RUN false",
      ),
      files: FILE,
      options: { target: "dev" },
    },
    {
      name: "--target has no case",
      dockerfile: lines("FROM scratch AS Dev", "COPY f /dev-only", "FROM scratch"),
      files: FILE,
      options: { target: "DEV" },
      differs: { buildah: "it has one there" },
    },
    {
      name: "--target of a stage that is not there is an error",
      dockerfile: lines("FROM scratch AS dev", "COPY f /x"),
      files: FILE,
      options: { target: "test" },
    },
    {
      name: "an ARG in front of FROM is known in FROM",
      dockerfile: lines("ARG BASE=nothing", "ARG SUFFIX=box", "FROM busy${SUFFIX}", "ENV A=${BASE:-unset}"),
      why: "in the stage it is not declared, so it is unset there",
    },
    {
      name: "an ARG in front of FROM gives its default to each stage that declares it",
      dockerfile: lines("ARG V=1", "FROM scratch AS one", "ARG V", "ENV ONE=$V", "FROM one", "ARG V=2", "ENV TWO=$V"),
    },
    {
      name: "--build-arg changes an ARG in front of FROM, and so what it stands for in a stage",
      dockerfile: lines("ARG V=1", "FROM scratch", "ARG V", "ENV A=$V"),
      options: { args: { V: "9" } },
    },
    {
      name: "an ARG in front of FROM may use another",
      dockerfile: lines("ARG OS=busy", "ARG IMAGE=${OS}box", "FROM $IMAGE", "ARG IMAGE", "ENV A=$IMAGE"),
    },
    {
      name: "--build-arg chooses the stage",
      dockerfile: lines(
        "ARG MODE=prod",
        "FROM scratch AS base-dev",
        "ENV A=dev",
        "FROM scratch AS base-prod",
        "ENV A=prod",
        "FROM base-$MODE",
      ),
      options: { args: { MODE: "dev" } },
    },
    {
      name: "a blank name after expansion is an error of the FROM",
      dockerfile: lines("ARG BASE", "FROM ${BASE}"),
    },
    {
      name: "a default in FROM stands in for an ARG without a value",
      dockerfile: lines("ARG BASE", "FROM ${BASE:-busybox}", "ENV A=1"),
    },
    {
      name: "an argument of a stage is gone in the next one, unless that builds on it",
      dockerfile: lines(
        "FROM scratch AS one",
        "ARG V=1",
        "FROM scratch AS two",
        "ENV A=${V:-gone}",
        "FROM one",
        "ENV A=${V:-gone}",
        "COPY --from=two / /two/",
      ),
      why: "a stage that is from another inherits its arguments",
      differs: { buildah: "it is gone there as well" },
    },
    {
      name: "an ARG is known from its line on",
      dockerfile: lines("FROM scratch", "ENV A=${V:-before}", "ARG V=1", "ENV B=${V:-before}"),
      options: { args: { V: "2" } },
    },
    {
      name: "of ARG and ENV with one name the later counts",
      dockerfile: lines("FROM scratch", "ENV V=env", "ARG V=arg", "ENV A=$V", "ENV V=again", "ENV B=$V"),
      differs: { buildah: "ENV always counts" },
    },
    {
      name: "an ENV of the base is hidden by an ARG with a value only",
      dockerfile: lines("FROM scratch AS base", "ENV V=env", "FROM base", "ARG V", "ENV A=$V"),
    },
    {
      name: "predefined arguments of the platform are known once declared",
      dockerfile: lines(
        "FROM scratch",
        "ENV A=${TARGETARCH:-no}",
        "ARG TARGETARCH TARGETOS TARGETPLATFORM TARGETVARIANT",
        "ENV B=$TARGETOS/$TARGETARCH,$TARGETPLATFORM,${TARGETVARIANT:-none}",
      ),
    },
    {
      name: "predefined arguments of the platform are known in FROM",
      dockerfile: lines(
        "FROM scratch AS for-amd64",
        "ENV A=amd64",
        "FROM scratch AS for-arm64",
        "ENV A=arm64",
        "FROM for-$TARGETARCH",
      ),
      differs: { buildah: "they are not" },
    },
    {
      name: "a default of one's own stands in for a predefined argument",
      dockerfile: lines("FROM scratch", "ARG TARGETARCH=mine", "ENV A=$TARGETARCH"),
      why: "the default in the stage is given by the author, who wins over what is automatic",
    },
    {
      name: "a proxy needs no ARG, and is in no config",
      dockerfile: lines("FROM busybox", "RUN echo ${HTTPS_PROXY:-none} >/x"),
      options: { args: { HTTPS_PROXY: "http://proxy.example:8" } },
    },
    {
      name: "a build argument that nobody declares changes nothing",
      dockerfile: lines("FROM busybox", "RUN echo ${NOPE:-unset} >/x"),
      options: { args: { NOPE: "1" } },
    },
    {
      name: "a stage's name begins with a letter",
      dockerfile: lines("FROM scratch AS 2nd", "COPY f /x"),
      files: FILE,
      differs: { buildah: "it takes any name" },
    },
    {
      name: "FROM with AS and no name is an error",
      dockerfile: lines("FROM scratch AS"),
    },
    {
      name: "an instruction in front of the first FROM is an error",
      dockerfile: lines("ARG A=1", "ENV B=2", "FROM scratch"),
      differs: { buildah: "it ignores the instruction" },
    },
    {
      name: "stages that copy from each other in a circle are an error",
      dockerfile: lines("FROM scratch AS a", "COPY --from=b /x /x", "FROM scratch AS b", "COPY --from=a /x /x"),
    },
    {
      name: "--from of the stage itself is an error",
      dockerfile: lines("FROM scratch AS a", "COPY f /x", "COPY --from=a /x /y"),
      files: FILE,
    },
    {
      name: "--from takes no variables",
      dockerfile: lines(
        "ARG S=one",
        "FROM scratch AS one",
        "COPY f /x",
        "FROM scratch",
        "ARG S",
        "COPY --from=$S /x /y",
      ),
      files: FILE,
      why: "the reference says so: a stage with a name stands in, FROM $S AS from-s",
    },
    {
      name: "an alias stage makes --from variable",
      dockerfile: lines(
        "ARG S=two",
        "FROM scratch AS one",
        "COPY f /one",
        "FROM scratch AS two",
        "COPY f /two",
        "FROM $S AS chosen",
        "FROM scratch",
        "COPY --from=chosen / /",
      ),
      files: FILE,
      differs: { buildah: "a variable in FROM stands for images only" },
    },
    {
      name: "--from of an image copies from it",
      dockerfile: lines("FROM scratch", "COPY --from=busybox /etc/passwd /etc/group /etc/"),
    },
    {
      name: "--from keeps owners, modes, links and hard links",
      dockerfile: lines(
        "FROM busybox AS one",
        "RUN mkdir /s && cd /s && echo 1 >f && chown 7:8 f && chmod 4711 f && ln -s f l && ln f h && mkfifo p",
        "FROM scratch",
        "COPY --from=one /s /t",
      ),
      differs: { buildkit20: "the older one leaves pipes out" },
    },
    {
      name: "--from of a path through a link of the other stage",
      dockerfile: lines(
        "FROM busybox AS one",
        "RUN mkdir -p /opt/v2/bin && echo 2 >/opt/v2/bin/tool && ln -s v2 /opt/current",
        "FROM scratch",
        "COPY --from=one /opt/current/bin/tool /bin/",
      ),
    },
    {
      name: "--from of what another layer deleted is an error",
      dockerfile: lines("FROM busybox AS one", "RUN echo 1 >/x", "RUN rm /x", "FROM scratch", "COPY --from=one /x /y"),
    },
    {
      name: "--from does not look at .dockerignore",
      dockerfile: lines("FROM busybox AS one", "RUN echo 1 >/kept.log", "FROM scratch", "COPY --from=one /kept.log /x"),
      files: { ".dockerignore": "*.log\n" },
    },
    {
      name: "a wildcard in --from",
      dockerfile: lines(
        "FROM busybox AS one",
        "RUN mkdir /d && touch /d/a.so /d/b.so /d/c.a",
        "FROM scratch",
        "COPY --from=one /d/*.so /lib/",
      ),
    },
    {
      name: "the whole of another stage",
      dockerfile: lines("FROM scratch AS one", "COPY f /a/b/f", "WORKDIR /run", "FROM scratch", "COPY --from=one / /"),
      files: FILE,
    },
  ],
};
