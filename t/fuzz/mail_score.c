/* Fuzz: a header with a filter's score. */
#include "base/must.h"
#include "mail/score.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char one[] = "1=a", five[] = "5=b";
	static char *texts[] = { one, five, NULL };
	struct slice in = slice((const char *)data, n);
	const char *why = NULL;

	for (int type = SCORE_NUMBER; type <= SCORE_TEXT; type++) {
		struct score_rule r;
		int percent;

		must(score_init(&r, (enum score_type)type, "X: (-?[0-9.]+|[ab])", "Y: /(.*)", "9.5",
			 texts, 5, &why) == 0);
		percent = score_find(&r, in);
		must(percent >= SCORE_NOT && percent <= (type == SCORE_TEXT ? 5 : 100));
		score_fini(&r);
	}
	return 0;
}
