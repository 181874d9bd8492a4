/* tiermail-load/figures.c: how long each step took: in buckets, so that a run of a day takes no more memory than
 * one of a second, and the slowest of a thousand is still told to 3 %. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"
#include "load.h"

#define FIGURES_MOST 16 /* steps of a profile */

static struct figures all[FIGURES_MOST];
static size_t nall;

static struct figures *
figures_get(const char *name)
{
	for (size_t i = 0; i < nall; i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	must(nall < FIGURES_MOST);
	all[nall].name = name;
	return &all[nall++];
}

/* Below 32 each has a bucket; above, 32 for each power of two. */
static size_t
figures_bucket(uint64_t us)
{
	unsigned shift;

	if (us < 32)
		return (size_t)us;
	shift = (unsigned)(63 - __builtin_clzll(us)) - 5;
	return (shift + 1) * 32 + (size_t)((us >> shift) & 31);
}

/* The largest value of a bucket. */
static uint64_t
figures_top(size_t bucket)
{
	unsigned shift;

	if (bucket < 32)
		return bucket;
	shift = (unsigned)(bucket / 32) - 1;
	return ((32 + bucket % 32 + 1) << shift) - 1;
}

void
figures_add(const char *name, uint64_t us)
{
	struct figures *f = figures_get(name);

	f->n++;
	f->bucket[figures_bucket(us)]++;
	if (us > f->max)
		f->max = us;
}

void
figures_fail(const char *name)
{
	figures_get(name)->failed++;
}

uint64_t
figures_at(const struct figures *f, unsigned per_mille)
{
	uint64_t rank = (f->n * per_mille + 999) / 1000, seen = 0;

	for (size_t i = 0; i < FIGURES_BUCKETS; i++) {
		seen += f->bucket[i];
		if (seen >= rank && seen > 0)
			return figures_top(i) < f->max ? figures_top(i) : f->max;
	}
	return f->max;
}

static double
figures_ms(uint64_t us)
{
	return (double)us / 1000;
}

void
figures_print(struct buf *out)
{
	buf_printf(out, "%-10s %10s %8s %10s %10s %10s %10s\n", "", "count", "failed", "p50 ms",
	    "p99 ms", "p99.9 ms", "max ms");
	for (size_t i = 0; i < nall; i++) {
		const struct figures *f = &all[i];

		buf_printf(out, "%-10s %10llu %8llu %10.2f %10.2f %10.2f %10.2f\n", f->name,
		    (unsigned long long)f->n, (unsigned long long)f->failed,
		    figures_ms(figures_at(f, 500)), figures_ms(figures_at(f, 990)),
		    figures_ms(figures_at(f, 999)), figures_ms(f->max));
	}
}

void
figures_json(struct buf *out)
{
	buf_lit(out, "[");
	for (size_t i = 0; i < nall; i++) {
		const struct figures *f = &all[i];

		buf_str(out, i ? ",{" : "{");
		json_put_cstr(out, "step", f->name);
		json_put_i64(out, "count", (int64_t)f->n);
		json_put_i64(out, "failed", (int64_t)f->failed);
		json_put_i64(out, "p50_us", (int64_t)figures_at(f, 500));
		json_put_i64(out, "p99_us", (int64_t)figures_at(f, 990));
		json_put_i64(out, "p999_us", (int64_t)figures_at(f, 999));
		json_put_i64(out, "max_us", (int64_t)f->max);
		buf_lit(out, "}");
	}
	buf_lit(out, "]");
}
