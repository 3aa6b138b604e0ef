/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VIGILANT_SCRIBE_H
#define VIGILANT_SCRIBE_H

#include <pulse-u/pulse.h>

/*
 * The scribe is a process that counts every line said in any room. Lines lie
 * in a mailbox in shared memory, which outlives it: it can be killed at any
 * moment, and its successor counts each line once. It dies by order, too.
 */
struct scribe;

/* What the scribe has counted, over all its lives. */
struct scribe_book {
	uint64_t last;			/* number of the last line */
	uint64_t lines, words, bytes;
};

struct scribe *scribe_create(void);
void scribe_destroy(struct scribe *s);
/* The child, but for its id. */
void scribe_spec(struct scribe *s, struct pulse_child_spec *spec);
/* From any thread; may wait for room. 0 or why the line is not recorded. */
int scribe_record(struct scribe *s, const char *who, const char *line,
		  size_t len);
/* "segv", "abort", "exit" or "hang". 0, -EINVAL, or as pulse_shmbox_send(). */
int scribe_order(struct scribe *s, const char *way);
void scribe_read(struct scribe *s, struct scribe_book *book);
/* Lines that were given to it, and those that it has not taken yet. */
uint64_t scribe_given(struct scribe *s);
size_t scribe_backlog(struct scribe *s);
/* No more lines; waits until all are counted. 0 or -ETIMEDOUT. */
int scribe_finish(struct scribe *s, int64_t deadline_ns);

#endif /* VIGILANT_SCRIBE_H */
