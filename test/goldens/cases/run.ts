// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type Group, lines } from "../golden.ts";

/** RUN: forms, mounts, and what of its work is in the layer. Dockerfile reference, "RUN". */
export const run: Group = {
  name: "run",
  cases: [
    {
      name: "the shell form has the shell expand variables",
      dockerfile: lines("FROM busybox", "ENV A=1", "ARG B=2", 'RUN C=3; echo "$A $B $C ${D:-4}" >/x'),
    },
    {
      name: "the JSON form has no shell",
      dockerfile: lines("FROM busybox", "ENV A=1", 'RUN ["/bin/touch", "/$A", "/a b"]'),
    },
    {
      name: "the JSON form finds programs in PATH",
      dockerfile: lines("FROM busybox", 'RUN ["touch", "/x"]'),
    },
    {
      name: "the JSON form of a program that is not there fails at the RUN",
      dockerfile: lines("FROM busybox", "ENV A=1", 'RUN ["no-such-program"]'),
    },
    {
      name: "SHELL is what the shell form runs in",
      dockerfile: lines("FROM busybox", 'SHELL ["/bin/awk"]', 'RUN BEGIN { print "awk" > "/x" }'),
    },
    {
      name: "a line that goes on over comments is one command",
      dockerfile: lines(
        "FROM busybox",
        "RUN set -e; \\",
        "  # first",
        "  echo 1 >/x; \\",
        "",
        "  # second",
        "  echo 2 >>/x",
      ),
    },
    {
      name: "arguments are variables of RUN and not of the image",
      dockerfile: lines("FROM busybox", "ARG V=1", "RUN env | grep ^V= >/x", "ENV W=2"),
    },
    {
      name: "a file that was deleted is gone, and its folder stays",
      dockerfile: lines("FROM busybox", "RUN mkdir /d && echo 1 >/d/a && echo 2 >/d/b", "RUN rm /d/a"),
    },
    {
      name: "a folder that was deleted and made anew has only what is new",
      dockerfile: lines(
        "FROM busybox",
        "RUN mkdir /d && echo 1 >/d/a",
        "RUN rm -r /d && mkdir -m 700 /d && echo 2 >/d/b",
      ),
    },
    {
      name: "a folder that became a link hides what was below it",
      dockerfile: lines("FROM busybox", "RUN mkdir /d /e && echo 1 >/d/a", "RUN rm -r /d && ln -s e /d"),
    },
    {
      name: "a change of owner alone is a change",
      dockerfile: lines("FROM busybox", "RUN echo 1 >/x", "RUN chown 5:6 /x"),
    },
    {
      name: "a file that is moved is at its new place only",
      dockerfile: lines("FROM busybox", "RUN mkdir -p /a/b && echo 1 >/a/b/f", "RUN mv /a/b /c"),
    },
    {
      name: "hard links of one step are one file",
      dockerfile: lines("FROM busybox", "RUN echo 1 >/a && ln /a /b && mkdir /d && ln /a /d/c"),
    },
    {
      name: "a FIFO, a link that leads nowhere and set-id bits",
      dockerfile: lines(
        "FROM busybox",
        "RUN mkfifo -m 600 /p && ln -s /nowhere /l && touch /s && chmod 6755 /s && mkdir -m 3777 /d",
      ),
    },
    {
      name: "umask is 022",
      dockerfile: lines("FROM busybox", "RUN umask >/x; touch /f; mkdir /d"),
    },
    {
      name: "a step that fails has the place of its RUN",
      dockerfile: lines("FROM busybox", "RUN echo 1 >/x", "", "RUN cat /x && \\", "  exit 9"),
    },
    {
      name: "a bind mount is read-only, and the folder that it needed is not in the image",
      dockerfile: lines(
        "FROM busybox",
        "RUN --mount=target=/c/d cp /c/d/f /x; echo no >/c/d/f 2>/dev/null || echo ro >>/x",
      ),
      files: { f: "f\n" },
      why: "a mount point that was made for a mount leaves no trace",
      differs: { buildkit20: "it leaves the mount point behind", buildah: "it leaves the mount point behind" },
    },
    {
      name: "what is written to a bind mount with rw is thrown away",
      dockerfile: lines("FROM busybox", "RUN --mount=target=/c,rw echo new >/c/f && cat /c/f >/x", "COPY f /y"),
      files: { f: "f\n" },
      differs: { buildah: "it changes the context itself", buildkit20: "the older one leaves the mount point behind" },
    },
    {
      name: "a bind mount of a file",
      dockerfile: lines("FROM busybox", "RUN --mount=source=conf/app.ini,target=/etc/app.ini cat /etc/app.ini >/x"),
      files: { "conf/app.ini": "[app]\n" },
    },
    {
      name: "a bind mount from a stage, of a folder in it",
      dockerfile: lines(
        "FROM busybox AS build",
        "RUN mkdir -p /out/bin && echo tool >/out/bin/t",
        "FROM busybox",
        "RUN --mount=from=build,source=/out,target=/b cp /b/bin/t /x",
      ),
      differs: { buildkit20: "the older one leaves the mount point behind" },
    },
    {
      name: "a bind mount of a path that is not there is an error",
      dockerfile: lines("FROM busybox", "RUN --mount=source=nope,target=/c true"),
      differs: { buildah: "it mounts an empty folder" },
    },
    {
      name: "a cache mount is kept between steps and is in no layer",
      dockerfile: lines(
        "FROM busybox",
        "RUN --mount=type=cache,id=golden-kept,target=/root/.cache echo 1 >/root/.cache/x",
        "RUN --mount=type=cache,id=golden-kept,target=/elsewhere cat /elsewhere/x >/y",
      ),
      differs: { buildkit20: "the mount points stay" },
    },
    {
      name: "a cache mount begins with what a stage has",
      dockerfile: lines(
        "FROM busybox AS seed",
        "RUN mkdir /s && echo seed >/s/x",
        "FROM busybox",
        "RUN --mount=type=cache,id=golden-seed,from=seed,source=/s,target=/var/tmp cat /var/tmp/x >/y",
      ),
      differs: { buildah: "it deletes the mount point" },
    },
    {
      name: "a cache mount has the mode and owner that it is told",
      dockerfile: lines(
        "FROM busybox",
        "RUN --mount=type=cache,id=golden-mode,target=/var/tmp,mode=0750,uid=5,gid=6 stat -c '%a %u %g' /var/tmp >/x",
      ),
      differs: { buildah: "it deletes the mount point" },
    },
    {
      name: "a tmpfs mount is empty, and empty again",
      dockerfile: lines(
        "FROM busybox",
        "RUN echo 1 >/var/tmp/x",
        "RUN --mount=type=tmpfs,target=/var/tmp ls /var/tmp >/y; echo 2 >/var/tmp/z",
      ),
      differs: { buildah: "it deletes the mount point" },
    },
    {
      name: "a secret is a file of its own in one step and in no layer",
      dockerfile: lines(
        "FROM busybox",
        "RUN --mount=type=secret,id=token,target=/tmp/token wc -c </tmp/token >/x; stat -c '%a %u %g' /tmp/token >>/x",
        "RUN test ! -s /tmp/token",
      ),
      options: { secrets: { token: "hush" } },
    },
    {
      name: "a secret that is not given is left out",
      dockerfile: lines("FROM busybox", "RUN --mount=type=secret,id=nope test ! -e /run/secrets/nope"),
    },
    {
      name: "a secret that is required and not given is an error",
      dockerfile: lines("FROM busybox", "RUN --mount=type=secret,id=nope,required=true true"),
    },
    {
      name: "a secret in a variable",
      dockerfile: lines("FROM busybox", 'RUN --mount=type=secret,id=token,env=TOKEN echo "${#TOKEN}" >/x'),
      options: { secrets: { token: "hush" } },
    },
    {
      name: "several mounts in one RUN",
      dockerfile: lines(
        "FROM busybox",
        "RUN --mount=type=bind,target=/var/tmp --mount=type=tmpfs,target=/tmp \\",
        "    --mount=type=secret,id=s,target=/home/s \\",
        "    cat /var/tmp/f /home/s >/tmp/t && cp /tmp/t /x",
      ),
      files: { f: "f\n" },
      options: { secrets: { s: "s\n" } },
      differs: { buildah: "it deletes the mount points" },
    },
    {
      name: "variables stand in a mount's target",
      dockerfile: lines("FROM busybox", "ARG DIR=/var/tmp", "RUN --mount=type=bind,target=$DIR cp $DIR/f /x"),
      files: { f: "f\n" },
      differs: { buildah: "it deletes the mount point", buildkit20: "the older one does not expand them" },
    },
    {
      name: "a mount over the root is an error",
      dockerfile: lines("FROM busybox", "RUN --mount=type=tmpfs,target=/ true"),
      differs: { buildah: "it mounts it and runs in the image all the same" },
    },
    {
      name: "a mount of an unknown kind is an error at the mount",
      dockerfile: lines("FROM busybox", "RUN --mount=type=volume,target=/c true"),
    },
    {
      name: "--network=none has no way out",
      dockerfile: lines("FROM busybox", "RUN --network=none ls /sys/class/net >/x"),
      differs: { buildah: "it does not know the flag", buildkit20: "the older one does not know the flag" },
    },
    {
      name: "an unknown network is an error",
      dockerfile: lines("FROM busybox", "RUN --network=bridge true"),
    },
    {
      name: "RUN without a command starts a shell that does nothing",
      dockerfile: lines("FROM busybox", "RUN"),
      differs: { buildah: "it wants a command" },
    },
  ],
};
