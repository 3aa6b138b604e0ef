// SPDX-License-Identifier: GPL-2.0-only
/*
 * A round trip of 64 bytes between two threads: shared memory through the whole
 * transport API, beside a bare spinning ring and a unix socket that blocks. The
 * median of rounds in turn, and the spread.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "by_value.h"

#include <pulse-u/transport.h>

#define ROUNDS	9
#define TRIPS	20000
#define BYTES	64

/* ---- a bare ring: one line each way --------------------------------------- */

static struct {
	uint64_t word PULSE__PAIR_ALIGNED;
	char data[BYTES];
} there, back;

static void *bare_echo(void *arg)
{
	char copy[BYTES];

	(void)arg;
	for (uint64_t i = 1; i <= TRIPS; i++) {
		while (pulse__load_acquire(&there.word) != i)
			cpu_relax();
		memcpy(copy, there.data, BYTES);
		memcpy(back.data, copy, BYTES);
		pulse__store_release(&back.word, i);
	}
	return NULL;
}

static double bare(void)
{
	char copy[BYTES] = "x";
	pthread_t thread;
	int64_t begin;

	there.word = back.word = 0;
	if (pthread_create(&thread, NULL, bare_echo, NULL))
		abort();
	begin = pulse_now_ns();
	for (uint64_t i = 1; i <= TRIPS; i++) {
		memcpy(there.data, copy, BYTES);
		pulse__store_release(&there.word, i);
		while (pulse__load_acquire(&back.word) != i)
			cpu_relax();
		memcpy(copy, back.data, BYTES);
	}
	pthread_join(thread, NULL);
	return (double)(pulse_now_ns() - begin) / TRIPS;
}

/* ---- a unix socket -------------------------------------------------------- */

static int pair[2];

static void *socket_echo(void *arg)
{
	char copy[BYTES];

	(void)arg;
	while (read(pair[1], copy, BYTES) == BYTES)
		if (write(pair[1], copy, BYTES) != BYTES)
			abort();
	return NULL;
}

static double unix_socket(void)
{
	char copy[BYTES] = "x";
	pthread_t thread;
	int64_t begin;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
	    pthread_create(&thread, NULL, socket_echo, NULL))
		abort();
	begin = pulse_now_ns();
	for (int i = 0; i < TRIPS; i++)
		if (write(pair[0], copy, BYTES) != BYTES ||
		    read(pair[0], copy, BYTES) != BYTES)
			abort();
	begin = pulse_now_ns() - begin;
	close(pair[0]);
	pthread_join(thread, NULL);
	close(pair[1]);
	return (double)begin / TRIPS;
}

/* ---- the transport -------------------------------------------------------- */

static struct pulse_poller *near_loop, *far_loop;
static long trips;
static int64_t began, ended;

static void far_event(struct pulse_transport *t, uint32_t events, void *arg)
{
	void *data;
	ssize_t n = pulse_transport_view(t, &data);
	struct iovec iov = { data, n > 0 ? (size_t)n : 0 };

	(void)arg;
	(void)events;
	if (n > 0) {
		pulse_transport_send(t, &iov, 1);
	} else if (n != -EAGAIN) {
		pulse_transport_close(t, false);
		pulse_poller_stop(far_loop);
	}
}

static void far_accept(struct pulse_listener *l, struct pulse_transport *t,
		       void *arg)
{
	(void)l;
	(void)arg;
	pulse_transport_set_handler(t, far_event, NULL);
	pulse_transport_watch(t, PULSE_TRANSPORT_READ);
}

static void near_event(struct pulse_transport *t, uint32_t events, void *arg)
{
	static char bytes[BYTES];
	struct iovec iov = { bytes, BYTES };
	void *data;

	(void)arg;
	if (events & PULSE_TRANSPORT_OPEN)
		began = pulse_now_ns();
	else if (pulse_transport_view(t, &data) != BYTES)
		return;
	if (trips++ == TRIPS) {
		ended = pulse_now_ns();
		pulse_poller_stop(near_loop);
		return;
	}
	pulse_transport_send(t, &iov, 1);
}

static void *far_run(void *arg)
{
	pulse_poller_run(arg);
	return NULL;
}

static double transport(const char *address)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = address);
	char where[PULSE_ADDRESS_MAX];
	PULSE_OPTS(pulse_connect_opts, co, .address = where);
	struct pulse_listener *l;
	struct pulse_transport *t;
	pthread_t thread;

	trips = 0;
	if (pulse_poller_create(NULL, &near_loop) ||
	    pulse_poller_create(NULL, &far_loop) ||
	    pulse_listener_open(far_loop, &lo, far_accept, NULL, &l) ||
	    pulse_listener_address(l, where, sizeof(where)) ||
	    pthread_create(&thread, NULL, far_run, far_loop) ||
	    pulse_transport_connect(near_loop, &co, near_event, NULL, &t))
		abort();
	pulse_transport_watch(t, PULSE_TRANSPORT_READ);
	pulse_poller_run(near_loop);
	pulse_transport_close(t, false);
	pthread_join(thread, NULL);
	pulse_listener_close(l);
	pulse_poller_destroy(far_loop);
	pulse_poller_destroy(near_loop);
	return (double)(ended - began) / TRIPS;
}

int main(void)
{
	static const char *const names[] = { "bare ring", "unix socket",
					     "shm transport", "unix transport" };
	double r[4][ROUNDS];
	char shm[64], un[64];

	snprintf(shm, sizeof(shm), "shm:@pulse-bench-%d", getpid());
	snprintf(un, sizeof(un), "unix:@pulse-bench-u-%d", getpid());
	for (int i = 0; i < ROUNDS; i++) {
		r[0][i] = bare();
		r[1][i] = unix_socket();
		r[2][i] = transport(shm);
		r[3][i] = transport(un);
	}
	printf("%-16s %12s %12s %12s\n", "round trip", "ns", "least", "most");
	for (int k = 0; k < 4; k++) {
		qsort(r[k], ROUNDS, sizeof(r[k][0]), by_value);
		printf("%-16s %12.0f %12.0f %12.0f\n", names[k],
		       r[k][ROUNDS / 2], r[k][0], r[k][ROUNDS - 1]);
		printf("JSON {\"bench\":\"transport\",\"what\":\"%s\",\"ns\":%.0f,\"least\":%.0f,\"most\":%.0f}\n",
		       names[k], r[k][ROUNDS / 2], r[k][0], r[k][ROUNDS - 1]);
	}
	return 0;
}
