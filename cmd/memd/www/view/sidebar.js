// @ts-check
/** The sidebar: folders as a tree with their counts, labels, space used. Conversations and folders can be dropped on folders. */
import { cls, html, useState } from "../kit/html.js";
import { Button } from "../kit/button.js";
import { Icon } from "../kit/icon.js";
import { Menu } from "../kit/menu.js";
import { Ask, Confirm } from "../kit/dialog.js";
import { useWatch } from "../kit/store.js";
import { t, words } from "../i18n/i18n.js";
import { why } from "../model/app.js";
import { blank } from "../model/compose.js";
import { size } from "../model/format.js";
import { badName, count, mayMove } from "../model/mailboxes.js";
import { write } from "../model/route.js";
import { shade } from "../model/address.js";
import { useMail } from "./context.js";
import { allLabels, logOut } from "./doing.js";
import { openHelp } from "./keys.js";
import { Brand } from "./login.js";

export const DRAG_ROWS = "application/x-tiermail-rows";
const DRAG_FOLDER = "application/x-tiermail-folder";

export function Sidebar() {
	const app = useMail();
	useWatch(app.scheduled);
	const nodes = app.boxes;
	const system = nodes.filter(n => n.box.role), own = nodes.filter(n => !n.box.role);
	const labels = allLabels(app);
	const kind = app.state.route.kind;
	return html`<nav class="sidebar" aria-label=${t("nav.label")}>
		<div class="brand"><${Brand} /></div>
		<button type="button" class="button primary compose-button" aria-label=${t("nav.compose")} title=${t("nav.compose") + " (c)"} onClick=${() => app.outbox.open(blank({ rich: app.settings.state.rich }))}>
			<${Icon} name="pen" /><span>${t("nav.compose")}</span></button>
		<div class="tree">
		${system.filter(n => !n.depth).slice(0, 1).map(n => html`<${Folder} key=${n.box.id} node=${n} />`)}
		<${Place} route=${{ kind: "flagged" }} icon="flag" label=${t("nav.flagged")} on=${kind === "flagged"} />
		${(app.scheduled.list.length > 0 || kind === "scheduled") && html`<${Place} route=${{ kind: "scheduled" }} icon="clock" label=${t("later.list")} on=${kind === "scheduled"}
			number=${app.scheduled.list.length} numberSays="later.number" />`}
		${system.filter((n, i) => i || n.depth).map(n => html`<${Folder} key=${n.box.id} node=${n} />`)}
		<div class="head"><h2>${t("nav.folders")}</h2><${Button} bare icon="plus" label=${t("folder.new")} onClick=${() => askNew(app, null)} /></div>
		${own.map(n => html`<${Folder} key=${n.box.id} node=${n} />`)}
		${labels.length > 0 && html`<div class="head"><h2>${t("nav.labels")}</h2></div>
			${labels.map(l => html`<${Place} key=${l} route=${{ kind: "label", value: l }} label=${l} on=${kind === "label" && app.state.route.value === l}
				dot=${`var(--a${shade({ email: l }, 8)})`} />`)}`}
		</div>
		<div class="foot">${app.quota && html`<${Quota} quota=${app.quota} />`}
			<div class="foot-buttons">${app.contacts.there && html`<${Button} bare icon="contacts" label=${t("contacts.title")} onClick=${() => app.go({ kind: "contacts", value: "" })} />`}
			<${Button} bare icon="settings" label=${t("nav.settings")} onClick=${() => app.go({ kind: "settings" })} />
			<${Button} bare icon="help" label=${t("nav.help")} key_="?" onClick=${() => openHelp(app)} />
			<${Button} bare icon="out" label=${t("login.out")} onClick=${() => void logOut(app)} /></div></div>
	</nav>`;
}

