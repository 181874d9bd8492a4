// @ts-check
/**
 * A QR code (ISO/IEC 18004) of a short text, for a camera beside the screen: octets of UTF-8, error correction M, versions
 * 1 to 15 (412 octets).  Pure: a text in, rows of dark modules out.  t/www/model/qr.mjs has it read by another program.
 */

/** Codewords of error correction of a block, and blocks, by version, of level M. */
const ECC = [0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24];
const BLOCKS = [0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10];

/** Modules that data and error correction have: all but the patterns. @param {number} v */
function room(v) {
	const lines = Math.floor(v / 7) + 2;
	return (16 * v + 128) * v + 64 - (v > 1 ? (25 * lines - 10) * lines - 55 : 0) - (v > 6 ? 36 : 0);
}

/** Octets of data. @param {number} v */
const capacity = v => Math.floor(room(v) / 8) - ECC[v] * BLOCKS[v];

/** GF(2^8) with x^8 + x^4 + x^3 + x^2 + 1. @param {number} x @param {number} y */
function times(x, y) {
	let z = 0;
	for (let i = 7; i >= 0; i--)
		z = ((z << 1) ^ ((z >>> 7) * 0x11d)) ^ (((y >>> i) & 1) * x);
	return z;
}

/** What is left of data by the generator polynomial. @param {number[]} data @param {number} n */
function correction(data, n) {
	const generator = new Array(n - 1).fill(0).concat(1);
	for (let i = 0, root = 1; i < n; i++, root = times(root, 2))
		for (let k = 0; k < n; k++)
			generator[k] = times(generator[k], root) ^ (generator[k + 1] ?? 0);
	const left = new Array(n).fill(0);
	for (const octet of data) {
		const factor = octet ^ left.shift();
		left.push(0);
		generator.forEach((g, i) => { left[i] ^= times(g, factor); });
	}
	return left;
}

/** Octets in their order: blocks of data, the longer last, woven, then their corrections. @param {number[]} data @param {number} v */
function weave(data, v) {
	const all = Math.floor(room(v) / 8), short = BLOCKS[v] - all % BLOCKS[v], size = Math.floor(all / BLOCKS[v]) - ECC[v];
	/** @type {number[][]} */
	const blocks = [];
	for (let i = 0, at = 0; i < BLOCKS[v]; at += blocks[i++].length)
		blocks.push(data.slice(at, at + size + (i < short ? 0 : 1)));
	const corrections = blocks.map(b => correction(b, ECC[v]));
	const out = [];
	for (let i = 0; i <= size; i++)
		for (const b of blocks)
			if (i < b.length)
				out.push(b[i]);
	for (let i = 0; i < ECC[v]; i++)
		for (const c of corrections)
			out.push(c[i]);
	return out;
}

/** Mode, length, octets, padding. @param {Uint8Array} text @param {number} v */
function octets(text, v) {
	const bits = [];
	const put = (value, n) => { for (let i = n - 1; i >= 0; i--) bits.push((value >>> i) & 1); };
	put(4, 4);
	put(text.length, v < 10 ? 8 : 16);
	text.forEach(x => put(x, 8));
	put(0, Math.min(4, capacity(v) * 8 - bits.length));
	put(0, (8 - bits.length % 8) % 8);
	for (let pad = 0xec; bits.length < capacity(v) * 8; pad ^= 0xec ^ 0x11)
		put(pad, 8);
	const out = [];
	for (let i = 0; i < bits.length; i += 8)
		out.push(bits.slice(i, i + 8).reduce((x, b) => x << 1 | b, 0));
	return out;
}

