// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory between peers that need not be friends: memory that could change
 * under us, words that lie, processes that are killed. W08, G3.
 */
#include "ends.h"

#include "io/shm.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define RING	4096U

static void begin_shm(void)
{
	char address[64];

	snprintf(address, sizeof(address), "shm:@pulse-shm-%d", getpid());
	begin(address);
	how = (struct pulse_connect_opts){ .sz = sizeof(how),
					   .address = where };
}

/* A peer by hand: a socket, and the memory as it says it is. */
struct hand {
	int sock;
	struct pulse__shm_map map;
};

static void hand_connect(struct hand *h)
{
	struct pulse__addr addr;
	char text[PULSE_ADDRESS_MAX];

	KT_EQ(pulse__addr_rename(where, "shm:", "unix:", text, sizeof(text)), 0);
	KT_EQ(pulse__addr_parse(text, &addr), 0);
	h->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	KT_EQ(connect(h->sock, (struct sockaddr *)&addr.sa, addr.len), 0);
}

static void hand_meet(struct hand *h)
{
	struct pulse__shm_hello hello = { PULSE__SHM_MAGIC, 1, RING, 0 };
	int fd = pulse__shm_make(RING, &h->map);

	KT_CHECK(fd >= 0);
	hand_connect(h);
	KT_EQ(pulse__shm_send_fd(h->sock, &hello, fd), 0);
	close(fd);
	UNTIL(server.t);
}

static void hand_end(struct hand *h)
{
	close(h->sock);
	pulse__shm_unmap(&h->map);
}

/* What is wrong with a memfd. */
enum { NO_SEALS, NO_SHRINK, NO_GROW, NO_WRITING, SHORT, LONG, A_FILE, ODD,
       HUGE_RING, BAD_MAGIC, NO_FD, NR_WRONGS };

static int wrong_memfd(int what, struct pulse__shm_hello *hello)
{
	off_t size = PULSE__SHM_HEADER + 2 * RING;
	int fd, seals = F_SEAL_SHRINK | F_SEAL_GROW;

	*hello = (struct pulse__shm_hello){ PULSE__SHM_MAGIC, 1, RING, 0 };
	if (what == A_FILE)
		fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	else
		fd = memfd_create("wrong", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size += what == LONG ? 4096 : what == SHORT ? -4096 : 0;
	KT_EQ(ftruncate(fd, size), 0);
	if (what == NO_SEALS)
		seals = 0;
	if (what == NO_SHRINK)
		seals = F_SEAL_GROW;
	if (what == NO_GROW)
		seals = F_SEAL_SHRINK;
	if (what == NO_WRITING)
		seals |= F_SEAL_WRITE;
	if (what != A_FILE)
		KT_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
	if (what == ODD)
		hello->ring_bytes = RING + 1;
	if (what == HUGE_RING)
		hello->ring_bytes = 1U << 31;
	if (what == BAD_MAGIC)
		hello->magic++;
	return fd;
}

/* W08: memory that the peer can still shrink is SIGBUS in his hands */
KT_TEST(memory_that_could_change_is_refused)
{
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };

	begin_shm();
	for (int what = 0; what < NR_WRONGS; what++) {
		struct pulse__shm_hello hello;
		int fd = wrong_memfd(what, &hello);
		struct hand h;
		char byte;

		hand_connect(&h);
		if (what == NO_FD)
			KT_EQ(send(h.sock, &hello, sizeof(hello), 0),
			      sizeof(hello));
		else
			KT_EQ(pulse__shm_send_fd(h.sock, &hello, fd), 0);
		close(fd);
		for (int i = 0; i < 1000; i++) {
			pulse_poller_run_once(poller, pulse_now_ns() + 1000000);
			pulse_listener_stats(listener, &ls);
			if (ls.failed == (uint64_t)what + 1)
				break;
		}
		KT_CHECKF(ls.failed == (uint64_t)what + 1, "case %d", what);
		KT_EQ(recv(h.sock, &byte, 1, MSG_DONTWAIT), 0);
		close(h.sock);
	}
	KT_EQ(accepted, 0);
	end();
}

KT_TEST(what_was_handed_over_cannot_be_shrunk)
{
	struct pulse__shm_map map;
	int fd = pulse__shm_make(RING, &map);

	KT_CHECK(fd >= 0);
	KT_EQ(ftruncate(fd, 0), -1);
	KT_EQ(errno, EPERM);
	KT_EQ(ftruncate(fd, 1 << 20), -1);
	KT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	pulse__shm_unmap(&map);
	close(fd);
}

