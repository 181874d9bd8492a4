/* imap/thread-impl.h: what the files of THREAD share. */
#ifndef IMAP_THREAD_IMPL_H
#define IMAP_THREAD_IMPL_H
#include "imap/thread.h"

/* From hashes to nodes; zeroed: empty. */
struct imap_thread_table {
	uint64_t *keys; /* 0: free */
	uint32_t *nodes;
	size_t n, mask;
};
/* The node of `key` (not 0), which may be changed; made with 0. */
uint32_t *imap_thread_slot(struct imap_thread_table *t, uint64_t key);
void imap_thread_table_fini(struct imap_thread_table *t);

/* Links messages by their references: t->parent of all nodes, of which *nnodes is the number.  Parents
 * that stand for no message are left only where they hold two or more together (steps 1 to 3). */
enum imap_threads_made
imap_threads_link(struct imap_threads *t, uint32_t *nnodes, bool (*stopped)(void));
#define IMAP_THREAD_STEP 8192 /* nodes between two looks whether to stop */
#endif
