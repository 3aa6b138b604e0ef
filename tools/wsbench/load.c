// SPDX-License-Identifier: GPL-2.0-only
/*
 * load.c - threads, and the phases of a run: connect, warm up, measure, wait
 * for the last answers, end.
 *
 * With a rate a message has a time at which it is due, and its latency counts
 * from there: a server that stalls is not spared the messages that had to wait.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define EVENTS	256

struct run {
	pthread_barrier_t opened;
	bool failed;		/* a connection of some thread did not open */
	int64_t start;		/* by the thread that comes last to the barrier */
};

/* ---- messages ------------------------------------------------------------- */

/* When message n of this connection was due. */
static int64_t due_at(const struct conn *c, uint64_t n)
{
	const struct thread *t = c->th;

	return t->start + (int64_t)((double)(n * t->nr + c->index) / t->rate *
				    (double)NSEC_PER_SEC);
}

void conn_issue(struct conn *c)
{
	struct thread *t = c->th;
	uint64_t depth = t->plan->args->depth;
	uint64_t n = depth - (c->issued - c->answered);

	if (n > c->owed - c->issued)
		n = c->owed - c->issued;
	if (n > t->quota)
		n = t->quota;
	if (!n)
		return;
	t->quota -= n;
	t->under_way += n;
	for (uint64_t i = 0; i < n; i++, c->issued++)
		c->stamp[c->issued % depth] =
			(uint64_t)(t->rate ? due_at(c, c->issued) : t->now);
	conn_send(c);
}

void conn_answered(struct conn *c, uint64_t n)
{
	struct thread *t = c->th;
	uint64_t depth = t->plan->args->depth;
	bool counts = t->now >= t->from && t->now < t->until;

	t->under_way -= n;
	t->heard = t->now;
	if (counts) {
		t->n.messages += n;
		t->n.bytes += n * t->plan->args->size;
	}
	for (; n; n--, c->answered++)
		if (counts)
			pulse_histogram_record(t->latency, (uint64_t)t->now -
					       c->stamp[c->answered % depth]);
}

/* ---- a thread ------------------------------------------------------------- */

static void turn(struct thread *t, int64_t until)
{
	struct epoll_event ev[EVENTS];
	int64_t left = until - pulse_now_ns();
	struct timespec ts = { 0 };
	int n;

	if (left > 0 && !t->plan->args->spin) {
		ts.tv_sec = left / NSEC_PER_SEC;
		ts.tv_nsec = left % NSEC_PER_SEC;
	}
	n = epoll_pwait2(t->epfd, ev, EVENTS, &ts, NULL);
	t->now = pulse_now_ns();
	for (int i = 0; i < n; i++)
		conn_event(ev[i].data.ptr, ev[i].events);
}

static bool open_all(struct thread *t)
{
	const struct args *a = t->plan->args;
	int64_t late = pulse_now_ns() + a->timeout_ns;

	while (t->opened < t->nr && !t->n.refused && t->now < late) {
		conn_dial_more(t);
		turn(t, late);
	}
	if (t->opened == t->nr)
		return true;
	complain(t, "%u of %u connections are open after %.1f s", t->opened,
		 t->nr, (double)a->timeout_ns / (double)NSEC_PER_SEC);
	return false;
}

/* Hands out what is due; when the next one is. */
static int64_t pace(struct thread *t)
{
	uint64_t due = (uint64_t)((double)(t->now - t->start) * t->rate /
				  (double)NSEC_PER_SEC) + 1;

	for (; t->due < due && t->quota; t->due++) {
		struct conn *c = &t->conns[t->due % t->nr];

		c->owed++;
		if (c->state == CONN_OPEN)
			conn_issue(c);
	}
	return t->start + (int64_t)((double)t->due / t->rate *
				    (double)NSEC_PER_SEC);
}

static void measure(struct thread *t)
{
	const struct args *a = t->plan->args;
	int64_t until = t->until;

	for (uint32_t i = 0; i < t->nr && !t->rate && !a->idle; i++) {
		t->conns[i].owed = UINT64_MAX;
		conn_issue(&t->conns[i]);
	}
	t->heard = t->start;
	while ((t->now = pulse_now_ns()) < t->until && t->gone < t->nr &&
	       (a->idle || t->quota)) {
		/* A number of messages has no other end where answers fail. */
		if (a->messages && !t->rate) {
			until = t->heard + a->timeout_ns;
			if (t->now >= until)
				break;
		}
		if (t->rate && !a->idle) {
			until = pace(t);
			if (until > t->until)
				until = t->until;
		}
		turn(t, until);
	}
	t->quota = 0;
}

static void last_answers(struct thread *t)
{
	int64_t late = pulse_now_ns() + t->plan->args->timeout_ns;

	while (t->under_way && t->now < late)
		turn(t, late);
	if (!t->under_way)
		return;
	complain(t, "%llu answers are missing",
		 (unsigned long long)t->under_way);
	t->n.lost += t->under_way;
}