/* G3: positions that lie: nothing is read or written outside of the rings */
KT_TEST(a_peer_whose_words_lie_is_cut_off)
{
	static const uint64_t lies[] = { RING + 1, UINT64_MAX, 1ULL << 63,
					 1ULL << 32, RING * 2 };

	for (size_t i = 0; i < ARRAY_SIZE(lies) * 2; i++) {
		struct iovec iov = { "x", 1 };
		struct hand h;
		ssize_t n;

		begin_shm();
		hand_meet(&h);
		server.got = 0;
		if (i % 2) {
			h.map.head->ring[0].tail = lies[i / 2];
			UNTIL(server.broken);
			KT_EQ(server.err, -EPROTO);
			KT_EQ(server.got, 0);
		} else {
			char full[RING] = { 0 };

			KT_EQ(pulse_transport_watch(server.t, 0), 0);
			iov = (struct iovec){ full, sizeof(full) };
			KT_EQ(pulse_transport_send(server.t, &iov, 1), RING);
			h.map.head->ring[1].head = lies[i / 2];
			n = pulse_transport_send(server.t, &iov, 1);
			KT_EQ(n, -EPROTO);
			KT_EQ(pulse_transport_error(server.t), -EPROTO);
		}
		hand_end(&h);
		end();
	}
}

static bool scribbling;

static void *scribble(void *arg)
{
	uint32_t *words = arg, seed = 1;

	while (READ_ONCE(scribbling)) {
		seed = seed * 1664525 + 1013904223;
		WRITE_ONCE(words[seed >> 8 & (PULSE__SHM_HEADER / 4 - 1)],
			   seed >> 3 & 8191);
	}
	return NULL;
}

static void swallow(struct pulse_transport *t, uint32_t events, void *arg)
{
	void *data;

	(void)arg;
	(void)events;
	if (pulse_transport_view(t, &data) <= 0)
		pulse_transport_watch(t, 0);
}

/* G3: a peer that writes into every word all the time harms only itself */
KT_TEST(a_peer_that_scribbles_harms_nobody)
{
	for (int round = 0; round < (int)kt_scale(20); round++) {
		static char bytes[RING];
		struct iovec iov = { bytes, sizeof(bytes) };
		pthread_t thread;
		struct hand h;

		begin_shm();
		hand_meet(&h);
		pulse_transport_set_handler(server.t, swallow, NULL);
		WRITE_ONCE(scribbling, true);
		KT_EQ(pthread_create(&thread, NULL, scribble, h.map.head), 0);
		for (int i = 0; i < 200; i++) {
			pulse_transport_send(server.t, &iov, 1);
			pulse_poller_run_once(poller, 0);
		}
		WRITE_ONCE(scribbling, false);
		pthread_join(thread, NULL);
		hand_end(&h);
		KT_CHECK(server.t);
		end();
	}
}

/* Sends what counts up until it is killed. */
static void child_sends(void)
{
	pulse_poller_create(NULL, &poller);
	memset(&client, 0, sizeof(client));
	if (dial())
		_exit(1);
	while (!(client.seen & PULSE_TRANSPORT_OPEN))
		pulse_poller_run_once(poller, PULSE_FOREVER);
	for (long sent = 0;;) {
		sent += send_some(&client, sent, 1000);
		pulse_poller_run_once(poller, 0);
	}
}

/* W08: killed in the middle of it: what it sent arrives, and then its death */
KT_TEST(a_killed_peer_is_noticed)
{
	for (int i = 0; i < 5; i++) {
		int64_t killed;
		pid_t pid;

		begin_shm();
		pid = fork();
		if (!pid)
			child_sends();
		UNTIL(server.got > 100000);
		KT_EQ(kill(pid, SIGKILL), 0);
		killed = pulse_now_ns();
		UNTIL(server.broken);
		kt_note("noticed after %lld us",
			(long long)(pulse_now_ns() - killed) / 1000);
		KT_EQ(server.err, -ECONNRESET);
		KT_CHECK(pulse_transport_send(server.t,
			 &(struct iovec){ "x", 1 }, 1) < 0);
		waitpid(pid, NULL, 0);
		end();
	}
}

