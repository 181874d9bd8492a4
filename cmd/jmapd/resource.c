/* jmapd/resource.c: the session object (RFC 8620 2): what there is, where, and within which limits.
 *
 * It depends on the configuration and on whose it is alone; its state is a checksum of it, so that it is
 * the same in all workers and changes when the object does. */
#include "base/crc.h"
#include "base/json.h"
#include "contact.h"
#include "email.h"
#include "sieve.h"

static void
resource_core(struct buf *b)
{
	json_put_object(b, jmap_capabilities[0]);
	json_put_i64(b, "maxSizeUpload", config.upload);
	json_put_i64(b, "maxConcurrentUpload", config.requests);
	json_put_i64(b, "maxSizeRequest", config.request);
	json_put_i64(b, "maxConcurrentRequests", config.requests);
	json_put_i64(b, "maxCallsInRequest", config.calls);
	json_put_i64(b, "maxObjectsInGet", config.get);
	json_put_i64(b, "maxObjectsInSet", config.set);
	json_put_array(b, "collationAlgorithms");
	json_element(b);
	json_str(b, S("i;ascii-casemap"));
	json_element(b);
	json_str(b, S("i;unicode-casemap"));
	buf_lit(b, "]}");
}

/* RFC 8621 1.3.1 */
static void
resource_mail(struct buf *b, bool own)
{
	json_put_object(b, jmap_capabilities[1]);
	json_put_i64(b, "maxMailboxesPerEmail", EMAIL_MAILBOXES);
	json_put_i64(b, "maxMailboxDepth", STORE_DEPTH_MAX);
	json_put_i64(b, "maxSizeMailboxName", STORE_PART_MAX);
	json_put_i64(b, "maxSizeAttachmentsPerEmail", config.upload);
	json_put_array(b, "emailQuerySortOptions");
	for (const char *const *o = query_sort_options; *o; o++) {
		json_element(b);
		json_str(b, slice_str(*o));
	}
	buf_char(b, ']');
	json_put_bool(b, "mayCreateTopLevelMailbox", own);
	buf_char(b, '}');
}

/* 1.3.2 */
static void
resource_submission(struct buf *b)
{
	json_put_object(b, jmap_capabilities[2]);
	json_put_i64(b, "maxDelayedSend", config.hold_most / 1000);
	json_put_object(b, "submissionExtensions");
	if (config.hold_most > 0)
		buf_printf(b, "\"FUTURERELEASE\":[\"%lld\"]", (long long)config.hold_most / 1000);
	buf_lit(b, "}}");
}

/* Capabilities that have nothing to say, in the order of jmap_capabilities; the vacation (RFC 8621 1.3.3) first,
 * which is there where somebody may write into the directory. */
static const uint8_t resource_plain[] = { 3, 4, 6 };

static size_t
resource_plain_first(void)
{
	return jmapd.writer ? 0 : 1;
}

static void
resource_put_plain(struct buf *b)
{
	for (size_t i = resource_plain_first(); i < NELEM(resource_plain); i++) {
		json_put_object(b, jmap_capabilities[resource_plain[i]]);
		buf_char(b, '}');
	}
}

/* RFC 9404 3 */
static void
resource_blob(struct buf *b)
{
	json_put_object(b, jmap_capabilities[5]);
	json_put_i64(b, "maxSizeBlobSet", config.upload);
	json_put_i64(b, "maxDataSources", 1000);
	json_put_array(b, "supportedTypeNames");
	buf_lit(b, "\"Email\",\"Thread\",\"Mailbox\"]");
	json_put_array(b, "supportedDigestAlgorithms");
	buf_lit(b, "]}");
}

/* RFC 9661 1.2.1; where somebody may write into the directory */
static void
resource_sieve(struct buf *b, void (*write)(struct buf *b))
{
	if (!jmapd.rules)
		return;
	json_put_object(b, jmap_capabilities[7]);
	write(b);
	buf_char(b, '}');
}

/* Another's, who shares mailboxes with the user: RFC 8620 1.6.2, 2. */
static void
resource_shared(void *arg, struct slice owner)
{
	struct buf *b = arg, id = { 0 };

	jmap_account_id_write(&id, owner);
	json_put_object(b, buf_cstr(&id));
	buf_fini(&id);
	json_put_str(b, "name", owner);
	json_put_bool(b, "isPersonal", false);
	json_put_bool(b, "isReadOnly", false);
	json_put_object(b, "accountCapabilities");
	json_put_object(b, jmap_capabilities[0]);
	buf_char(b, '}');
	resource_mail(b, false);
	buf_lit(b, "}}");
}

