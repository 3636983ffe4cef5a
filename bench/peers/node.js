// Node's http with Piscina: one piece of the items for each thread.
const http = require("node:http");
const os = require("node:os");
const { Piscina } = require("piscina");

const threads = os.availableParallelism();
const pool = new Piscina({ filename: `${__dirname}/node_thread.js`, minThreads: threads, maxThreads: threads });

http.createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const { function: name, items } = JSON.parse(Buffer.concat(parts).toString());
  const size = Math.max(1, Math.ceil(items.length / threads));
  const runs = [];
  for (let at = 0; at < items.length; at += size) runs.push(pool.run({ name, items: items.slice(at, at + size) }));
  const text = JSON.stringify({ results: (await Promise.all(runs)).flat() });
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) }).end(text);
}).listen(Number(process.env.PORT), "127.0.0.1");
