// Archives: read by another program, names that cannot leave their folder, none there twice.
import test from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { crc32, distinct, plainName, zip } from "../../../cmd/memd/www/model/zip.js";

const bytes = s => new TextEncoder().encode(s);

test("CRC-32: the check value of its definition", () => assert.equal(crc32(bytes("123456789")), 0xcbf43926));

test("an archive as Python reads it: bytes, names, time", () => {
	const big = Uint8Array.from({ length: 300000 }, (_, n) => n * 7);
	const files = [{ name: "a.txt", bytes: bytes("alpha") }, { name: "über.txt", bytes: bytes("") }, { name: "big", bytes: big }];
	const said = execFileSync("python3", ["-c", `import io, sys, zipfile, zlib
z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
print(z.testzip())
for i in z.infolist(): print(i.filename, i.file_size, i.compress_type, i.date_time, zlib.crc32(z.read(i)) == i.CRC)`],
	{ input: Buffer.concat(zip(files, new Date(2026, 10, 30, 20, 15, 42))), encoding: "utf8", env: { ...process.env, PYTHONIOENCODING: "utf8" } });
	const when = "(2026, 11, 30, 20, 15, 42)";
	assert.equal(said, `None\na.txt 5 0 ${when} True\nüber.txt 0 0 ${when} True\nbig 300000 0 ${when} True\n`);
});

test("names: no path, nothing hidden, each once", () => {
	assert.equal(plainName("../../etc/passwd"), "_.._etc_passwd");
	assert.equal(plainName("C:\\x.txt"), "C_x.txt");
	assert.equal(plainName("photo\u202egnp.exe\u0000"), "photognp.exe");
	assert.equal(plainName("..."), "file");
	assert.equal(plainName("a".repeat(500)).length, 120);
	assert.deepEqual(distinct(["a.txt", "A.txt", "a.txt", "a (2).txt"]), ["a.txt", "A (2).txt", "a (3).txt", "a (2) (2).txt"]);
});

test("more than an archive can be is said", () => {
	assert.throws(() => zip(Array.from({ length: 65536 }, () => ({ name: "a" + Math.random(), bytes: new Uint8Array() })), new Date()), RangeError);
});
