// @ts-check
/**
 * A list of any length with as many nodes as the window shows and a few more.  Rows have one height, so a
 * row's place is a product; browsers cap an element's height (16 million pixels and more), which 100,000
 * rows of 80 stay below.  Rows are keyed by what they show, so that one that moves keeps its focus.
 */
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

const SPARE = 6;	/* rows above and below what shows */

/**
 * @param {{count: number, height: number, at: number, row: (n: number) => any, onRange: (first: number, last: number) => void,
 *	[x: string]: any}} props  at: the row that is kept in sight, -1 none
 */
export function VirtualList({ count, height, at, row, onRange, ...rest }) {
	const box = useRef(/** @type {any} */ (null));
	const [view, setView] = useState({ top: 0, high: 0 });
	const look = () => {
		const { scrollTop: top, clientHeight: high } = box.current;
		setView(v => (v.top === top && v.high === high ? v : { top, high }));
	};
	useLayoutEffect(() => {
		look();
		const watch = new ResizeObserver(look);
		watch.observe(box.current);
		return () => watch.disconnect();
	}, []);
	useLayoutEffect(() => {
		if (at < 0)
			return;
		const { scrollTop, clientHeight } = box.current;
		if (at * height < scrollTop)
			box.current.scrollTop = at * height;
		else if ((at + 1) * height > scrollTop + clientHeight)
			box.current.scrollTop = (at + 1) * height - clientHeight;
	}, [at, height]);
	const first = Math.max(0, Math.floor(view.top / height) - SPARE);
	const last = Math.min(count, Math.ceil((view.top + view.high) / height) + SPARE);
	useEffect(() => onRange(first, Math.max(last, first + 1)), [first, last]);
	const rows = [];
	for (let n = first; n < last; n++)
		rows.push(row(n));
	return html`<div class="rows" ref=${box} onScroll=${look} ...${rest}>
		<div class="all" role="presentation" style=${{ height: `${count * height}px` }}>
		<div class="some" role="presentation" style=${{ transform: `translateY(${first * height}px)` }}>${rows}</div></div></div>`;
}
