/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bench.h - pulse-wsbench inside.
 *
 *	args.c    the command line
 *	plan.c    what is sent, and what must come back: built once, then only read
 *	conn.c    a connection: connect, handshake, sending
 *	check.c   what came, held against what was to come
 *	load.c    threads, and the phases of a run
 *	report.c  figures for people and as JSON
 *
 * A run's frames are made before it begins and lie one behind the other, so
 * that the generator sends any number of them with one call and compares an
 * answer with one memcmp(): it is to be faster than any server. Each message
 * has a number; message n is variant n modulo the number of variants, which
 * shows answers that are lost, doubled or out of order.
 */
#ifndef PULSE_WSBENCH_H
#define PULSE_WSBENCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <pulse-u/base.h>
#include <pulse-u/histogram.h>

#define NSEC_PER_SEC	1000000000LL
#define MAX_VARIANTS	8
#define OPEN_LIMIT	256	/* connects a thread has under way */

struct args {
	const char *url;
	char host[256];		/* as in the Host field */
	char path[1024];
	struct sockaddr_storage sa;
	socklen_t sa_len;
	bool raw;		/* tcp: without WebSocket */
	bool text, deflate, verify, json, idle, spin;
	uint32_t connections, depth, threads;
	uint64_t size, messages;
	double rate;		/* messages a second in all; 0: as fast as can be */
	int64_t duration_ns, warmup_ns, timeout_ns;
};

/* 0: go on; otherwise 1 + the exit status. */
int args_parse(struct args *a, int argc, char **argv);

/*
 * Frame n of a run of up to @depth frames that begins with variant v lies at
 * @at[v + n]; an array of (variants + depth) frames and the end.
 */
struct strip {
	uint8_t *bytes;
	size_t *at;
};

struct plan {
	const struct args *args;
	unsigned int variants;
	struct strip out;
	struct strip in;	/* NULL bytes: not known in advance */
	uint8_t *payload[MAX_VARIANTS];
	char *request;		/* of the handshake */
	size_t request_len;
};

int plan_make(struct plan *p, const struct args *a);
void plan_free(struct plan *p);

enum conn_state { CONN_NEW, CONN_DIAL, CONN_HEAD, CONN_OPEN, CONN_GONE };

struct conn {
	struct thread *th;
	int fd;
	uint8_t state;
	bool want_out;		/* waits until it can send */
	uint32_t index;		/* of the thread's connections */
	/* messages: owed >= issued >= sent, issued - answered <= depth */
	uint64_t owed, issued, sent, answered;
	size_t tx_off;		/* bytes of frame "sent" that are out */
	uint64_t *stamp;	/* of message n at [n % depth] */
	/* the answer under way */
	uint8_t hdr[14], hdr_len, op;
	bool in_frame, in_msg, fin, packed, wrong;
	uint64_t left, msg_off;
	uint8_t *part;		/* of a compressed one that came in pieces */
	size_t part_len, part_room;
	/* a pong that is owed; a head that is read */
	uint8_t ctl[131], ctl_len, ctl_off;
	char *head;
	uint32_t head_len;
};

struct figures {
	uint64_t messages, bytes, verified, mismatched, broken, lost, refused;
};

struct thread {
	const struct plan *plan;
	struct run *run;
	struct conn *conns;
	uint32_t nr, opened, dialing, next, gone;	/* opened: and not gone */
	int epfd;
	uint8_t *buf;
	size_t buf_bytes;
	int64_t now, start, from, until;	/* from, until: what counts */
	int64_t heard;			/* when the last answer came */
	uint64_t quota;			/* messages that may still be issued */
	uint64_t due;			/* messages that were due, with a rate */
	uint64_t under_way;
	double rate;			/* of this thread; 0: none */
	struct figures n;
	struct pulse_histogram *latency;
	struct unpack *unpack;
	char why[160];			/* the first thing that went wrong */
	pthread_t id;
};

/* conn.c */
/* Begins connections until enough are under way. */
void conn_dial_more(struct thread *t);
void conn_lost(struct conn *c, const char *why);
/* Sends what is issued, as far as it goes. */
void conn_send(struct conn *c);
/* Issues what is owed and may be under way, and sends it. */
void conn_issue(struct conn *c);
void conn_event(struct conn *c, uint32_t events);
void conn_end(struct conn *c);
void complain(struct thread *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* check.c */
/* False: the connection is of no use any more. */
bool check_bytes(struct conn *c, const uint8_t *p, size_t n);
int check_init(struct thread *t);
void check_free(struct thread *t);

/* load.c */
/* The next @n messages of a connection are answered. */
void conn_answered(struct conn *c, uint64_t n);
struct result {
	struct figures n;
	struct pulse_histogram *latency;
	double seconds;
	char why[160];
};
int load_run(const struct plan *p, struct result *r);

/* report.c */
void report(const struct args *a, const struct result *r);

#endif /* PULSE_WSBENCH_H */
