// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type GoldenFiles, type Group, lines } from "../../golden.ts";

const FILES: GoldenFiles = {
  "nginx.conf": "events {}\n",
  "templates/default.conf.template": "listen ${PORT};\n",
  "site/index.html": "<p>\n",
  "site/assets/app.js": "run();\n",
  "site/assets/app.js.map": "{}\n",
  "docker-entrypoint.d/10-check.sh": { text: "#!/bin/sh\n", mode: 0o755 },
};

/** nginx: templates, a site that another stage builds, logs that are links. */
export const nginx: Group = {
  name: "projects/nginx",
  cases: [
    {
      name: "templates, logs to the container's output, a site from a stage",
      dockerfile: lines(
        "FROM busybox AS site",
        "WORKDIR /site",
        "COPY site .",
        "RUN rm assets/*.map",
        "FROM busybox",
        "RUN mkdir -p /var/log/nginx && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log",
        "COPY nginx.conf /etc/nginx/nginx.conf",
        "COPY templates/*.template /etc/nginx/templates/",
        "COPY --from=site /site /usr/share/nginx/html",
        "ENV PORT=8080",
        "EXPOSE ${PORT}",
        "STOPSIGNAL SIGQUIT",
        'ENTRYPOINT ["/docker-entrypoint.sh"]',
        'CMD ["nginx", "-g", "daemon off;"]',
      ),
      files: FILES,
    },
    {
      name: "a configuration in the Dockerfile itself",
      dockerfile: lines(
        "FROM busybox",
        "ENV UPSTREAM=api:3000",
        "COPY <<EOF /etc/nginx/conf.d/default.conf",
        "server {",
        "  location / { proxy_pass http://$UPSTREAM; proxy_set_header Host \\$host; }",
        "}",
        "EOF",
        "COPY --exclude=**/*.map site /usr/share/nginx/html",
        "HEALTHCHECK --start-period=5s --start-interval=1s CMD wget -q --spider http://localhost/ || exit 1",
      ),
      files: FILES,
    },
    {
      name: "a server that is not root, with folders of its own",
      dockerfile: lines(
        "FROM busybox",
        "RUN mkdir -p /var/cache/nginx /etc/nginx/conf.d && chown -R 101:0 /var/cache/nginx /etc/nginx && chmod -R g+w /var/cache/nginx",
        "COPY --chown=101:0 --link docker-entrypoint.d /docker-entrypoint.d/",
        "USER 101",
        "WORKDIR /var/cache/nginx/client",
        "EXPOSE 8080",
      ),
      files: FILES,
    },
  ],
};
