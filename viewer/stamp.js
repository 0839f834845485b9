// Writes what the built front end was built from: a test compares it, so that what is shipped is what stands here.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const names = [...readdirSync("src").map((name) => `src/${name}`), "public/index.html", "package.json", "vite.config.js"].sort();
const hash = createHash("sha256");
for (const name of names) hash.update(`${name}\0`).update(readFileSync(name)).update("\0");
writeFileSync("../lakehouse/viewing/front/built_from", `${hash.digest("hex")}\n`);
