import { KbuildError } from "../../errors.ts";

/**
 * The time of the last commit of the repository that a folder of this machine is in, in seconds since 1970; undefined when
 * it is in none, or there is no git to ask.
 * @throws KbuildError `interrupted`
 */
export async function commitTime(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<number | undefined> {
  // What starts processes takes longer to load than most builds have to wait for anything.
  const { runGit } = await import("../remote/git-command.ts");
  try {
    const { GIT_CEILING_DIRECTORIES: ceiling } = env;
    const told = await runGit(
      {
        arguments: ["cat-file", "commit", "HEAD"],
        cwd: folder,
        protocols: "none",
        env: ceiling === undefined ? {} : { GIT_CEILING_DIRECTORIES: ceiling },
        // Nothing that a repository's settings name is run for this: whose it is makes no difference.
        settings: [["safe.directory", "*"]],
      },
      env,
      signal,
    );
    const time = told.status === 0 ? /^committer .*> (\d+) [+-]\d+$/m.exec(told.stdout)?.[1] : undefined;
    return time === undefined ? undefined : Number(time);
  } catch (error) {
    if (error instanceof KbuildError && error.code === "machine.noGit") return undefined;
    throw error;
  }
}
