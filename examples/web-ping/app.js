// biome-ignore-all lint/style/useNodejsImportProtocol: a base image may hold a Node.js that does not know `node:`.

// Sends one request to a server every few seconds and prints how long the answer took.
// Settings come from the environment: TARGET (a host name, or an address that begins with http:// or https://),
// METHOD and INTERVAL (milliseconds).
const http = require("http");
const https = require("https");

const target = process.env.TARGET || "blog.sixeyed.com";
const method = process.env.METHOD || "HEAD";
const interval = Number(process.env.INTERVAL || 3000);

const address = new URL(target.includes("://") ? target : `https://${target}`);
const client = address.protocol === "http:" ? http : https;

console.log("** web-ping ** Pinging: %s; method: %s; %dms intervals", target, method, interval);

let count = 0;

function ping() {
  count += 1;
  const started = Date.now();
  console.log("Making request number: %d; at %d", count, started);
  const request = client.request(address, { method, timeout: 30000 }, (response) => {
    const now = Date.now();
    console.log("Got response status: %d at %d; duration: %dms", response.statusCode, now, now - started);
    response.resume();
  });
  request.on("timeout", () => request.destroy(new Error("no answer within 30 seconds")));
  request.on("error", (error) => console.log("Request failed: %s", error.message || error.code));
  request.end();
}

const timer = setInterval(ping, interval);

// As the first process of a container there is no default action for these signals.
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    clearInterval(timer);
    process.exit(0);
  });
}
