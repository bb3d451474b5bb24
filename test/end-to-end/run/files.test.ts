import { suite } from "uvu";
import { ground } from "./ground.ts";
import { addRows, type Ground } from "./rows.ts";
import { FILES } from "./tables/files.ts";

const Files = suite<Ground>(
  "what a step does to files is in its layer, the same in all four situations",
  await ground("files"),
);
addRows(Files, FILES);
Files.after(({ situations }) => situations.close());
Files.run();