function Place({ route, icon, label, on, dot, number, numberSays, ...rest }) {
	const app = useMail();
	const go = e => {
		if (e.ctrlKey || e.metaKey || e.shiftKey || e.button)
			return;
		e.preventDefault();
		app.go(route);
	};
	return html`<a class=${cls("place", on && "on")} href=${write(route)} aria-current=${on ? "page" : undefined} title=${label} onClick=${go} ...${rest}>
		${dot ? html`<i class="dot" style=${{ background: dot }}></i>` : html`<${Icon} name=${icon} />`}<span class="name">${label}</span>
		${number > 0 && html`<b aria-label=${t(numberSays || "nav.unread", { n: number })}>${words.number.format(number)}</b>`}</a>`;
}

const ICONS = { inbox: "inbox", drafts: "doc", sent: "send", archive: "archive", junk: "junk", trash: "bin" };

function Folder({ node }) {
	const app = useMail();
	const [over, setOver] = useState(false);
	const box = node.box;
	const r = app.state.route;
	const takes = e => e.dataTransfer.types.includes(DRAG_ROWS) || e.dataTransfer.types.includes(DRAG_FOLDER);
	const drop = e => {
		e.preventDefault();
		setOver(false);
		const folder = e.dataTransfer.getData(DRAG_FOLDER);
		if (folder && mayMove(app.cache.all("Mailbox"), folder, box.id))
			void change(app, { update: { [folder]: { parentId: box.id } } });
		else if (!folder)
			app.moveTo(box.id, JSON.parse(e.dataTransfer.getData(DRAG_ROWS)));
	};
	const menu = e => {
		e.preventDefault();
		folderMenu(app, box, { x: e.clientX, y: e.clientY });
	};
	return html`<${Place} route=${{ kind: "box", value: box.id }} icon=${ICONS[box.role] || "folder"} label=${app.boxName(box)} number=${count(box)}
		on=${r.kind === "box" && r.value === box.id} data-over=${over || undefined} data-role=${box.role || undefined}
		style=${node.depth && !box.role ? { paddingInlineStart: `${10 + node.depth * 16}px` } : undefined}
		draggable=${!box.role} onDragStart=${e => e.dataTransfer.setData(DRAG_FOLDER, box.id)}
		onDragOver=${e => takes(e) && (e.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)} onDrop=${drop}
		onContextMenu=${menu} onKeyDown=${e => e.key === "F10" && e.shiftKey && (e.preventDefault(), folderMenu(app, box, e.currentTarget))} />`;
}

function Quota({ quota }) {
	const part = Math.min(1, quota.used / quota.hardLimit);
	const text = t("quota.used", { used: size(quota.used, words.intl), limit: size(quota.hardLimit, words.intl) });
	return html`<div class=${cls("quota", part > .9 && "near")}><span>${text}</span>
		<div class="bar" role="meter" aria-label=${t("quota.label")} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(part * 100)} aria-valuetext=${text}>
		<i style=${{ width: `${part * 100}%` }}></i></div></div>`;
}

/** A change of folders, shown when the server has made it. */
async function change(app, args) {
	try {
		const answer = await app.transport.call("Mailbox/set", args);
		const no = Object.values({ ...answer.notCreated, ...answer.notUpdated, ...answer.notDestroyed })[0];
		if (no)
			throw no;
		await app.sync();
		return answer;
	} catch (error) {
		app.toasts.say(t("folder.failed", { why: why(error) }), { failed: true });
		return null;
	}
}

const checkName = (app, parentId, except) => name => {
	const bad = badName(app.cache.all("Mailbox"), parentId, name, except);
	return bad && t(bad);
};

function askNew(app, parentId) {
	app.layers.open(Ask, {
		title: t("folder.new"), label: t("folder.name"), yes: t("folder.create"), no: t("act.cancel"), check: checkName(app, parentId),
		onYes: name => change(app, { create: { new: { name, parentId } } }),
	}, { kind: "dialog", label: t("folder.new") });
}

