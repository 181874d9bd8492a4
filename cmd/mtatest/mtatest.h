/* mtatest.h: what the files of mtatest share. */
#ifndef MTATEST_H
#define MTATEST_H
#include "mta/channels.h"

enum { EXIT_NO = 1 }; /* undeliverable, or no match */

struct mtatest {
	bool json, explain, keywords, away;
	const char *conf, *mappings, *general; /* paths; NULL: beside tiermail.conf */
	const char *source, *dest, *as, *flags;
	const char *from, *auth, *size; /* expand: of whom the message would be */
	const char **local;             /* domains that are ours */
	size_t nlocal;

	struct mta_conf *rules;
	struct channels *channels; /* whose rules they are, when they were made */
	struct mta_general *generals;
	struct mta_calls calls;
	struct buf steps; /* what --explain gathers */
	struct buf out;
};
extern struct mtatest mtatest;

/* Each verb returns the exit code. */
int mtatest_rewrite(int argc, char **argv);
int mtatest_mapping(int argc, char **argv);
int mtatest_expand(int argc, char **argv);
int mtatest_conf(int argc, char **argv);

/* The file of an option, or NAME beside tiermail.conf; free it. */
char *mtatest_path(const char *given, const char *name);
/* The rules: of --conf, or mta.cnf, or where there is none made of channels.conf; owned by mtatest.  NULL
 * after saying what is wrong. */
const struct mta_conf *mtatest_load_conf(void);
/* mtatest.channels, of channels.conf and what stands beside it.  False after saying what is wrong. */
bool mtatest_load_channels(void);
/* Compiles the mappings into *m, NULL when the file is not there and was not asked for.  0, or
 * EX_CONFIG after saying what is wrong. */
int mtatest_load_mappings(struct mta_mappings **m);
int mtatest_load_general(void);
/* Says what was noted, errors and warnings. */
void mtatest_notes(struct mta_notes *n);
/* Gathers one step of an answer (mta_calls.step). */
void mtatest_step(void *arg, const struct mta_step *s);
/* Appends the steps to the output, for people or as a member of a JSON object. */
void mtatest_steps_put(void);
#endif
