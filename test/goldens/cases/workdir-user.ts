import { type Group, lines } from "../golden.ts";

/** WORKDIR and USER. Dockerfile reference, "WORKDIR" and "USER". */
export const workdirUser: Group = {
  name: "workdir-user",
  cases: [
    {
      name: "relative paths add up",
      dockerfile: lines("FROM scratch", "WORKDIR /a", "WORKDIR b/c", "WORKDIR ../d", "WORKDIR ."),
    },
    {
      name: "a relative path in front of any other is below the root",
      dockerfile: lines("FROM scratch", "WORKDIR app"),
    },
    {
      name: "a relative path is below that of the base",
      parents: { "golden-workdir-base": lines("FROM busybox", "WORKDIR /srv") },
      dockerfile: lines("FROM golden-workdir-base", "WORKDIR www"),
    },
    {
      name: "a folder that is there keeps its mode and owner",
      dockerfile: lines("FROM busybox", "RUN mkdir -m 700 /w && chown 5:6 /w", "WORKDIR /w"),
    },
    {
      name: "new folders belong to USER, all of them",
      dockerfile: lines("FROM busybox", "USER daemon:mail", "WORKDIR /p/q/r"),
    },
    {
      name: "a file at the path is an error of the WORKDIR",
      dockerfile: lines("FROM busybox", "WORKDIR /etc/passwd"),
      differs: { buildah: "it does not look" },
    },
    {
      name: "a file on the way is an error of the WORKDIR",
      dockerfile: lines("FROM busybox", "WORKDIR /etc/passwd/x"),
    },
    {
      name: "a link on the way is followed",
      dockerfile: lines("FROM busybox", "RUN ln -s /var/tmp /scratch", "WORKDIR /scratch/new", "RUN pwd -P >/x"),
    },
    {
      name: "a home with a tilde is a folder of that name",
      dockerfile: lines("FROM scratch", "WORKDIR ~/app"),
    },
    {
      name: "spaces in a path need no quotes",
      dockerfile: lines("FROM scratch", "WORKDIR /my app/x"),
    },
    {
      name: "quotes around a path are taken away",
      dockerfile: lines("FROM scratch", 'WORKDIR "/my app"'),
    },
    {
      name: "RUN, CMD and COPY are relative to it",
      dockerfile: lines("FROM busybox", "WORKDIR /app", "COPY f .", "RUN cat f >g", "CMD cat g"),
      files: { f: "f\n" },
    },
    {
      name: "USER with a name and a group is kept as written",
      dockerfile: lines("FROM scratch", "USER me:ours"),
    },
    {
      name: "USER of a number runs with the group of its account",
      dockerfile: lines(
        "FROM busybox",
        "RUN echo app:x:1000:1001::/app:/bin/sh >>/etc/passwd && mkdir -m 777 /o",
        "USER 1000",
        "RUN id -u >/o/u; id -g >/o/g",
      ),
    },
    {
      name: "USER of a number without an account has group 0",
      dockerfile: lines("FROM busybox", "RUN mkdir -m 777 /o", "USER 4321", "RUN id -u >/o/u; id -g >/o/g"),
    },
    {
      name: "USER with a group has that one, and no others",
      dockerfile: lines(
        "FROM busybox",
        "RUN sed -i 's/^wheel:.*/wheel:x:10:daemon/' /etc/group && mkdir -m 777 /o",
        "USER daemon:mail",
        "RUN id -G >/o/g",
      ),
    },
    {
      name: "USER without a group has those that list the account",
      dockerfile: lines(
        "FROM busybox",
        "RUN sed -i 's/^wheel:.*/wheel:x:10:daemon/' /etc/group && mkdir -m 777 /o",
        "USER daemon",
        "RUN id -G >/o/g",
      ),
    },
    {
      name: "USER of a name that is not there fails with the RUN that needs it",
      dockerfile: lines("FROM busybox", "USER ghost", "ENV A=1", "RUN true"),
    },
    {
      name: "USER of a name that is not there is none of COPY's business",
      dockerfile: lines("FROM scratch", "USER ghost", "COPY f /x"),
      files: { f: "f\n" },
    },
    {
      name: "HOME in RUN is that of the account",
      dockerfile: lines("FROM busybox", "RUN mkdir -m 777 /o", "USER operator", "RUN echo $HOME >/o/h"),
    },
  ],
};
