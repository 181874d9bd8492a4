// What is vendored is what npm has, but for the line of the source map and one import: checked by both checksums.
import test from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { NPM } from "./lib/need.mjs";

const TOP = new URL("../../", import.meta.url);
const sha = bytes => createHash("sha256").update(bytes).digest("hex");

for (const folder of ["lib/web/www/kit/vendor/", "cmd/memd/www/vendor/"])
	test(folder, () => {
		const at = new URL(folder, TOP);
		const rows = readFileSync(new URL("MANIFEST", at), "utf8").split("\n").filter(l => l && !l.startsWith("#")).map(l => l.split(" "));
		assert.deepEqual(readdirSync(at).filter(f => /\.m?js$/.test(f)).sort(), rows.map(r => r[4]).sort(), "each file has its row");
		for (const [name, version, path, before, file, after] of rows) {
			const pack = new URL(`node_modules/${name}/`, NPM);
			assert.equal(JSON.parse(readFileSync(new URL("package.json", pack), "utf8")).version, version, name);
			const upstream = readFileSync(new URL(path, pack));
			assert.equal(sha(upstream), before, `${name}: what npm has`);
			const ours = upstream.toString().replace(/^\/\/# sourceMappingURL=.*\n?/gm, "").replace('from"preact"', 'from"./preact.mjs"');
			assert.equal(readFileSync(new URL(file, at), "utf8"), ours, file);
			assert.equal(sha(readFileSync(new URL(file, at))), after, `${file}: what we have`);
			assert.ok(existsSync(new URL(file.replace(/(hooks)?\.mjs$/, m => (m === "hooks.mjs" ? "preact" : "") + ".LICENSE"), at)), `${file}: its licence`);
		}
	});
