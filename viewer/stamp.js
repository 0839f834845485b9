// Writes what the built front end was built from: a test compares it, so that what is shipped is what stands here.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const names = [...readdirSync("src").map((name) => `src/${name}`), "public/index.html", "package.json", "vite.config.js"].sort();
const hash = createHash("sha256");
for (const name of names) hash.update(`${name}\0`).update(readFileSync(name)).update("\0");
writeFileSync("../lakehouse/viewing/front/built_from", `${hash.digest("hex")}\n`);

// What the tests look for faults with; those who run them need no Node.
writeFileSync("../tests/viewing/axe.min.js.gz", gzipSync(readFileSync("node_modules/axe-core/axe.min.js"), { level: 9 }));
