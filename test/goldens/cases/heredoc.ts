// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type Group, lines } from "../golden.ts";

/** Heredocs of COPY, ADD and RUN. Dockerfile reference, "Here-Documents". */
export const heredoc: Group = {
  name: "heredoc",
  cases: [
    {
      name: "COPY of one makes a file of 0644",
      dockerfile: lines("FROM scratch", "COPY <<EOF /etc/motd", "hello", "", "  world", "EOF"),
    },
    {
      name: "into a folder its delimiter is its name",
      dockerfile: lines(
        "FROM scratch",
        "COPY <<robots.txt <<humans.txt /srv/",
        "User-agent: *",
        "robots.txt",
        "me",
        "humans.txt",
      ),
    },
    {
      name: "variables are expanded, escaped ones are not",
      dockerfile: lines(
        "FROM scratch",
        "ARG PORT=80",
        "ENV HOST=h",
        "COPY <<EOF /x",
        "listen $PORT ${HOST} ${NONE:-none} \\$uri \"$HOST\" '$HOST'",
        "EOF",
      ),
    },
    {
      name: "a quoted delimiter keeps variables",
      dockerfile: lines("FROM scratch", "ENV A=1", 'COPY <<"EOF" /x', "$A ${A} \\$A", "EOF"),
    },
    {
      name: "a dash strips tabs, and only tabs",
      dockerfile: lines("FROM scratch", "COPY <<-EOF /x", "\t\ttabs", "  spaces", "\tend", "\tEOF"),
    },
    {
      name: "a line with more than the delimiter does not end it",
      dockerfile: lines("FROM scratch", "COPY <<EOF /x", "EOF ", "EOFX", "EOF"),
    },
    {
      name: "comments and continuations in it are content",
      dockerfile: lines("FROM scratch", "COPY <<'EOF' /x", "# no comment", "one \\", "two", "", "EOF"),
    },
    {
      name: "an empty one is an empty file",
      dockerfile: lines("FROM scratch", "COPY <<EOF /x", "EOF"),
    },
    {
      name: "ADD takes one, with a mode and an owner",
      dockerfile: lines("FROM scratch", "ADD --chmod=755 --chown=1:2 <<EOF /start", "#!/bin/sh", "EOF"),
    },
    {
      name: "--chmod by letters changes 0644",
      dockerfile: lines("FROM scratch", "COPY --chmod=u+x,go-r <<EOF /start", "#!/bin/sh", "EOF"),
    },
    {
      name: "beside a file of the context",
      dockerfile: lines("FROM scratch", "COPY f <<g /x/", "inline", "g"),
      files: { f: "file\n" },
    },
    {
      name: "RUN of one is a script",
      dockerfile: lines("FROM busybox", "ENV A=1", "RUN <<EOF", "set -e", "b=$A$A", 'echo "$b" >/x', "EOF"),
    },
    {
      name: "RUN of one fails with its last command",
      dockerfile: lines("FROM busybox", "RUN <<EOF", "false", "echo on >/x", "EOF"),
      why: "the shell goes on after a command that fails, unless it is told set -e",
    },
    {
      name: "RUN of one with set -e fails at the first",
      dockerfile: lines("FROM busybox", "RUN <<EOF", "set -e", "false", "echo on >/x", "EOF"),
    },
    {
      name: "RUN of one that begins with #! has another interpreter",
      dockerfile: lines("FROM busybox", "RUN <<EOF", "#!/bin/awk -f", 'BEGIN { print "awk" > "/x" }', "EOF"),
    },
    {
      name: "RUN of a command that reads one",
      dockerfile: lines("FROM busybox", "RUN tr a-z A-Z <<EOF >/x", "shout", "EOF"),
    },
    {
      name: "RUN of a command that reads two from other descriptors",
      dockerfile: lines("FROM busybox", "RUN cat /dev/fd/3 /dev/fd/4 3<<A 4<<B >/x", "a", "A", "b", "B"),
    },
    {
      name: "RUN of one uses SHELL",
      dockerfile: lines("FROM busybox", 'SHELL ["/bin/sh", "-ec"]', "RUN <<EOF", "echo $- >/x", "false", "EOF"),
      why: "with -e in SHELL the script ends at the false",
    },
    {
      name: "one that does not end is an error at its line",
      dockerfile: lines("FROM scratch", "ENV A=1", "COPY <<EOF /x", "never"),
    },
    {
      name: "in RUN there may be white space in front of the name, as shells have it",
      dockerfile: lines(
        "FROM busybox",
        "RUN cat << 'END' >/x && cat << E >/y",
        "$PATH",
        "END",
        "a",
        "E",
        "RUN << E",
        "id -u >/z",
        "E",
      ),
    },
    {
      name: "a shift in arithmetic is none",
      dockerfile: lines("FROM busybox", "RUN echo $((1 << 4)) >/x"),
    },
    {
      name: "in the JSON form there is none",
      dockerfile: lines("FROM busybox", 'RUN ["/bin/sh", "-c", "cat <<E >/x\\nhere\\nE\\n"]'),
    },
  ],
};
