// QR codes of kit/qr.js, read by jsQR from npm, which we have not written: each version, letters that need UTF-8, the link
// that an authenticator is to have.
import test from "node:test";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { NPM } from "../lib/need.mjs";
import { qr } from "../../../lib/web/www/kit/qr.js";

/** As a picture of 4 octets a pixel, `scale` pixels a module, with its quiet border. */
function picture(rows, scale) {
	const n = (rows.length + 8) * scale, data = new Uint8ClampedArray(n * n * 4).fill(255);
	for (let y = 0; y < n; y++)
		for (let x = 0; x < n; x++)
			if (rows[Math.floor(y / scale) - 4]?.[Math.floor(x / scale) - 4])
				data.set([0, 0, 0], (y * n + x) * 4);
	return [data, n, n];
}

let jsQR = null;
try {
	jsQR = createRequire(NPM)("jsqr");
} catch { /* not installed */ }

test("sizes: the version that is enough, and none beyond", () => {
	assert.equal(qr("x").length, 21);
	assert.equal(qr("x".repeat(14)).length, 21, "version 1 has 14 octets of level M");
	assert.equal(qr("x".repeat(15)).length, 25);
	assert.equal(qr("x".repeat(412)).length, 15 * 4 + 17);
	assert.equal(qr("x".repeat(413)), null);
});
test("read by jsQR", { skip: !jsQR && "no jsqr: scripts/deps web" }, () => {
	const read = jsQR.default ?? jsQR, uri = "otpauth://totp/admin.example.org:anna@example.org?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=admin.example.org&algorithm=SHA1&digits=6&period=30";
	let seed = 7;
	const random = n => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor(seed / 65536) % n; };
	const texts = [uri, "a", "\u00fc\u4e2d\u{1f353} \u00df"];
	for (let n = 1; n <= 412; n += 17)
		texts.push(Array.from({ length: n }, () => String.fromCharCode(33 + random(94))).join(""));
	for (const text of texts) {
		const got = read(...picture(qr(text), 3));
		assert.equal(got && got.data, text, `${text.length} octets`);
	}
});
