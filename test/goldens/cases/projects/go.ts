// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type GoldenFiles, type Group, lines } from "../../golden.ts";

const FILES: GoldenFiles = {
  "go.mod": "module example.org/app\n",
  "go.sum": "sum\n",
  "cmd/server/main.go": "package main\n",
  "cmd/worker/main.go": "package main\n",
  "internal/db/db.go": "package db\n",
  "migrations/1.sql": "create table t;\n",
};

/** Go: caches of modules and builds, and an image with one program. */
export const go: Group = {
  name: "projects/go",
  cases: [
    {
      name: "a static program in an empty image",
      dockerfile: lines(
        "FROM --platform=$BUILDPLATFORM busybox AS build",
        "ARG TARGETOS TARGETARCH",
        "WORKDIR /src",
        "COPY go.mod go.sum ./",
        "RUN cat go.sum >/root/modules",
        "COPY . .",
        'RUN echo "$TARGETOS-$TARGETARCH $(cat cmd/server/main.go)" >/server && chmod 755 /server',
        "FROM scratch",
        "COPY --from=build /etc/passwd /etc/passwd",
        "COPY --from=build /server /server",
        "USER nobody",
        'ENTRYPOINT ["/server"]',
      ),
      files: FILES,
    },
    {
      name: "caches of modules and builds, sources by a bind mount",
      dockerfile: lines(
        "FROM busybox AS build",
        "WORKDIR /src",
        "RUN --mount=type=cache,id=golden-go-mod,target=/home \\",
        "    --mount=type=bind,source=go.sum,target=go.sum \\",
        "    --mount=type=bind,source=go.mod,target=go.mod \\",
        "    cp go.sum /home/",
        "RUN --mount=type=cache,id=golden-go-mod,target=/home --mount=type=bind,target=. \\",
        "    cat /home/go.sum cmd/*/main.go >/bin/server",
        "FROM scratch AS final",
        "COPY --from=build /bin/server /bin/",
        'ENTRYPOINT ["/bin/server"]',
      ),
      files: FILES,
      differs: { buildah: "targets have to be absolute" },
    },
    {
      name: "one of several programs, chosen by an argument of the whole file",
      dockerfile: lines(
        "ARG APP=server",
        "FROM busybox AS build",
        "ARG APP",
        "COPY . /src",
        "RUN cp /src/cmd/${APP}/main.go /app && echo ${APP} >>/app",
        "FROM busybox",
        "ARG APP VERSION=dev",
        'LABEL org.opencontainers.image.title="$APP" org.opencontainers.image.version="$VERSION"',
        "COPY --from=build --chmod=0755 /app /usr/local/bin/${APP}",
        "COPY --from=build /src/migrations/ /migrations/",
      ),
      files: FILES,
      options: { args: { APP: "worker", VERSION: "1.4.0" } },
    },
  ],
};
