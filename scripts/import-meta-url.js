// Put into the bundle of the command line, which is CommonJS and has no `import.meta`.
import { pathToFileURL } from "node:url";

export const importMetaUrl = pathToFileURL(__filename).href;
