// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation fails in turn where something takes memory long after it was
 * made: who looks at it, what it sends, what its threads keep. U04
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pulse-u/actor.h>
#include <pulse-u/backend.h>
#include <pulse-u/buffer.h>
#include <pulse-u/bus.h>
#include <pulse-u/control.h>
#include <pulse-u/debug.h>
#include <pulse-u/mailbox.h>
#include <pulse-u/poller.h>
#include <pulse-u/pool.h>
#include <pulse-u/supervisor.h>
#include <pulse-u/testing.h>
#include <pulse-u/transport.h>
#include <pulse-u/ws.h>

#include "no_memory.h"

/* ---- probes --------------------------------------------------------------------- */

static void hears(struct pulse_actor *self, const struct pulse_actor_msg *msg)
{
	(void)self;
	(void)msg;
}

static int stays(struct pulse_child *self, void *arg)
{
	(void)arg;
	pulse_child_wait(self, PULSE_FOREVER);
	return 0;
}

static struct {
	struct pulse_ctx *ctx;
	struct pulse_actors *actors;
	struct pulse_sup *sup;
	struct pulse_bus *bus;
	struct pulse_mailbox *mb;
	struct pulse_ws_server *ws;
} seen;

static void make_all(void)
{
	PULSE_OPTS(pulse_actor_type, type, .name = "the-type", .receive = hears);
	PULSE_OPTS(pulse_child_spec, child, .id = "the-child", .fn = stays);
	PULSE_OPTS(pulse_actors_opts, ao, .num_workers = 1);
	PULSE_OPTS(pulse_ws_handlers, h);
	PULSE_OPTS(pulse_ws_opts, wo, .listen = "", .handlers = &h);

	KT_EQ(pulse_ctx_create(NULL, &seen.ctx), 0);
	KT_EQ(pulse_actors_create(&ao, &seen.actors), 0);
	KT_EQ(pulse_actor_register(seen.actors, &type), 0);
	KT_EQ(pulse_sup_create(NULL, &seen.sup), 0);
	KT_EQ(pulse_sup_start_child(seen.sup, &child, NULL), 0);
	KT_EQ(pulse_sup_start(seen.sup), 0);
	KT_EQ(pulse_bus_create(NULL, &seen.bus), 0);
	KT_EQ(pulse_mailbox_create(NULL, &seen.mb), 0);
	KT_EQ(pulse_ws_server_create(&wo, &seen.ws), 0);
}

static void end_all(void)
{
	KT_EQ(pulse_ws_server_destroy(seen.ws), 0);
	KT_EQ(pulse_mailbox_destroy(seen.mb), 0);
	KT_EQ(pulse_bus_destroy(seen.bus), 0);
	KT_EQ(pulse_sup_destroy(seen.sup), 0);
	KT_EQ(pulse_actors_destroy(seen.actors), 0);
	KT_EQ(pulse_ctx_destroy(seen.ctx), 0);
}

static int add_all(struct pulse_debug *d, struct pulse_control *control)
{
	int err = pulse_debug_add_ctx(d, "ctx", seen.ctx, 8);

	if (!err)
		err = pulse_debug_add_actors(d, "actors", seen.actors);
	if (!err)
		err = pulse_debug_add_sup(d, "sup", seen.sup);
	if (!err)
		err = pulse_debug_add_bus(d, "bus", seen.bus);
	if (!err)
		err = pulse_debug_add_mailbox(d, "mailbox", seen.mb);
	if (!err)
		err = pulse_debug_add_ws(d, "ws", seen.ws);
	if (!err)
		err = pulse_debug_add_control(d, "control", control);
	if (!err)
		err = pulse_control_bind_ws(control, seen.ws, "ws");
	return err < 0 ? err : 0;
}

static int life_of_probes(void)
{
	static const char *const names[] = { "the-type", "the-child", "queued" };
	struct pulse_control *control = NULL;
	struct pulse_debug *d = NULL;
	char text[32768] = "";
	int err;

	make_all();
	from_here();
	err = pulse_control_create(NULL, &control);
	if (!err)
		err = pulse_debug_create(&d);
	if (!err)
		err = add_all(d, control);
	if (!err) {
		err = pulse_debug_dump(d, NULL, text, sizeof(text));
		err = err < 0 ? err : 0;
	}
	/* A probe that has no memory leaves its part out, and no other's. */
	for (size_t i = 0; i < ARRAY_SIZE(names) && !err; i++)
		if (!strstr(text, names[i]))
			err = -ENOMEM;
	if (d)
		KT_EQ(pulse_debug_destroy(d), 0);
	if (control)
		KT_EQ(pulse_control_destroy(control), 0);
	end_all();
	return err;
}

KT_TEST(probes_of_all_there_is)
{
	each_may_fail("probes", life_of_probes);
}

/* ---- a bus ---------------------------------------------------------------------- */

static int say(struct pulse_bus *bus, int times)
{
	PULSE_OPTS(pulse_bus_event_opts, o, .type = "a", .source = "here");
	struct pulse_bus_event *ev;
	int n = 0;

	KT_EQ(pulse_bus_event_create(&o, &ev), 0);
	while (times--)
		n += pulse_bus_publish(bus, ev) == 1;
	pulse_bus_event_put(ev);
	return n;
}

