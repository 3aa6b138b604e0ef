// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accepting and connecting by io_uring's own requests: many at once, given up in
 * flight, out of descriptors, and handed from thread to thread.
 */
#include "ends.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define MANY	100

static struct pulse_transport *taken[4 * MANY];
static int nr_taken;

static void keep_it(struct pulse_listener *l, struct pulse_transport *t, void *arg)
{
	(void)l;
	(void)arg;
	if (nr_taken < (int)ARRAY_SIZE(taken))
		taken[nr_taken++] = t;
	else
		pulse_transport_close(t, true);
}

static void drop_taken(void)
{
	while (nr_taken)
		pulse_transport_close(taken[--nr_taken], true);
}

static void loop_of(uint32_t max_events)
{
	PULSE_OPTS(pulse_poller_opts, po, .kind = PULSE_POLLER_IO_URING,
		   .max_events = max_events);
	PULSE_OPTS(pulse_listener_opts, lo, .address = "127.0.0.1:0");
	int err = pulse_poller_create(&po, &poller);

	if (err == -ENOSYS || err == -EPERM)
		KT_SKIP("io_uring is not to be had");
	KT_EQ(err, 0);
	KT_EQ(pulse_listener_open(poller, &lo, keep_it, NULL, &listener), 0);
	KT_EQ(pulse_listener_address(listener, where, sizeof(where)), 0);
}

#define BEGIN(max_events)						\
	do {								\
		loop_of(max_events);					\
		if (!poller)						\
			return;						\
	} while (0)

static void finish(void)
{
	drop_taken();
	if (listener)
		KT_EQ(pulse_listener_close(listener), 0);
	listener = NULL;
	KT_EQ(pulse_poller_destroy(poller), 0);
	poller = NULL;
}

static int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* A socket of the system's own, connected to the listener's backlog. */
static int knock(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)atoi(strrchr(where, ':') + 1)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		close(fd);
		return -errno;
	}
	return fd < 0 ? -errno : fd;
}

struct dialler {
	struct pulse_transport *t;
	int opened, failed, err;
};

static void on_dial(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct dialler *d = arg;

	if (events & PULSE_TRANSPORT_OPEN)
		d->opened++;
	if (events & PULSE_TRANSPORT_ERROR) {
		d->failed++;
		d->err = pulse_transport_error(t);
	}
}

static void dial_to(struct dialler *d, const char *address, int64_t deadline_ns)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = address,
		   .deadline_ns = deadline_ns);

	*d = (struct dialler){ 0 };
	KT_EQ(pulse_transport_connect(poller, &co, on_dial, d, &d->t), 0);
}

KT_TEST(many_at_once_are_connected_and_accepted_each_once)
{
	static struct dialler d[MANY];
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };
	int opened = 0;

	BEGIN(0);
	for (int i = 0; i < MANY; i++)
		dial_to(&d[i], where, 0);
	UNTIL(nr_taken == MANY);
	UNTIL(({
		opened = 0;
		for (int i = 0; i < MANY; i++)
			opened += d[i].opened;
		opened == MANY;
	}));
	for (int i = 0; i < MANY; i++) {
		KT_EQ(d[i].opened, 1);
		KT_EQ(d[i].failed, 0);
		pulse_transport_close(d[i].t, false);
	}
	KT_EQ(pulse_listener_stats(listener, &ls), 0);
	KT_EQ(ls.accepted, MANY);
	KT_EQ(ls.failed, 0);
	finish();
}

KT_TEST(a_listener_closed_with_connections_on_their_way_leaks_none)
{
	int fds[MANY], before = 0, n;

	for (int round = 0; round < 3; round++) {
		BEGIN(round == 2 ? 1 : 0);
		before = open_fds();
		/* The request is with the system, or is not yet. */
		if (round)
			KT_CHECK(pulse_poller_run_once(poller, 0) >= 0);
		for (n = 0; n < MANY; n++) {
			fds[n] = knock();
			KT_CHECK(fds[n] >= 0);
		}
		if (round)	/* some are taken, the others are in the ring */
			KT_CHECK(pulse_poller_run_once(poller, 0) >= 0);
		if (round == 2)
			KT_CHECK(nr_taken < MANY);
		drop_taken();
		KT_EQ(pulse_listener_close(listener), 0);
		listener = NULL;
		while (n--)
			close(fds[n]);
		/* before: with the listener's socket */
		UNTIL(open_fds() <= before - 1);
		KT_CHECK(knock() == -ECONNREFUSED);
		finish();
	}
}

KT_TEST(out_of_descriptors_it_waits_and_goes_on)
{
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };
	struct rlimit old, few;
	int fds[8], top;

	BEGIN(0);
	for (int i = 0; i < 8; i++) {
		fds[i] = knock();
		KT_CHECK(fds[i] >= 0);
	}
	/* A request has the limit of when it was made; the ring takes one, too. */
	top = dup(0);
	close(top);
	KT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)top + 4;
	KT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	UNTIL(!pulse_listener_stats(listener, &ls) && ls.pauses);
	KT_CHECK(nr_taken < 8);
	KT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	UNTIL(nr_taken == 8);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	finish();
}

static void *one_turn(void *arg)
{
	(void)arg;
	KT_CHECK(pulse_poller_run_once(poller, 0) >= 0);
	return NULL;
}

static void turn_elsewhere(void)
{
	pthread_t thread;

	KT_EQ(pthread_create(&thread, NULL, one_turn, NULL), 0);
	pthread_join(thread, NULL);
}

