// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { type GoldenFiles, type Group, lines } from "../../golden.ts";

const FILES: GoldenFiles = {
  "requirements.txt": "flask==3.1\n",
  "requirements/base.txt": "flask==3.1\n",
  "requirements/dev.txt": "-r base.txt\npytest==8\n",
  "app/__init__.py": "",
  "app/main.py": "print('hi')\n",
  "app/__pycache__/main.cpython-313.pyc": "old\n",
  "manage.py": { text: "#!/usr/bin/env python\n", mode: 0o755 },
  "docker/entrypoint.sh": { text: '#!/bin/sh\nexec "$@"\n', mode: 0o644 },
  ".dockerignore": lines("**/__pycache__", "**/*.pyc", ".venv", "Dockerfile", ".dockerignore"),
};

/** Python: a virtual environment that is made in one stage and copied to the next. */
export const python: Group = {
  name: "projects/python",
  cases: [
    {
      name: "a virtual environment copied from the stage that built it",
      dockerfile: lines(
        "FROM busybox AS builder",
        "ENV VIRTUAL_ENV=/opt/venv",
        "ENV PATH=$VIRTUAL_ENV/bin:$PATH",
        "RUN mkdir -p $VIRTUAL_ENV/bin $VIRTUAL_ENV/lib && ln -s /usr/bin/python3 $VIRTUAL_ENV/bin/python && ln -s python $VIRTUAL_ENV/bin/python3",
        "COPY requirements.txt .",
        "RUN while read -r p; do mkdir $VIRTUAL_ENV/lib/${p%%=*}; done <requirements.txt",
        "FROM busybox",
        "COPY --from=builder /opt/venv /opt/venv",
        'ENV PATH="/opt/venv/bin:$PATH" PYTHONUNBUFFERED=1 \\',
        "    PYTHONDONTWRITEBYTECODE=1",
        "WORKDIR /app",
        "COPY app app",
        'CMD ["python", "-m", "app.main"]',
      ),
      files: FILES,
    },
    {
      name: "requirements by a bind mount, packages by a cache mount",
      dockerfile: lines(
        "FROM busybox",
        "RUN --mount=type=cache,id=golden-pip,target=/var/tmp \\",
        "    --mount=type=bind,source=requirements,target=/home \\",
        "    cat /home/*.txt | sort >/packages",
        "COPY . /app",
      ),
      files: FILES,
      differs: { buildah: "it deletes the mount points" },
    },
    {
      name: "an entry point that is made executable by COPY --chmod",
      dockerfile: lines(
        "FROM busybox",
        "ARG UID=10001",
        'RUN adduser -D -H -h /nonexistent -u "${UID}" appuser',
        "COPY --chmod=755 docker/entrypoint.sh /usr/local/bin/",
        "WORKDIR /app",
        "COPY --chown=appuser:appuser manage.py app ./",
        "USER appuser",
        'ENTRYPOINT ["entrypoint.sh"]',
        'CMD ["gunicorn", "--bind", "0.0.0.0:8000", "app.main"]',
      ),
      files: FILES,
    },
    {
      name: "requirements chosen by an argument",
      dockerfile: lines(
        "FROM busybox",
        "ARG ENVIRONMENT=base",
        "COPY requirements/${ENVIRONMENT}.txt /tmp/requirements.txt",
        'RUN if [ "$ENVIRONMENT" = dev ]; then echo tests >/extra; fi; rm /tmp/requirements.txt',
      ),
      files: FILES,
      options: { args: { ENVIRONMENT: "dev" } },
    },
  ],
};