/* A queue that had grown and was cut off gives its room back, or keeps it. */
static int life_of_a_cut_subscription(void)
{
	PULSE_OPTS(pulse_bus_sub_opts, o, .policy = PULSE_BUS_DISCONNECT,
		   .buffer_size = 64);
	struct pulse_bus_event *ev;
	struct pulse_bus_sub *sub;
	struct pulse_bus *bus;
	int n;

	KT_EQ(pulse_bus_create(NULL, &bus), 0);
	KT_EQ(pulse_bus_subscribe(bus, "a", &o, &sub), 0);
	KT_EQ(say(bus, 70), 64);
	for (int i = 0; i < 64; i++) {
		KT_EQ(pulse_bus_receive(sub, 0, &ev), 0);
		pulse_bus_event_put(ev);
	}
	from_here();
	n = pulse_bus_cleanup(bus);
	KT_EQ(pulse_bus_receive(sub, 0, &ev), -ECONNABORTED);
	KT_EQ(pulse_bus_unsubscribe(sub), 0);
	KT_EQ(pulse_bus_destroy(bus), 0);
	return n < 0 ? n : n ? 0 : -ENOMEM;
}

KT_TEST(a_subscription_that_was_cut_off)
{
	each_may_fail("a cleanup", life_of_a_cut_subscription);
}

/* ---- a pool, and the pollers of its workers ---------------------------------------- */

static long ran;
static int gate, poller_err;

static void counts(void *data)
{
	(void)data;
	__atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED);
}

static void waits(void *data)
{
	uint64_t n;

	(void)!read(gate, &n, sizeof(n));
	counts(data);
}

static void takes_a_poller(void *arg, int worker)
{
	struct pulse_poller *p;
	int err = pulse_poller_of_worker(NULL, &p);

	(void)arg;
	(void)worker;
	if (err)
		__atomic_store_n(&poller_err, err, __ATOMIC_RELAXED);
}

/* What was taken is run, though workers have nothing to put it in. */
static int life_of_a_loaded_pool(void)
{
	PULSE_OPTS(pulse_pool_opts, o, .num_workers = 1, .max_workers = 1,
		   .enable_numa_aware = PULSE_ON, .on_worker_start = takes_a_poller);
	struct pulse_pool *pool = NULL;
	long taken = 0;
	int err, worst;

	ran = 0;
	poller_err = 0;
	gate = eventfd(0, EFD_CLOEXEC);
	KT_CHECK(gate >= 0);
	from_here();
	worst = pulse_pool_create(&o, &pool);
	for (int i = 0; i < 400 && pool; i++) {
		err = pulse_pool_submit(pool, i ? counts : waits, NULL);
		taken += !err;
		if (err)
			worst = err;
	}
	(void)!write(gate, &(uint64_t){ 1 }, sizeof(uint64_t));
	if (pool) {
		KT_EQ(pulse_pool_wait(pool), 0);
		KT_EQ(__atomic_load_n(&ran, __ATOMIC_RELAXED), taken);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
	close(gate);
	err = __atomic_load_n(&poller_err, __ATOMIC_RELAXED);
	return worst ? worst : err;
}

KT_TEST(a_pool_under_load_whose_workers_have_pollers)
{
	each_may_fail("a loaded pool", life_of_a_loaded_pool);
}

/* ---- mocks ---------------------------------------------------------------------- */

static long got;

static void on_near(struct pulse_transport *t, uint32_t events, void *arg)
{
	(void)t;
	(void)events;
	(void)arg;
}

static void on_far(struct pulse_transport *t, uint32_t events, void *arg)
{
	char buf[64];
	struct iovec iov = { buf, sizeof(buf) };
	ssize_t n;

	(void)arg;
	if (!(events & PULSE_TRANSPORT_READ))
		return;
	n = pulse_transport_recv(t, &iov, 1);
	got += n > 0 ? n : 0;
}

static void on_fd(struct pulse_poller *p, int fd, uint32_t events, void *arg)
{
	(void)p;
	(void)fd;
	(void)events;
	(void)arg;
}

static int use_mocks(struct pulse_poller *p, struct pulse_buffer_pool *pool,
		     struct pulse_transport *a)
{
	struct pulse_transport_stats s = { .sz = sizeof(s) };
	struct iovec iov = { (void *)(uintptr_t)"0123456789", 10 };
	struct pulse_mock_buffer state;
	struct pulse_buffer *b;
	uint64_t id;
	ssize_t n = pulse_transport_send(a, &iov, 1);
	int err = n < 0 ? (int)n : 0;

	/* What was not taken is not counted. */
	KT_EQ(pulse_transport_stats(a, &s), 0);
	KT_EQ(s.tx_bytes, err ? 0 : 10);
	if (!err)
		err = pulse_poller_add(p, 7, PULSE_POLLER_IN, on_fd, NULL, &id);
	if (!err)
		KT_EQ(pulse_poller_del(p, id), 0);
	if (!err)
		err = pulse_mock_buffer(pool, 100, &state, &b);
	if (!err)
		pulse_buffer_put(b);
	return err;
}

static int life_of_used_mocks(void)
{
	struct pulse_buffer_pool *pool = NULL;
	struct pulse_transport *a, *b;
	struct pulse_poller *p;
	int err;

	KT_EQ(pulse_mock_poller(&p), 0);
	KT_EQ(pulse_buffer_pool_create(NULL, &pool), 0);
	KT_EQ(pulse_mock_pair(p, NULL, NULL, &a, &b), 0);
	pulse_transport_set_handler(a, on_near, NULL);
	pulse_transport_set_handler(b, on_far, NULL);
	KT_EQ(pulse_transport_watch(b, PULSE_TRANSPORT_READ), 0);
	got = 0;
	from_here();
	err = use_mocks(p, pool, a);
	for (int i = 0; i < 4; i++)
		pulse_poller_run_once(p, 0);
	KT_CHECK(got == 10 || (!got && err));
	pulse_transport_close(a, false);
	pulse_transport_close(b, false);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
	KT_EQ(pulse_poller_destroy(p), 0);
	return err;
}

KT_TEST(mocks_that_are_used)
{
	each_may_fail("used mocks", life_of_used_mocks);
}

KT_MAIN()
