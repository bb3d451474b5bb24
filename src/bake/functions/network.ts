import { isIPv4, isIPv6 } from "node:net";
import { toNumber, type Value } from "../values.ts";
import { type CallSite, type FunctionTable, given, ofText, taking, takingMany, textOf, wrong } from "./function.ts";

/** A range of addresses: those that share so many bits with the first. */
interface Network {
  readonly address: bigint;
  readonly length: number;
  /** 32 or 128. */
  readonly bits: number;
}

function networkOf(text: string, site: CallSite): Network {
  const [, address = "", digits = ""] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const bits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : 0;
  const length = Number(digits);
  if (bits === 0 || digits === "" || length > bits) {
    throw wrong(site, 0, `${JSON.stringify(text)} is no network`, "networks are like 10.1.0.0/16");
  }
  const rest = BigInt(bits - length);
  return { address: (numberOf(address, bits) >> rest) << rest, length, bits };
}

function numberOf(address: string, bits: number): bigint {
  if (bits === 32) return address.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  if (dotted !== null) {
    const low = numberOf(dotted[2] ?? "", 32);
    return numberOf(`${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`, 128);
  }
  const [head = "", tail] = address.split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const [first, last] = [groups(head), groups(tail ?? "")];
  const middle = Array.from({ length: tail === undefined ? 0 : 8 - first.length - last.length }, () => "0");
  return [...first, ...middle, ...last].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

function addressText(address: bigint, bits: number): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => String((address >> shift) & 0xffn)).join(".");
  const groups = Array.from({ length: 8 }, (_, number) =>
    ((address >> BigInt(112 - number * 16)) & 0xffffn).toString(16),
  );
  const zeros = [...groups.join(":").matchAll(/\b0(?::0)+\b/g)].sort((a, b) => b[0].length - a[0].length)[0];
  const text = groups.join(":");
  if (zeros === undefined) return text;
  const [before, after] = [text.slice(0, zeros.index), text.slice(zeros.index + zeros[0].length)];
  return `${before.replace(/:$/, "")}::${after.replace(/^:/, "")}`;
}

function subnet({ address, length, bits }: Network, more: number, number: bigint, site: CallSite): Network {
  if (!Number.isInteger(more) || more < 0 || length + more > bits) {
    throw wrong(site, 1, `a network of ${length} of ${bits} bits cannot be divided by ${more} more`);
  }
  if (number < 0n || number >= 1n << BigInt(more)) {
    throw wrong(site, 2, `there is no part ${number} when it is divided by ${more} bits`);
  }
  return { address: address | (number << BigInt(bits - length - more)), length: length + more, bits };
}

function networkText({ address, length, bits }: Network): string {
  return `${addressText(address, bits)}/${length}`;
}

function wholeNumber(values: readonly Value[], number: number, site: CallSite): bigint {
  const found = toNumber(given(values, number), site.operand(number));
  if (!Number.isSafeInteger(found)) throw wrong(site, number, "a whole number is needed here");
  return BigInt(found);
}

/** RFC 4632. */
export const NETWORK_FUNCTIONS: FunctionTable = {
  cidrhost: taking(2, 2, (values, site) => {
    const { address, length, bits } = networkOf(textOf(values, 0, site), site);
    const count = 1n << BigInt(bits - length);
    const number = wholeNumber(values, 1, site);
    const host = number < 0n ? count + number : number;
    if (host < 0n || host >= count) throw wrong(site, 1, `there is no host ${number} among ${count}`);
    return addressText(address | host, bits);
  }),
  cidrnetmask: ofText((text, site) => {
    const { length, bits } = networkOf(text, site);
    if (bits !== 32) throw wrong(site, 0, "only IPv4 has masks");
    return addressText(((1n << BigInt(length)) - 1n) << BigInt(32 - length), 32);
  }),
  cidrsubnet: taking(3, 3, (values, site) => {
    const network = networkOf(textOf(values, 0, site), site);
    return networkText(subnet(network, Number(wholeNumber(values, 1, site)), wholeNumber(values, 2, site), site));
  }),
  cidrsubnets: takingMany(1, (values, site) => {
    const network = networkOf(textOf(values, 0, site), site);
    const end = network.address + (1n << BigInt(network.bits - network.length));
    let at = network.address;
    return values.slice(1).map((_, number) => {
      const { length, bits } = subnet(network, Number(wholeNumber(values, number + 1, site)), 0n, site);
      const size = 1n << BigInt(bits - length);
      // Each begins where one of its size may begin.
      const address = ((at + size - 1n) / size) * size;
      if (address + size > end) throw wrong(site, number + 1, "there is no room left for this one");
      at = address + size;
      return networkText({ address, length, bits });
    });
  }),
};
