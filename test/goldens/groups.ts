import { add } from "./cases/add.ts";
import { config } from "./cases/config.ts";
import { contexts } from "./cases/contexts.ts";
import { copy } from "./cases/copy.ts";
import { copyFlags } from "./cases/copy-flags.ts";
import { copySelection } from "./cases/copy-selection.ts";
import { from } from "./cases/from.ts";
import { heredoc } from "./cases/heredoc.ts";
import { ignore } from "./cases/ignore.ts";
import { onbuild } from "./cases/onbuild.ts";
import { go } from "./cases/projects/go.ts";
import { java } from "./cases/projects/java.ts";
import { nginx } from "./cases/projects/nginx.ts";
import { node } from "./cases/projects/node.ts";
import { php } from "./cases/projects/php.ts";
import { python } from "./cases/projects/python.ts";
import { rust } from "./cases/projects/rust.ts";
import { run } from "./cases/run.ts";
import { words } from "./cases/words.ts";
import { workdirUser } from "./cases/workdir-user.ts";
import type { Group } from "./golden.ts";

/** All golden cases. */
export const groups: readonly Group[] = [
  copy,
  copyFlags,
  copySelection,
  add,
  from,
  contexts,
  words,
  workdirUser,
  config,
  ignore,
  heredoc,
  onbuild,
  run,
  node,
  python,
  go,
  rust,
  java,
  php,
  nginx,
];