function folderMenu(app, box, at) {
	const rights = box.myRights || {};
	const items = [
		{ label: t("folder.markRead"), icon: "mailOpen", disabled: !box.unreadEmails, do: () => void markAll(app, box) },
		{ label: t("folder.newBelow"), icon: "plus", line: true, disabled: rights.mayCreateChild === false, do: () => askNew(app, box.id) },
		{ label: t("folder.rename"), icon: "pen", disabled: !!box.role || rights.mayRename === false, do: () => app.layers.open(Ask, {
			title: t("folder.rename"), label: t("folder.name"), value: box.name, yes: t("folder.save"), no: t("act.cancel"),
			check: checkName(app, box.parentId, box.id), onYes: name => change(app, { update: { [box.id]: { name } } }),
		}, { kind: "dialog", label: t("folder.rename") }) },
		...(box.role === "trash" || box.role === "junk" ? [{ label: t("folder.empty"), icon: "bin", danger: true, line: true, disabled: !box.totalEmails,
			do: () => askEmpty(app, box) }] : []),
		...(box.role ? [] : [{ label: t("folder.delete"), icon: "bin", danger: true, line: true, disabled: rights.mayDelete === false, do: () => askDelete(app, box) }]),
	];
	app.layers.open(Menu, { items }, { kind: "menu", at, label: app.boxName(box) });
}

/** All emails of a folder, some hundreds at a time. @param {(ids: string[]) => Promise<any>} each */
async function everyEmail(app, filter, each) {
	for (;;) {
		const got = await app.transport.call("Email/query", { filter, limit: 500 });
		if (!got.ids.length)
			return;
		const answer = await each(got.ids);
		if (Object.keys({ ...answer.notUpdated, ...answer.notDestroyed }).length)
			return;		/* what is refused would come again and again */
	}
}

async function markAll(app, box) {
	try {
		await everyEmail(app, { operator: "AND", conditions: [{ inMailbox: box.id }, { notKeyword: "$seen" }] }, ids =>
			app.transport.call("Email/set", { update: Object.fromEntries(ids.map(id => [id, { "keywords/$seen": true }])) }));
		await app.sync();
	} catch (error) {
		app.toasts.say(t("folder.failed", { why: why(error) }), { failed: true });
	}
}

function askEmpty(app, box) {
	app.layers.open(Confirm, {
		title: t("folder.reallyEmpty", { name: app.boxName(box) }), text: t("folder.emptySays", { n: box.totalEmails }), yes: t("folder.empty"),
		no: t("act.cancel"), danger: true, onYes: async () => {
			try {
				await everyEmail(app, { inMailbox: box.id }, ids => app.transport.call("Email/set", { destroy: ids }));
				await app.sync();
			} catch (error) {
				app.toasts.say(t("folder.failed", { why: why(error) }), { failed: true });
			}
		},
	}, { kind: "dialog", label: t("folder.empty") });
}

function askDelete(app, box) {
	app.layers.open(Confirm, {
		title: t("folder.reallyDelete", { name: box.name }), text: box.totalEmails ? t("folder.deleteSays", { n: box.totalEmails }) : undefined,
		yes: t("folder.delete"), no: t("act.cancel"), danger: true, onYes: async () => {
			const trash = app.role("trash");
			try {
				if (trash)
					await everyEmail(app, { inMailbox: box.id }, ids => app.transport.call("Email/set", {
						update: Object.fromEntries(ids.map(id => [id, { [`mailboxIds/${box.id}`]: null, [`mailboxIds/${trash.id}`]: true }])),
					}));
				const done = await change(app, { destroy: [box.id] });
				if (done && app.box === undefined)
					app.go({ kind: "box", value: app.role("inbox").id }, true);
			} catch (error) {
				app.toasts.say(t("folder.failed", { why: why(error) }), { failed: true });
			}
		},
	}, { kind: "dialog", label: t("folder.delete") });
}
