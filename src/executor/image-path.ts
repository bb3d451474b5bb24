/** A path of the image made absolute and clean; a relative one begins at `folder`, and `..` stops at the root. */
export function joinAbsolute(folder: string, path: string): string {
  const names: string[] = [];
  for (const name of `${path.startsWith("/") ? "" : folder}/${path}`.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return `/${names.join("/")}`;
}
