// Bun.serve, items.map in the handler.
const table = { squared: (x) => x * x, length: (s) => s.length, upper: (s) => s.toUpperCase(), echo: (x) => x };
const compiled = new Map();
const compile = (source) => compiled.get(source) ?? compiled.set(source, (0, eval)(source)).get(source);

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  async fetch(request) {
    const { function: name, js, items } = await request.json();
    const f = js ? compile(js) : table[name];
    return Response.json({ results: items.map((x) => f(x)) });
  },
});
