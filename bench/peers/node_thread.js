// What each Piscina thread of node.js runs.
const table = { squared: (x) => x * x, length: (s) => s.length, upper: (s) => s.toUpperCase(), echo: (x) => x };
module.exports = ({ name, items }) => items.map((x) => table[name](x));
