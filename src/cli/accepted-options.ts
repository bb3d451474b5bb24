import type { OptionTable } from "./option-table.ts";

const NO_ATTESTATION = "kbuild makes no attestations yet: the image comes without";

/** Options of docker build that change nothing here, and those that are not there yet. */
export const acceptedOptions = {
  load: {
    names: "--load",
    group: "Accepted",
    help: "As -o type=image",
    note: "the image goes to kbuild's own store; kbuild save -o x.tar, then docker load -i x.tar",
  },
  builder: {
    names: "--builder",
    argument: "NAME",
    group: "Accepted",
    help: "There is only one builder",
    note: "kbuild has no builders to choose from; this process builds",
  },
  provenance: {
    names: "--provenance",
    argument: "SPEC",
    group: "Accepted",
    help: "Nothing is attested yet",
    harmless: ["false", "disabled=true"],
    note: NO_ATTESTATION,
  },
  sbom: {
    names: "--sbom",
    argument: "SPEC",
    group: "Accepted",
    help: "Nothing is attested yet",
    harmless: ["false", "disabled=true"],
    note: NO_ATTESTATION,
  },
  attest: {
    names: "--attest",
    argument: "SPEC",
    several: true,
    group: "Accepted",
    help: "Nothing is attested yet",
    harmless: ["type=provenance,disabled=true", "type=sbom,disabled=true"],
    note: NO_ATTESTATION,
  },
  rm: {
    names: "--rm",
    group: "Accepted",
    help: "Nothing to remove",
    note: "there are no intermediate containers to remove",
  },
  forceRm: {
    names: "--force-rm",
    group: "Accepted",
    help: "Nothing to remove",
    note: "there are no intermediate containers to remove",
  },
  compress: {
    names: "--compress",
    group: "Accepted",
    help: "Nothing to compress",
    note: "the context is read where it is, and sent nowhere",
  },
  securityOpt: {
    names: "--security-opt",
    argument: "SPEC",
    several: true,
    group: "Accepted",
    help: "Only what asks for nothing",
    later: "a step without docker's seccomp profile: RUN --security=insecure, with --allow security.insecure",
    harmless: ["label=disable", "label:disable", "apparmor=unconfined", "apparmor:unconfined"],
  },
  disableContentTrust: {
    names: "--disable-content-trust",
    group: "Accepted",
    help: "No signatures are looked at",
    note: "kbuild looks at no signatures",
  },

  push: { names: "--push", help: "Push the image", later: "kbuild save writes an archive that other tools push" },
  policy: {
    names: "--policy",
    argument: "SPEC",
    several: true,
    help: "Source policies",
    later: "name sources by digest: FROM NAME@sha256:…, ADD --checksum=…",
  },
  print: { names: "--print", argument: "METHOD", help: "Subrequests", later: "--call is what it is called now" },
  stream: { names: "--stream", help: "Stream the context", later: "" },
  detach: { names: "--detach", help: "Build in the background", later: "" },
  invoke: { names: "--invoke", argument: "SPEC", help: "Debugger", later: "" },
} as const satisfies OptionTable;
