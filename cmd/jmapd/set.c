/* jmapd/set.c: what the /set methods share.  See set.h. */
#include "set.h"

void
set_answer_fini(struct set_answer *a)
{
	buf_fini(&a->created);
	buf_fini(&a->updated);
	buf_fini(&a->destroyed);
	buf_fini(&a->not_created);
	buf_fini(&a->not_updated);
	buf_fini(&a->not_destroyed);
}

static void
set_put(struct buf *b, const char *name, const struct buf *inside, char open, char close)
{
	json_key(b, name);
	if (inside->n == 0) {
		buf_lit(b, "null");
		return;
	}
	buf_char(b, open);
	buf_slice(b, buf_get(inside));
	buf_char(b, close);
}

enum call_next
set_answer_write(struct call *c, const struct set_answer *a, uint64_t new_state)
{
	call_answer(c);
	call_put_account(c);
	call_put_state(c, "oldState", a->old_state);
	call_put_state(c, "newState", new_state);
	return set_answer_lists(c, a);
}

enum call_next
set_answer_lists(struct call *c, const struct set_answer *a)
{
	struct buf *b = call_out(c);

	set_put(b, "created", &a->created, '{', '}');
	set_put(b, "updated", &a->updated, '{', '}');
	set_put(b, "destroyed", &a->destroyed, '[', ']');
	set_put(b, "notCreated", &a->not_created, '{', '}');
	set_put(b, "notUpdated", &a->not_updated, '{', '}');
	set_put(b, "notDestroyed", &a->not_destroyed, '{', '}');
	return call_end(c);
}

void
set_refuse(struct buf *list, struct slice id, const char *type, const char *property,
    const char *why)
{
	if (list->n)
		buf_char(list, ',');
	json_str(list, id);
	buf_lit(list, ":{");
	json_put_cstr(list, "type", type);
	if (property) {
		json_put_array(list, "properties");
		json_str(list, slice_str(property));
		buf_char(list, ']');
	}
	json_put_cstr(list, "description", why);
	buf_char(list, '}');
}

const char *
set_error_of(enum store_code code)
{
	switch (code) {
	case STORE_NOMAILBOX: return "notFound";
	case STORE_EXISTS: return "alreadyExists";
	case STORE_OVERQUOTA: return "overQuota";
	case STORE_LIMIT: return "tooManyKeywords";
	case STORE_BADNAME: return "invalidProperties";
	case STORE_CANNOT:
	case STORE_FORBIDDEN: return "forbidden";
	case STORE_DONE:
	case STORE_AWAY:
	case STORE_FULL:
	case STORE_FAILED:
	case STORE_REFUSED:
	case STORE_UNSUPPORTED:
	case STORE_DAMAGED:
	case STORE_UNSURE: break;
	}
	return "serverFail";
}

bool
set_args_read(struct call *c, struct set_args *a, enum call_next *next)
{
	size_t n;

	*a = (struct set_args){ .create = json_find(c->args, S("create")),
		.update = json_find(c->args, S("update")),
		.destroy = json_find(c->args, S("destroy")) };
	n = json_count(a->create) + json_count(a->update) + json_count(a->destroy);
	if ((!json_none(a->create) && !json_is(a->create, JSON_KIND_OBJECT)) ||
	    (!json_none(a->update) && !json_is(a->update, JSON_KIND_OBJECT)) ||
	    (!json_none(a->destroy) && !json_is(a->destroy, JSON_KIND_ARRAY))) {
		*next = call_invalid(c, "create and update are objects, destroy is an array");
		return false;
	}
	for (size_t i = 0; i < json_count(a->destroy); i++)
		if (!json_is(json_at(a->destroy, i), JSON_KIND_STR)) {
			*next = call_invalid(c, "destroy: an array of ids");
			return false;
		}
	if (n <= (size_t)config.set)
		return true;
	*next = call_error(c, "requestTooLarge", "more objects than maxObjectsInSet");
	return false;
}

bool
set_destroys(const struct set_args *a, struct slice id)
{
	for (size_t i = 0; i < json_count(a->destroy); i++)
		if (slice_eq(json_text(json_at(a->destroy, i)), id))
			return true;
	return false;
}
