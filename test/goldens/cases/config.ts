import { type Group, lines } from "../golden.ts";

/** Instructions that only change the config. Dockerfile reference, the sections of these instructions. */
export const config: Group = {
  name: "config",
  cases: [
    {
      name: "CMD in shell form runs in the shell",
      dockerfile: lines("FROM scratch", "CMD echo  $HOME   && ls"),
    },
    {
      name: "CMD in JSON form is kept word by word",
      dockerfile: lines("FROM scratch", 'CMD ["a", "b c", "\\u00e9", "tab\\t"]'),
    },
    {
      name: "an array in single quotes is a text for the shell",
      dockerfile: lines("FROM scratch", "CMD ['a', 'b']"),
    },
    {
      name: "ENTRYPOINT takes the base's CMD away",
      parents: { "golden-config-cmd": lines("FROM busybox", 'CMD ["from", "base"]') },
      dockerfile: lines("FROM golden-config-cmd", 'ENTRYPOINT ["e"]'),
    },
    {
      name: "ENTRYPOINT leaves a CMD of its own stage alone",
      dockerfile: lines("FROM busybox", 'CMD ["mine"]', 'ENTRYPOINT ["e"]'),
    },
    {
      name: "ENTRYPOINT [] takes the base's away",
      parents: { "golden-config-entrypoint": lines("FROM busybox", 'ENTRYPOINT ["e"]', 'CMD ["c"]') },
      dockerfile: lines("FROM golden-config-entrypoint", "ENTRYPOINT []"),
    },
    {
      name: "CMD [] is a CMD without words",
      dockerfile: lines("FROM busybox", "CMD []"),
    },
    {
      name: "SHELL counts for what follows it",
      dockerfile: lines(
        "FROM scratch",
        "CMD one",
        'SHELL ["/bin/ash", "-eo", "pipefail", "-c"]',
        "ENTRYPOINT two",
        "HEALTHCHECK CMD three",
      ),
      differs: { buildah: "SHELL does not count for ENTRYPOINT" },
    },
    {
      name: "SHELL is inherited by a stage",
      dockerfile: lines("FROM busybox AS one", 'SHELL ["/bin/ash", "-c"]', "FROM one", "CMD two"),
      differs: { buildah: "SHELL does not count for CMD" },
    },
    {
      name: "SHELL without an array is an error",
      dockerfile: lines("FROM scratch", "SHELL /bin/ash -c"),
    },
    {
      name: "EXPOSE makes protocols small and ranges long",
      dockerfile: lines("FROM scratch", "EXPOSE 80 53/UDP 7000-7002/tcp 443/tcp 80/tcp"),
      differs: { buildah: "it keeps what is written" },
    },
    {
      name: "EXPOSE adds to that of the base",
      parents: { "golden-config-expose": lines("FROM busybox", "EXPOSE 80") },
      dockerfile: lines("FROM golden-config-expose", "EXPOSE 81"),
    },
    {
      name: "EXPOSE of a word that is no port is an error",
      dockerfile: lines("FROM scratch", "EXPOSE 80 http"),
      differs: { buildah: "it keeps what is written" },
    },
    {
      name: "EXPOSE of a port beyond 65535 is an error",
      dockerfile: lines("FROM scratch", "EXPOSE 65536"),
      differs: { buildah: "it keeps what is written" },
    },
    {
      name: "EXPOSE of a range that runs backwards is an error",
      dockerfile: lines("FROM scratch", "EXPOSE 90-80"),
      differs: { buildah: "it keeps what is written" },
    },
    {
      name: "EXPOSE of a variable with several ports",
      dockerfile: lines("FROM scratch", 'ENV PORTS="80 81/udp"', "EXPOSE $PORTS"),
    },
    {
      name: "EXPOSE of an unknown protocol is an error",
      dockerfile: lines("FROM scratch", "EXPOSE 80/http"),
      differs: { buildah: "it keeps what is written" },
    },
    {
      name: "VOLUME takes words or an array, and makes no folder",
      dockerfile: lines("FROM scratch", "VOLUME /data /log", 'VOLUME ["/my data"]'),
      differs: { buildah: "it makes the folder" },
    },
    {
      name: "what is written below a VOLUME is kept",
      dockerfile: lines("FROM busybox", "VOLUME /data", "RUN mkdir -p /data && echo 1 >/data/x", "COPY f /data/y"),
      files: { f: "f\n" },
      differs: { buildah: "it throws away what RUN writes below a VOLUME, as the builder before BuildKit did" },
    },
    {
      name: "a blank VOLUME is an error",
      dockerfile: lines("FROM scratch", 'VOLUME [""]'),
    },
    {
      name: "LABEL in one line and in several",
      dockerfile: lines("FROM scratch", 'LABEL a=1 "b c"="d e"', "LABEL f='$g' \\", '      h="i\\', 'j"'),
    },
    {
      name: "LABEL replaces that of the base, name by name",
      parents: { "golden-config-label": lines("FROM busybox", "LABEL a=base b=base") },
      dockerfile: lines("FROM golden-config-label", "LABEL a=own c=own"),
    },
    {
      name: "--label comes last",
      dockerfile: lines("FROM scratch", "LABEL a=file b=file"),
      options: { labels: { a: "option", c: "option" } },
    },
    {
      name: "STOPSIGNAL is a name or a number",
      dockerfile: lines("FROM scratch", "STOPSIGNAL SIGQUIT", "STOPSIGNAL 15"),
    },
    {
      name: "STOPSIGNAL of a word that is no signal is an error",
      dockerfile: lines("FROM scratch", "STOPSIGNAL SIGNOPE"),
    },
    {
      name: "HEALTHCHECK with all of its flags",
      dockerfile: lines(
        "FROM scratch",
        "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=2s --retries=5 CMD wget -q localhost || exit 1",
      ),
    },
    {
      name: "HEALTHCHECK --start-interval",
      dockerfile: lines("FROM scratch", 'HEALTHCHECK --start-interval=3s CMD ["check"]'),
    },
    {
      name: "HEALTHCHECK NONE takes that of the base away",
      dockerfile: lines("FROM busybox AS one", "HEALTHCHECK CMD true", "FROM one", "HEALTHCHECK NONE"),
    },
    {
      name: "of two HEALTHCHECKs the last counts, whole",
      dockerfile: lines("FROM scratch", "HEALTHCHECK --interval=5s CMD one", "HEALTHCHECK --retries=2 CMD two"),
    },
    {
      name: "HEALTHCHECK --interval=0 is the default",
      dockerfile: lines("FROM scratch", "HEALTHCHECK --interval=0s CMD one"),
      differs: { buildah: "it wants more than nothing", buildkit20: "the older one wanted at least 1ms" },
    },
    {
      name: "HEALTHCHECK of a word besides CMD and NONE is an error",
      dockerfile: lines("FROM scratch", "HEALTHCHECK RUN true"),
    },
    {
      name: "HEALTHCHECK with fewer than no retries is an error",
      dockerfile: lines("FROM scratch", "HEALTHCHECK --retries=-1 CMD true"),
    },
    {
      name: "MAINTAINER is the author",
      dockerfile: lines("FROM scratch", "MAINTAINER A. Uthor <a@example.org>"),
    },
    {
      name: "ENV replaces that of the base in its place",
      parents: { "golden-config-env": lines("FROM scratch", "ENV A=1 B=2 C=3") },
      dockerfile: lines("FROM golden-config-env", "ENV B=two D=4"),
    },
    {
      name: "ENV PATH adds to that of the base",
      dockerfile: lines("FROM busybox", "ENV PATH=/opt/bin:$PATH"),
    },
    {
      name: "a word that is no instruction is an error",
      dockerfile: lines("FROM scratch", "ENV A=1", "COPPY a b"),
    },
    {
      name: "a Dockerfile without FROM is an error",
      dockerfile: lines("# only a comment", "ARG A=1"),
    },
  ],
};
