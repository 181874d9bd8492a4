// @ts-check
/**
 * Files as one archive (PKWARE APPNOTE 4.3): stored, not compressed, since attachments mostly are already; names in
 * UTF-8 (general purpose bit 11).  What a sender has called a file is made a name without folders, and each name is
 * there once.  Without ZIP64: 4 GB and 65,535 files are far above what a message can be.
 */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
	for (let k = 0; k < 8; k++)
		n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
	return n >>> 0;
});

/** @param {Uint8Array} bytes @returns {number} CRC-32 (ISO 3309) */
export function crc32(bytes) {
	let c = 0xffffffff;
	for (const b of bytes)
		c = TABLE[(c ^ b) & 255] ^ (c >>> 8);
	return (c ^ 0xffffffff) >>> 0;
}

/** A name that is no path, hides nothing and is fit for every system. @param {string} name */
export function plainName(name) {
	const s = name.normalize("NFC").replace(/[\p{Cc}\p{Cf}]/gu, "").replace(/[\\/:*?"<>|]+/g, "_").replace(/^[.\s]+|[.\s]+$/g, "").slice(0, 120);
	return s || "file";
}

/** Each of the names once: "a.txt", "a (2).txt". @param {string[]} names */
export function distinct(names) {
	const seen = new Set();
	return names.map(plainName).map(name => {
		const [, stem, ext] = /** @type {RegExpExecArray} */ (/^(.*?)(\.[^.]*)?$/s.exec(name));
		let now = name;
		for (let n = 2; seen.has(now.toLowerCase()); n++)
			now = `${stem} (${n})${ext || ""}`;
		seen.add(now.toLowerCase());
		return now;
	});
}

/** Time and date of MS-DOS, as the archive has them: local, in steps of two seconds. @param {Date} at */
const dos = at => [at.getHours() << 11 | at.getMinutes() << 5 | at.getSeconds() >> 1,
	(Math.max(1980, at.getFullYear()) - 1980) << 9 | (at.getMonth() + 1) << 5 | at.getDate()];

/** Numbers, little endian: [value, octets]. @param {[number, number][]} list */
function record(list) {
	const out = new Uint8Array(list.reduce((n, [, size]) => n + size, 0));
	let at = 0;
	for (const [value, size] of list)
		for (let k = 0; k < size; k++)
			out[at++] = value / 2 ** (8 * k) & 255;
	return out;
}

/**
 * @param {{name: string, bytes: Uint8Array}[]} files @param {Date} at
 * @returns {Uint8Array[]} the archive in pieces; the files' own bytes are among them, not copied
 */
export function zip(files, at) {
	const names = distinct(files.map(f => f.name)), text = new TextEncoder();
	const out = [], central = [];
	let offset = 0, length = 0;
	files.forEach(({ bytes }, n) => {
		const name = text.encode(names[n]), size = bytes.length;
		/** @type {[number, number][]} version needed, flags, stored, time, date, CRC, both sizes, length of the name, of extras */
		const both = [[20, 2], [0x800, 2], [0, 2], [dos(at)[0], 2], [dos(at)[1], 2], [crc32(bytes), 4], [size, 4], [size, 4], [name.length, 2], [0, 2]];
		const local = record([[0x04034b50, 4], ...both]);
		/* Made by, as above, no comment, disk 0, attributes, where it begins. */
		const head = record([[0x02014b50, 4], [20, 2], ...both, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]);
		out.push(local, name, bytes);
		central.push(head, name);
		offset += local.length + name.length + size;
		length += head.length + name.length;
	});
	if (offset + length > 0xffffffff || files.length > 0xffff)
		throw new RangeError("too much for an archive without ZIP64");
	return [...out, ...central, record([[0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [length, 4], [offset, 4], [0, 2]])];
}
