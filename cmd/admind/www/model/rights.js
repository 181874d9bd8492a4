// @ts-check
/**
 * What somebody may do, as the API says it: GET /api/v1/verbs names for each verb the roles that have it, and the
 * settings that are closed to a role.  It is for what the screens show; slapd decides.  Pure.
 */

/** From the highest. */
export const ROLES = ["top", "provider", "organisation", "helpdesk"];

export class Rights {
	/** @param {{role: string, user: string, over?: string}[]} roles one's own @param {any[]} verbs */
	constructor(roles = [], verbs = []) {
		this.roles = roles;
		this.verbs = new Map(verbs.map(v => [`${v.object} ${v.verb}`, v]));
	}

	/** The highest role that counts for an organisation; "": none. @param {string} [org] @param {string} [provider] whose organisation it is */
	role(org, provider) {
		const counts = r => r.role === "top" || (r.role === "provider" ? !org || !provider || same(r.over, provider) : !org || same(r.over, org));
		return ROLES.find(name => this.roles.some(r => r.role === name && counts(r))) || "";
	}

	get administers() {
		return this.roles.length > 0;
	}

	/** The organisations that are somebody's alone; empty: all that are to be seen. */
	get own() {
		return this.roles.some(r => r.role === "top" || r.role === "provider") ? [] : [...new Set(this.roles.map(r => r.over || ""))];
	}

	/** @param {string} object @param {string} verb @param {string} [org] */
	may(object, verb, org) {
		const v = this.verbs.get(`${object} ${verb}`);
		const role = this.role(org);
		return !!v && !!role && v.roles.includes(role);
	}

	/** The settings that may be given. @param {string} object @param {string} verb @param {string} [org] @returns {Set<string>} */
	settings(object, verb, org) {
		const v = this.verbs.get(`${object} ${verb}`);
		const closed = (v && v.closed && v.closed[this.role(org)]) || [];
		return new Set(v && this.may(object, verb, org) ? v.settings.filter(s => !closed.includes(s)) : []);
	}
}

const same = (a, b) => (a || "").toLowerCase() === (b || "").toLowerCase();
