import * as path from "node:path";
import { writeBase } from "../../conformance/base.ts";
import { debianLayout } from "../../support/debian.ts";
import { nodeLayout } from "../../support/node-base.ts";
import { openSituations } from "../../support/situations.ts";
import { workspace } from "../../support/workspace.ts";
import type { Ground } from "./rows.ts";

type BaseName = "busybox" | "debian" | "node";

/** Opens the four situations over a folder with the named bases, so that `FROM busybox` finds its image there. */
export async function ground(name: string, wanted: readonly BaseName[] = ["busybox"]): Promise<Ground> {
  const folder = workspace(`kbuild-run-${name}`);
  const bases: string[] = [];
  for (const base of wanted) bases.push("--build-context", `${base}=oci-layout://${await layoutOf(base, folder)}`);
  return { situations: await openSituations(folder), folder, bases };
}

async function layoutOf(base: BaseName, folder: string): Promise<string> {
  const dest = path.join(folder, base);
  if (base === "debian") return debianLayout();
  if (base === "node") return nodeLayout(dest);
  await writeBase(dest);
  return dest;
}