static void *body(void *arg)
{
	struct thread *t = arg;
	const struct args *a = t->plan->args;

	if (!open_all(t))
		__atomic_store_n(&t->run->failed, true, __ATOMIC_RELAXED);
	if (pthread_barrier_wait(&t->run->opened) ==
	    PTHREAD_BARRIER_SERIAL_THREAD)
		t->run->start = pulse_now_ns();
	pthread_barrier_wait(&t->run->opened);
	if (!__atomic_load_n(&t->run->failed, __ATOMIC_RELAXED)) {
		t->start = t->run->start;
		t->from = t->start + (a->messages ? 0 : a->warmup_ns);
		t->until = a->messages ? INT64_MAX : t->from + a->duration_ns;
		measure(t);
		last_answers(t);
		if (a->messages)
			t->until = t->heard;
	}
	for (uint32_t i = 0; i < t->nr; i++)
		conn_end(&t->conns[i]);
	return NULL;
}

/* ---- all of them ---------------------------------------------------------- */

static int thread_init(struct thread *t, struct run *run, const struct plan *p,
		       uint32_t i)
{
	const struct args *a = p->args;
	uint64_t *stamps;
	int err;

	t->plan = p;
	t->run = run;
	t->nr = a->connections / a->threads + (i < a->connections % a->threads);
	t->rate = a->rate / a->threads;
	t->quota = a->messages ? a->messages / a->threads +
		   (i < a->messages % a->threads) : UINT64_MAX;
	/*
	 * What is under way comes in one read, headers included: cut in two, it
	 * would be sent again in two, and so for ever.
	 */
	t->buf_bytes = 256 << 10;
	while (t->buf_bytes < 512 << 10 && t->buf_bytes < (a->size + 10) * a->depth)
		t->buf_bytes *= 2;
	while (t->buf_bytes < a->size && t->buf_bytes < 4 << 20)
		t->buf_bytes *= 2;
	t->buf = malloc(t->buf_bytes);
	t->conns = calloc(t->nr, sizeof(*t->conns));
	stamps = calloc((size_t)t->nr * a->depth, sizeof(*stamps));
	if (!t->buf || !t->conns || !stamps) {
		free(stamps);
		return -ENOMEM;
	}
	for (uint32_t k = 0; k < t->nr; k++) {
		t->conns[k].th = t;
		t->conns[k].index = k;
		t->conns[k].stamp = stamps + (size_t)k * a->depth;
	}
	err = check_init(t) ?: pulse_histogram_create(NULL, &t->latency);
	if (err)
		return err;
	t->epfd = epoll_create1(EPOLL_CLOEXEC);
	return t->epfd < 0 ? -errno : 0;
}

static void thread_free(struct thread *t)
{
	if (t->epfd > 0)
		close(t->epfd);
	if (t->conns)
		free(t->conns[0].stamp);
	free(t->conns);
	free(t->buf);
	check_free(t);
	if (t->latency)
		pulse_histogram_destroy(t->latency);
}

static void collect(struct result *r, const struct thread *t)
{
	double s = (double)(t->until - t->from) / (double)NSEC_PER_SEC;

	r->n.messages += t->n.messages;
	r->n.bytes += t->n.bytes;
	r->n.verified += t->n.verified;
	r->n.mismatched += t->n.mismatched;
	r->n.broken += t->n.broken;
	r->n.lost += t->n.lost;
	r->n.refused += t->n.refused;
	if (s > r->seconds)
		r->seconds = s;
	pulse_histogram_merge(r->latency, t->latency);
	if (!*r->why)
		memcpy(r->why, t->why, sizeof(r->why));
}

/* As many descriptors as the system lets us have. */
static void raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur == l.rlim_max)
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

int load_run(const struct plan *p, struct result *r)
{
	const struct args *a = p->args;
	struct thread *threads = calloc(a->threads, sizeof(*threads));
	struct run run = { .start = 0 };
	uint32_t i;
	int err;

	if (!threads)
		return -ENOMEM;
	raise_limit();
	pthread_barrier_init(&run.opened, NULL, a->threads);
	err = pulse_histogram_create(NULL, &r->latency);
	for (i = 0; i < a->threads && !err; i++)
		err = thread_init(&threads[i], &run, p, i);
	for (i = 0; i < a->threads && !err; i++)
		err = -pthread_create(&threads[i].id, NULL, body, &threads[i]);
	if (err && i > 1) {	/* those that run wait for the others for ever */
		fprintf(stderr, "pulse-wsbench: no thread: %s\n",
			pulse_strerror(err));
		exit(1);
	}
	for (i = 0; i < a->threads && !err; i++) {
		pthread_join(threads[i].id, NULL);
		collect(r, &threads[i]);
	}
	for (i = 0; i < a->threads; i++)
		thread_free(&threads[i]);
	pthread_barrier_destroy(&run.opened);
	free(threads);
	return err;
}
