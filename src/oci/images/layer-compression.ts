import type { Descriptor } from "../types.ts";

/** How the bytes of a layer are compressed, as its media type says; undefined for a type that is no layer. */
export function compressionOfLayer({ mediaType }: Pick<Descriptor, "mediaType">): "none" | "gzip" | "zstd" | undefined {
  if (!/^application\/vnd\.(oci\.image\.layer|docker\.image\.rootfs)\./.test(mediaType)) return undefined;
  if (/[.+]gzip$/.test(mediaType)) return "gzip";
  if (/[.+]zstd$/.test(mediaType)) return "zstd";
  return mediaType.endsWith(".tar") ? "none" : undefined;
}
