// npm packages of the tests: pinned by package-lock.json, fetched by scripts/deps www into build/npm.
import { createRequire } from "node:module";

export const NPM = new URL("../../../build/npm/", import.meta.url);
export const need = createRequire(new URL("package.json", NPM));
