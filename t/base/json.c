/* JSON that any reader takes, whatever the bytes are. */
#include "../tap.h"
#include "base/json.h"

int
main(void)
{
	struct buf b = { 0 };

	buf_char(&b, '{');
	json_put_cstr(&b, "a", "x\"y\\z");
	json_put_cstr(&b, "none", NULL);
	json_put_i64(&b, "n", -5);
	json_put_str(&b, "ctl", S("\x01\n\t\x7f"));
	json_put_str(&b, "utf8", S("gr\xc3\xbc\xc3\x9f"));
	json_put_str(&b, "bad", S("a\xff\xc3"));
	buf_char(&b, '}');
	is(buf_cstr(&b),
	    "{\"a\":\"x\\\"y\\\\z\",\"n\":-5,\"ctl\":\"\\u0001\\n\\t\\u007f\","
	    "\"utf8\":\"gr\xc3\xbc\xc3\x9f\",\"bad\":\"a\xef\xbf\xbd\xef\xbf\xbd\"}",
	    "an object");
	buf_clear(&b);
	buf_char(&b, '{');
	json_put_bool(&b, "t", true);
	json_put_object(&b, "o");
	json_put_null(&b, "n");
	json_put_utc(&b, "at", 951782400);
	buf_char(&b, '}');
	json_put_array(&b, "a");
	json_element(&b);
	json_str(&b, S("x"));
	json_element(&b);
	json_utc(&b, -1);
	buf_lit(&b, "]}");
	is(buf_cstr(&b),
	    "{\"t\":true,\"o\":{\"n\":null,\"at\":\"2000-02-29T00:00:00Z\"},"
	    "\"a\":[\"x\",\"1969-12-31T23:59:59Z\"]}",
	    "objects in objects, arrays, dates");
	buf_clear(&b);
	json_chars(&b, S("plain \"q\" \\\n\x01\xc3\xa4"));
	json_chars(&b,
	    S("\xff"
	      "more"));
	is(buf_cstr(&b), "plain \\\"q\\\" \\\\\\n\\u0001\xc3\xa4\xef\xbf\xbdmore",
	    "a string in pieces");
	buf_fini(&b);
	return done();
}