/* RFC 9610 1.4.1; of an account (`full`), or of the server. */
static void
resource_contacts(struct buf *b, bool full)
{
	if (!jmapd.pab)
		return;
	json_put_object(b, jmap_capabilities[8]);
	if (full) {
		json_put_i64(b, "maxAddressBooksPerCard", CONTACT_BOOKS_MAX);
		json_put_bool(b, "mayCreateAddressBook", true);
	}
	buf_char(b, '}');
}

static void
resource_share(struct buf *b)
{
	json_put_object(b, jmap_capabilities[9]);
	buf_char(b, '}');
}

static void
resource_account(struct buf *b, const struct jmapd_user *u)
{
	json_put_object(b, "accounts");
	json_put_object(b, u->account_id);
	json_put_cstr(b, "name", u->account);
	json_put_bool(b, "isPersonal", true);
	json_put_bool(b, "isReadOnly", false);
	json_put_object(b, "accountCapabilities");
	json_put_object(b, jmap_capabilities[0]);
	buf_char(b, '}');
	resource_mail(b, true);
	resource_share(b);
	resource_submission(b);
	resource_put_plain(b);
	resource_blob(b);
	resource_sieve(b, script_account_write);
	resource_contacts(b, true);
	buf_lit(b, "}}");
	shared_each(u, resource_shared, b);
	buf_char(b, '}');
	json_put_object(b, "primaryAccounts");
	json_put_cstr(b, jmap_capabilities[0], u->account_id);
	json_put_cstr(b, jmap_capabilities[1], u->account_id);
	json_put_cstr(b, jmap_capabilities[2], u->account_id);
	json_put_cstr(b, jmap_capabilities[5], u->account_id);
	if (jmapd.rules)
		json_put_cstr(b, jmap_capabilities[7], u->account_id);
	for (size_t i = resource_plain_first(); i < NELEM(resource_plain); i++)
		json_put_cstr(b, jmap_capabilities[resource_plain[i]], u->account_id);
	if (jmapd.pab)
		json_put_cstr(b, jmap_capabilities[8], u->account_id);
	buf_char(b, '}');
	json_put_cstr(b, "username", u->account);
}

/* Everything but the addresses and the state. */
static void
resource_write(struct buf *b, const struct jmapd_user *u)
{
	json_put_object(b, "capabilities");
	resource_core(b);
	json_put_object(b, jmap_capabilities[1]);
	buf_char(b, '}');
	json_put_object(b, jmap_capabilities[2]);
	buf_char(b, '}');
	resource_put_plain(b);
	json_put_object(b, jmap_capabilities[5]);
	buf_char(b, '}');
	resource_sieve(b, script_capability_write);
	resource_contacts(b, false);
	resource_share(b);
	buf_char(b, '}');
	resource_account(b, u);
}

void
resource_state(struct buf *b, const struct jmapd_user *u)
{
	struct buf all = { 0 };

	buf_char(&all, '{');
	resource_write(&all, u);
	buf_printf(b, "%08x", crc32c(0, all.p, all.n));
	buf_fini(&all);
}

/* Where this request came to; a proxy in front writes its own. */
static void
resource_url(struct buf *b, struct session *s, const char *key, const char *path)
{
	struct buf url = { 0 };
	struct slice host = http_server_head(&s->http)->host;

	buf_str(&url, stream_secure(&s->http.line.io) ? "https://" : "http://");
	buf_slice(&url, host.n ? host : slice_str(shared.hostname));
	buf_str(&url, path);
	json_put_str(b, key, buf_get(&url));
	buf_fini(&url);
}

enum http_next
resource_get(struct session *s)
{
	struct buf b = { 0 }, state = { 0 };
	enum http_next next;

	buf_char(&b, '{');
	resource_write(&b, s->user);
	resource_url(&b, s, "apiUrl", "/jmap/api");
	resource_url(&b, s, "downloadUrl",
	    "/jmap/download/{accountId}/{blobId}/{name}?type={type}");
	resource_url(&b, s, "uploadUrl", "/jmap/upload/{accountId}/");
	resource_url(&b, s, "eventSourceUrl",
	    "/jmap/events?types={types}&closeafter={closeafter}&ping={ping}");
	resource_state(&state, s->user);
	json_put_str(&b, "state", buf_get(&state));
	buf_char(&b, '}');
	http_server_answer(&s->http, 200);
	http_server_field(&s->http, "Cache-Control", S("no-cache, no-store, must-revalidate"));
	next = http_server_content(&s->http, "application/json", buf_get(&b));
	buf_fini(&b);
	buf_fini(&state);
	return next;
}
