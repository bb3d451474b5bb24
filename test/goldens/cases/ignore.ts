import { type GoldenFiles, type Group, lines } from "../golden.ts";

const FILES: GoldenFiles = {
  "readme.md": "r\n",
  "main.js": "m\n",
  "main.test.js": "t\n",
  "src/app.js": "a\n",
  "src/app.test.js": "t\n",
  "src/deep/x.test.js": "t\n",
  "src/readme.md": "r\n",
  "node_modules/dep/index.js": "d\n",
  "src/node_modules/dep/index.js": "d\n",
  ".git/config": "c\n",
  ".env": "e\n",
};

/** A whole context, as an ignore file leaves it. */
const left = (name: string, ...rules: string[]) => ({
  name,
  dockerfile: lines("FROM scratch", "COPY . /x"),
  files: { ...FILES, ".dockerignore": lines(...rules) },
});

/** .dockerignore. Docker's documentation, "Build context", ".dockerignore files". */
export const ignore: Group = {
  name: "ignore",
  cases: [
    left("a name is that of the top only", "node_modules", ".git", "readme.md"),
    left("two stars in front match at every depth", "**/node_modules", "**/*.test.js"),
    left("a star does not match a slash", "*/*.test.js", ".git"),
    left("an exclamation mark brings back what a rule before it took", "*", "!src", "src/*.test.js"),
    left("the last rule that matches counts", "!readme.md", "*.md", "!readme.md", ".git"),
    left("a folder is searched for what is brought back in it", "src", "!src/deep/x.test.js", "node_modules", ".git"),
    left("a slash in front and behind means nothing", "/node_modules/", "/src/deep/", "/.git"),
    left("comments and blank lines are none", "# readme.md", "", "   ", "  .git  ", "node_modules"),
    left("two stars behind match all below, not the folder itself", "src/**", "node_modules/**", ".git"),
    left("two stars in the middle match any number of folders", "src/**/*.js", "node_modules", ".git"),
    left(
      "the Dockerfile and the ignore file can be left out, and the build goes on",
      "Dockerfile",
      ".dockerignore",
      "src",
      "node_modules",
      ".git",
    ),
    left("a class and a question mark", "[rm]*.??", "src", "node_modules", ".git"),
    {
      ...left("everything but some", "**", "!**/*.md"),
      differs: {
        buildah: "it does not look into folders that are left out",
        buildkit20: "the older one did not look into folders that are left out",
      },
    },
    left("a path with dots is made clean", "./src/../node_modules", "src/./deep", ".git"),
    {
      name: "an ignore file of the Dockerfile's own name comes first",
      dockerfile: lines("FROM scratch", "COPY . /x"),
      files: { a: "a\n", b: "b\n", ".dockerignore": "a\n", "Dockerfile.dockerignore": "b\n" },
    },
    {
      name: "ADD leaves out what is ignored, too, and so does a wildcard",
      dockerfile: lines("FROM scratch", "ADD *.js src /x/"),
      files: { ...FILES, ".dockerignore": lines("**/*.test.js", "**/node_modules") },
    },
    {
      name: "a source that is ignored is not there",
      dockerfile: lines("FROM scratch", "COPY main.js /y", "COPY readme.md /x"),
      files: { ...FILES, ".dockerignore": lines("*.md") },
    },
    {
      name: "a bind mount of the context leaves out what is ignored",
      dockerfile: lines("FROM busybox", "RUN --mount=target=/c ls -A /c >/x"),
      files: { ...FILES, ".dockerignore": lines("*", "!main.js", "!.env") },
      differs: { buildah: "it mounts the folder as it is", buildkit20: "the older one leaves the mount point behind" },
    },
    {
      name: "a pattern that cannot be read is an error",
      dockerfile: lines("FROM scratch", "COPY . /x"),
      files: { ...FILES, ".dockerignore": lines(".git", "[a-") },
    },
  ],
};
