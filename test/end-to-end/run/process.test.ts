import { suite } from "uvu";
import { ground } from "./ground.ts";
import { addRows, type Ground } from "./rows.ts";
import { PROCESS } from "./tables/process.ts";

const Process = suite<Ground>(
  "what a process of a step sees and may do is the same in all four situations",
  await ground("process", ["busybox", "debian"]),
);
addRows(Process, PROCESS);
Process.after(({ situations }) => situations.close());
Process.run();