/** @type {((x: number, y: number) => boolean)[]} */
const MASKS = [
	(x, y) => (x + y) % 2 === 0, (_, y) => y % 2 === 0, x => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
	(x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0, (x, y) => x * y % 2 + x * y % 3 === 0,
	(x, y) => (x * y % 2 + x * y % 3) % 2 === 0, (x, y) => ((x + y) % 2 + x * y % 3) % 2 === 0,
];

/** Remainder of a code that checks itself. @param {number} value @param {number} n @param {number} by */
function check(value, n, by) {
	let left = value;
	for (let i = 0; i < n; i++)
		left = (left << 1) ^ ((left >>> (n - 1)) * by);
	return value << n | left;
}

class Grid {
	/** @param {number} v */
	constructor(v) {
		this.version = v;
		this.size = v * 4 + 17;
		this.dark = Array.from({ length: this.size }, () => new Array(this.size).fill(false));
		this.fixed = Array.from({ length: this.size }, () => new Array(this.size).fill(false));
	}
	set(x, y, dark) {
		if (x >= 0 && y >= 0 && x < this.size && y < this.size) {
			this.dark[y][x] = dark;
			this.fixed[y][x] = true;
		}
	}
	/** Rings around a middle. */
	rings(cx, cy, n, light) {
		for (let dy = -n; dy <= n; dy++)
			for (let dx = -n; dx <= n; dx++)
				this.set(cx + dx, cy + dy, !light.includes(Math.max(Math.abs(dx), Math.abs(dy))));
	}
	patterns() {
		const n = this.size, v = this.version;
		for (let i = 0; i < n; i++) {
			this.set(6, i, i % 2 === 0);
			this.set(i, 6, i % 2 === 0);
		}
		for (const [x, y] of [[3, 3], [n - 4, 3], [3, n - 4]])
			this.rings(x, y, 4, [2, 4]);
		const lines = v > 1 ? Math.floor(v / 7) + 2 : 0, step = Math.ceil((v * 4 + 4) / (lines * 2 - 2)) * 2;
		const at = Array.from({ length: lines }, (_, i) => i === 0 ? 6 : n - 7 - (lines - 1 - i) * step);
		at.forEach((x, i) => at.forEach((y, k) => {
			if (!(i === 0 && k === 0) && !(i === 0 && k === lines - 1) && !(i === lines - 1 && k === 0))
				this.rings(x, y, 2, [1]);
		}));
		const bits = check(v, 12, 0x1f25);
		for (let i = 0; v > 6 && i < 18; i++) {
			const x = n - 11 + i % 3, y = Math.floor(i / 3);
			this.set(x, y, (bits >>> i & 1) === 1);
			this.set(y, x, (bits >>> i & 1) === 1);
		}
	}
	/** Level M is 0. */
	format(mask) {
		const bits = check(mask, 10, 0x537) ^ 0x5412, n = this.size, bit = i => (bits >>> i & 1) === 1;
		for (let i = 0; i < 15; i++) {
			this.set(8, i < 6 ? i : i < 8 ? i + 1 : n - 15 + i, bit(i));
			this.set(i < 8 ? n - 1 - i : i < 9 ? 7 : 14 - i, 8, bit(i));
		}
		this.set(8, n - 8, true);
	}
	fill(data) {
		let i = 0;
		for (let right = this.size - 1; right > 0; right -= right === 8 ? 3 : 2) {
			const up = ((right + 1) & 2) === 0;
			for (let k = 0; k < this.size; k++)
				for (const x of [right, right - 1]) {
					const y = up ? this.size - 1 - k : k;
					if (this.fixed[y][x])
						continue;
					this.dark[y][x] = i < data.length * 8 && (data[i >>> 3] >>> (7 - (i & 7)) & 1) === 1;
					i++;
				}
		}
	}
	masked(mask) {
		for (let y = 0; y < this.size; y++)
			for (let x = 0; x < this.size; x++)
				this.dark[y][x] = this.dark[y][x] !== (!this.fixed[y][x] && MASKS[mask](x, y));
	}
	/** How much it could be taken for something else: runs, squares, what looks like a finder, too much of one. */
	penalty() {
		const n = this.size;
		let sum = 0, dark = 0;
		for (let y = 0; y < n; y++)
			for (const line of [this.dark[y], this.dark.map(r => r[y])]) {
				const text = line.map(d => d ? "1" : "0").join("");
				for (const run of text.match(/0{5,}|1{5,}/g) ?? [])
					sum += run.length - 2;
				for (let i = 0; i + 11 <= n; i++)
					sum += /^(00001011101|10111010000)/.test(text.slice(i)) ? 40 : 0;
			}
		for (let y = 0; y < n; y++)
			for (let x = 0; x < n; x++) {
				dark += this.dark[y][x] ? 1 : 0;
				if (x && y && this.dark[y][x] === this.dark[y - 1][x] && this.dark[y][x] === this.dark[y][x - 1] && this.dark[y][x] === this.dark[y - 1][x - 1])
					sum += 3;
			}
		return sum + Math.floor(Math.abs(dark * 20 - n * n * 10) / (n * n)) * 10;
	}
}

/** Rows of modules, true where it is dark, without the quiet border of four; null: the text is too long. @param {string} text */
export function qr(text) {
	const plain = new TextEncoder().encode(text);
	let v = 1;
	while (v < ECC.length && plain.length + (v < 10 ? 2 : 3) > capacity(v))
		v++;
	if (v === ECC.length)
		return null;
	const grid = new Grid(v);
	grid.patterns();
	grid.format(0);
	grid.fill(weave(octets(plain, v), v));
	let best = 0, least = Infinity;
	for (let mask = 0; mask < 8; mask++) {
		grid.masked(mask);
		grid.format(mask);
		const p = grid.penalty();
		if (p < least) {
			least = p;
			best = mask;
		}
		grid.masked(mask);
	}
	grid.masked(best);
	grid.format(best);
	return grid.dark;
}