/* What one thread's ring has taken and not told is told by the next one's. */
KT_TEST(from_thread_to_thread_no_connection_is_lost)
{
	int fds[MANY];

	BEGIN(1);
	turn_elsewhere();
	for (int i = 0; i < MANY; i++) {
		fds[i] = knock();
		KT_CHECK(fds[i] >= 0);
		if (i % 10 == 0)
			turn_elsewhere();
	}
	KT_CHECK(nr_taken < MANY);
	UNTIL(nr_taken == MANY);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	finish();
}

/* Has its peer closed it? */
static bool is_closed(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	return !n || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static int nr_closed(const int *fds, int nr)
{
	int n = 0;

	for (int i = 0; i < nr; i++)
		n += is_closed(fds[i]);
	return n;
}

/* U04: one that there is no memory to keep for the next thread is closed. */
KT_TEST(from_thread_to_thread_without_memory_each_is_taken_or_closed)
{
	int fds[8], closed = 0;
	bool failed = true;
	long n = 0;

	while (failed && n < 100) {
		BEGIN(1);
		turn_elsewhere();
		for (int i = 0; i < 8; i++) {
			fds[i] = knock();
			KT_CHECK(fds[i] >= 0);
		}
		turn_elsewhere();
		pulse__alloc_fail_at(++n);
		turn_elsewhere();
		UNTIL(nr_taken + nr_closed(fds, 8) == 8);
		closed += nr_closed(fds, 8);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		finish();
		for (int i = 0; i < 8; i++)
			close(fds[i]);
	}
	KT_CHECKF(!failed && closed > 0, "%ld allocations, %d closed", n - 1, closed);
}

/* Listens and takes nobody, until somebody calls accept(): its backlog is full. */
static int deaf_listener(char *address, size_t len, int fill[4])
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t salen = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	KT_EQ(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	KT_EQ(listen(fd, 1), 0);
	KT_EQ(getsockname(fd, (struct sockaddr *)&sa, &salen), 0);
	snprintf(address, len, "127.0.0.1:%u", ntohs(sa.sin_port));
	for (int i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC |
				 SOCK_NONBLOCK, 0);
		KT_CHECK(!connect(fill[i], (struct sockaddr *)&sa, sizeof(sa)) ||
			 errno == EINPROGRESS);
	}
	return fd;
}

KT_TEST(a_connect_goes_on_in_the_next_threads_ring)
{
	char address[64];
	struct dialler d[3];
	int fill[4], deaf, one;

	BEGIN(0);
	deaf = deaf_listener(address, sizeof(address), fill);
	for (int i = 0; i < 3; i++)
		dial_to(&d[i], address, pulse_now_ns() + 60 * PULSE__NSEC_PER_SEC);
	turn_elsewhere();
	turn_elsewhere();
	KT_EQ(d[0].opened + d[1].opened + d[2].opened, 0);
	/* Room again: the next attempts of the system get through. */
	KT_EQ(fcntl(deaf, F_SETFL, O_NONBLOCK), 0);
	UNTIL(({
		one = accept4(deaf, NULL, NULL, SOCK_CLOEXEC);
		if (one >= 0)
			close(one);
		d[0].opened && d[1].opened && d[2].opened;
	}));
	for (int i = 0; i < 3; i++) {
		KT_EQ(d[i].opened, 1);
		pulse_transport_close(d[i].t, false);
	}
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(deaf);
	finish();
}

KT_TEST(a_connect_ends_by_its_limit_or_by_being_given_up)
{
	char address[64];
	struct dialler d[4];
	int fill[4], deaf, before;

	BEGIN(0);
	deaf = deaf_listener(address, sizeof(address), fill);
	before = open_fds();
	for (int i = 0; i < 4; i++)
		dial_to(&d[i], address, pulse_now_ns() +
			(i ? 60 : 1) * PULSE__NSEC_PER_SEC);
	pulse_transport_close(d[1].t, false);	/* before it is with the system */
	KT_CHECK(pulse_poller_run_once(poller, 0) >= 0);
	pulse_transport_close(d[2].t, false);	/* in flight */
	turn_elsewhere();
	pulse_transport_close(d[3].t, true);	/* in another thread's ring */
	UNTIL(d[0].failed);
	KT_EQ(d[0].failed, 1);
	KT_EQ(d[0].opened, 0);
	KT_EQ(d[0].err, -ETIMEDOUT);
	KT_EQ(pulse_transport_error(d[0].t), -ETIMEDOUT);
	pulse_transport_close(d[0].t, false);
	KT_EQ(d[1].opened + d[1].failed + d[2].opened + d[2].failed +
	      d[3].opened + d[3].failed, 0);
	UNTIL(open_fds() <= before);
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(deaf);
	finish();
}

/* With everything in flight: the loop goes, and all that it held. */
KT_TEST(a_loop_that_ends_leaves_no_request_behind)
{
	char address[64];
	struct dialler d;
	int fill[4], deaf, fds[4], before = open_fds();

	BEGIN(0);
	deaf = deaf_listener(address, sizeof(address), fill);
	dial_to(&d, address, 0);
	KT_CHECK(pulse_poller_run_once(poller, 0) >= 0);
	for (int i = 0; i < 4; i++)
		fds[i] = knock();
	pulse_transport_close(d.t, true);
	finish();
	for (int i = 0; i < 4; i++) {
		close(fds[i]);
		close(fill[i]);
	}
	close(deaf);
	for (int i = 0; i < 1000 && open_fds() > before; i++)
		usleep(10000);
	KT_CHECK(open_fds() <= before);
}

KT_MAIN()