/* Nobody spins for a connection that is idle, and it is woken when it is not. */
KT_TEST(an_idle_connection_costs_nothing_and_wakes)
{
	struct pulse_poller_stats ps = { .sz = sizeof(ps) };
	uint64_t turns;
	int64_t until;

	begin_shm();
	meet();
	KT_EQ(send_some(&client, 0, 10), 10);
	UNTIL(server.got == 10);
	for (int i = 0; i < 20; i++)
		pulse_poller_run_once(poller, pulse_now_ns() + 1000000);
	pulse_poller_stats(poller, &ps);
	turns = ps.turns;
	until = pulse_now_ns() + 200 * PULSE__NSEC_PER_MSEC;
	while (pulse_now_ns() < until)
		pulse_poller_run_once(poller, until);
	pulse_poller_stats(poller, &ps);
	KT_CHECKF(ps.turns - turns < 20, "%llu turns",
		  (unsigned long long)(ps.turns - turns));
	KT_EQ(send_some(&client, 10, 10), 10);
	UNTIL(server.got == 20);
	end();
}

/* ---- two threads, each with its loop ------------------------------------------ */

static struct pulse_transport *far_end;
static struct pulse_poller *far_loop;

static void bounce(struct pulse_transport *t, uint32_t events, void *arg)
{
	void *data;
	ssize_t n;
	struct iovec iov;

	(void)arg;
	if (!(events & PULSE_TRANSPORT_READ))
		return;
	n = pulse_transport_view(t, &data);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		pulse_transport_close(t, false);
		far_end = NULL;
		pulse_poller_stop(far_loop);
		return;
	}
	iov = (struct iovec){ data, (size_t)n };
	KT_EQ(pulse_transport_send(t, &iov, 1), n);
}

static void far_accept(struct pulse_listener *l, struct pulse_transport *t,
		       void *arg)
{
	(void)l;
	(void)arg;
	far_end = t;
	pulse_transport_set_handler(t, bounce, NULL);
	pulse_transport_watch(t, PULSE_TRANSPORT_READ);
}

static void *far_run(void *arg)
{
	KT_EQ(pulse_poller_run(arg), 0);
	return NULL;
}

static void echo_with(int spin_us)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = where,
		   .spin_us = spin_us);
	long rounds = kt_scale(20000), sent = 0;
	struct pulse_listener *l;
	int err = 0;
	pthread_t thread;

	client = (struct end){ 0 };
	snprintf(where, sizeof(where), "shm:@pulse-shm-echo-%d", getpid());
	KT_EQ(pulse_poller_create(NULL, &poller), 0);
	KT_EQ(pulse_poller_create(NULL, &far_loop), 0);
	/* A ring that is gone holds the last one's socket for a moment. */
	for (int i = 0; i < 2000; i++) {
		err = pulse_listener_open(far_loop, &lo, far_accept, NULL, &l);
		if (err != -EADDRINUSE)
			break;
		usleep(10000);
	}
	KT_EQ(err, 0);
	KT_EQ(pthread_create(&thread, NULL, far_run, far_loop), 0);
	how = (struct pulse_connect_opts){ .sz = sizeof(how), .address = where,
					   .spin_us = spin_us };
	KT_EQ(dial(), 0);
	UNTIL(client.seen & PULSE_TRANSPORT_OPEN);
	for (long i = 0; i < rounds; i++) {
		sent += send_some(&client, sent, 100);
		UNTIL(client.got == sent);
	}
	pulse_transport_close(client.t, false);
	pthread_join(thread, NULL);
	KT_EQ(pulse_listener_close(l), 0);
	KT_EQ(pulse_poller_destroy(far_loop), 0);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

KT_TEST(no_wake_up_is_lost_between_two_that_spin)
{
	echo_with(0);
}

KT_TEST(no_wake_up_is_lost_between_two_that_sleep)
{
	echo_with(PULSE_OFF);
}

KT_TEST(odd_sizes_are_refused)
{
	PULSE_OPTS(pulse_connect_opts, co, .address = where,
		   .ring_bytes = 4095);
	struct pulse_transport *t;

	begin_shm();
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t), -EINVAL);
	co.ring_bytes = 2048;
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t), -EINVAL);
	co.ring_bytes = 1U << 30;
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t), -EINVAL);
	co.ring_bytes = 0;
	co.address = "shm:@pulse-nobody-is-here";
	KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t),
	      -ECONNREFUSED);
	end();
}

KT_MAIN()
