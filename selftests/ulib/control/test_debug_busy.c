// SPDX-License-Identifier: GPL-2.0-only
/* A dump waits for nobody: probes that hang, and those whom probes tell of. */
#include "base/base.h"
#include "../ws/peer.h"

#include <pthread.h>
#include <semaphore.h>

#include <pulse-u/actor.h>
#include <pulse-u/bus.h>
#include <pulse-u/control.h>
#include <pulse-u/debug.h>
#include <pulse-u/mailbox.h>
#include <pulse-u/metrics.h>
#include <pulse-u/pool.h>
#include <pulse-u/supervisor.h>
#include <pulse-u/task.h>

#define ATOMIC_GET(v)	__atomic_load_n(&(v), __ATOMIC_ACQUIRE)
#define ATOMIC_SET(v, x) __atomic_store_n(&(v), x, __ATOMIC_RELEASE)
#define ATOMIC_INC(v)	__atomic_fetch_add(&(v), 1, __ATOMIC_ACQ_REL)

/* ---- probes that hang ------------------------------------------------------------ */

static sem_t go_on;
static int inside, over;

static int hangs(struct pulse_dump *d, void *arg)
{
	(void)arg;
	ATOMIC_INC(inside);
	while (sem_wait(&go_on) && errno == EINTR)
		;
	pulse_dump_i64(d, "hung", 1);
	ATOMIC_INC(over);
	return 0;
}

static int is_well(struct pulse_dump *d, void *arg)
{
	pulse_dump_i64(d, "n", (int64_t)(intptr_t)arg);
	return 0;
}

struct dumper {
	struct pulse_debug *debug;
	char json[1 << 16];
	int done;
	pthread_t thread;
};

static void *dump_main(void *arg)
{
	struct dumper *u = arg;

	KT_CHECK(pulse_debug_dump(u->debug, NULL, u->json, sizeof(u->json)) > 0);
	ATOMIC_SET(u->done, 1);
	return NULL;
}

static struct dumper *start(struct pulse_debug *debug)
{
	struct dumper *u = calloc(1, sizeof(*u));

	u->debug = debug;
	KT_EQ(pthread_create(&u->thread, NULL, dump_main, u), 0);
	return u;
}

static void end(struct dumper *u)
{
	KT_EQ(pthread_join(u->thread, NULL), 0);
	free(u);
}

static struct pulse_debug *three_probes(void)
{
	struct pulse_debug *d = NULL;

	KT_EQ(sem_init(&go_on, 0, 0), 0);
	ATOMIC_SET(inside, 0);
	ATOMIC_SET(over, 0);
	KT_EQ(pulse_debug_create(&d), 0);
	KT_EQ(pulse_debug_add(d, "first", is_well, (void *)1), 0);
	KT_EQ(pulse_debug_add(d, "hangs", hangs, NULL), 0);
	KT_EQ(pulse_debug_add(d, "last", is_well, (void *)2), 0);
	return d;
}

KT_TEST(a_probe_that_hangs_is_one_dumps_fate)
{
	struct pulse_debug *d = three_probes();
	struct dumper *stuck = start(d), *other;
	char json[4096], want[512];

	KT_CHECK(EVENTUALLY(ATOMIC_GET(inside)));
	snprintf(want, sizeof(want),
		 "{\"first\":{\"n\":1},\"hangs\":{\"error\":\"%s\"},"
		 "\"last\":{\"n\":2}}", pulse_strerror(-EBUSY));
	for (int i = 0; i < 3; i++) {
		other = start(d);
		KT_CHECK(EVENTUALLY(ATOMIC_GET(other->done)));
		KT_CHECKF(!strcmp(other->json, want), "%s", other->json);
		end(other);
	}
	/* Others may be asked alone, and come and go. */
	KT_CHECK(pulse_debug_dump(d, "last", json, sizeof(json)) > 0);
	KT_STREQ(json, "{\"last\":{\"n\":2}}");
	KT_EQ(pulse_debug_add(d, "new", is_well, (void *)3), 0);
	KT_EQ(pulse_debug_remove(d, "first"), 0);
	KT_EQ(ATOMIC_GET(inside), 1);
	KT_CHECK(!ATOMIC_GET(stuck->done));
	sem_post(&go_on);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(stuck->done)));
	/* Who hung has all, and what came behind it meanwhile. */
	KT_STREQ(stuck->json, "{\"first\":{\"n\":1},\"hangs\":{\"hung\":1},"
		 "\"last\":{\"n\":2},\"new\":{\"n\":3}}");
	end(stuck);
	/* Well again. */
	sem_post(&go_on);
	KT_CHECK(pulse_debug_dump(d, NULL, json, sizeof(json)) > 0);
	KT_STREQ(json, "{\"hangs\":{\"hung\":1},\"last\":{\"n\":2},"
		 "\"new\":{\"n\":3}}");
	KT_EQ(pulse_debug_destroy(d), 0);
	sem_destroy(&go_on);
}

static int removed;

static void *remove_main(void *arg)
{
	KT_EQ(pulse_debug_remove(arg, "hangs"), 0);
	/* It does not run any more. */
	KT_EQ(ATOMIC_GET(over), 1);
	ATOMIC_SET(removed, 1);
	return NULL;
}

KT_TEST(a_probe_that_is_taken_out_is_waited_for)
{
	struct pulse_debug *d = three_probes();
	struct dumper *stuck = start(d);
	char json[4096];
	pthread_t t;

	KT_CHECK(EVENTUALLY(ATOMIC_GET(inside)));
	KT_EQ(pthread_create(&t, NULL, remove_main, d), 0);
	/* From when it is to go nobody asks it, and its name is free. */
	KT_CHECK(EVENTUALLY(!pulse_debug_add(d, "hangs", is_well, (void *)7)));
	KT_EQ(ATOMIC_GET(removed), 0);
	KT_CHECK(pulse_debug_dump(d, NULL, json, sizeof(json)) > 0);
	KT_STREQ(json, "{\"first\":{\"n\":1},\"last\":{\"n\":2},"
		 "\"hangs\":{\"n\":7}}");
	sem_post(&go_on);
	KT_EQ(pthread_join(t, NULL), 0);
	KT_EQ(ATOMIC_GET(removed), 1);
	end(stuck);
	KT_EQ(ATOMIC_GET(inside), 1);
	KT_EQ(pulse_debug_destroy(d), 0);
	sem_destroy(&go_on);
}

/* A registry within a probe of another; and its own. */
static int dumps(struct pulse_dump *d, void *arg)
{
	struct pulse_debug **both = arg;
	char json[256];

	KT_EQ(pulse_debug_dump(both[0], NULL, json, sizeof(json)), -EDEADLK);
	KT_CHECK(pulse_debug_dump(both[1], NULL, json, sizeof(json)) > 0);
	pulse_dump_str(d, "other", json);
	KT_EQ(pulse_debug_dump(both[0], NULL, json, sizeof(json)), -EDEADLK);
	KT_EQ(pulse_debug_add(both[0], "x", is_well, NULL), -EDEADLK);
	KT_EQ(pulse_debug_remove(both[0], "dumps"), -EDEADLK);
	return 0;
}

KT_TEST(a_probe_may_dump_another_registry)
{
	struct pulse_debug *both[2];
	char json[512];

	for (int i = 0; i < 2; i++)
		KT_EQ(pulse_debug_create(&both[i]), 0);
	KT_EQ(pulse_debug_add(both[0], "dumps", dumps, both), 0);
	KT_EQ(pulse_debug_add(both[1], "n", is_well, (void *)5), 0);
	KT_CHECK(pulse_debug_dump(both[0], NULL, json, sizeof(json)) > 0);
	KT_STREQ(json, "{\"dumps\":{\"other\":\"{\\\"n\\\":{\\\"n\\\":5}}\"}}");
	for (int i = 0; i < 2; i++)
		KT_EQ(pulse_debug_destroy(both[i]), 0);
}

/* ---- those whom the library's probes tell of --------------------------------------- */

static sem_t let_go;
static int busy;

static void be_busy(void)
{
	ATOMIC_INC(busy);
	while (sem_wait(&let_go) && errno == EINTR)
		;
	/* One lets the next go. */
	sem_post(&let_go);
}

static void busy_message(struct pulse_ws_conn *conn, int opcode, const void *data,
			 size_t len, void *arg)
{
	(void)conn;
	(void)opcode;
	(void)data;
	(void)len;
	(void)arg;
	be_busy();
}

static void busy_task(void *arg)
{
	(void)arg;
	be_busy();
}

static void busy_actor(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	(void)self;
	(void)m;
	be_busy();
}

static int busy_child(struct pulse_child *self, void *arg)
{
	(void)arg;
	be_busy();
	return pulse_child_wait(self, PULSE_FOREVER);
}

static int busy_reload(const struct pulse_config *now,
		       const struct pulse_config *next, char *why, size_t len,
		       void *arg)
{
	(void)now;
	(void)next;
	(void)why;
	(void)len;
	(void)arg;
	be_busy();
	return 0;
}

static void *reload_main(void *arg)
{
	struct pulse_setting s = { "size", "18" };

	KT_EQ(pulse_control_reload(arg, &s, 1, NULL, 0), 0);
	return NULL;
}

KT_TEST(busy_threads_do_not_hold_a_dump_up)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = busy_message);
	PULSE_OPTS(pulse_ws_opts, wo, .handlers = &h);
	PULSE_OPTS(pulse_pool_opts, po, .num_workers = 2);
	PULSE_OPTS(pulse_actor_type, type, .name = "busy", .receive = busy_actor);
	PULSE_OPTS(pulse_actor_opts, ao, .type = "busy");
	PULSE_OPTS(pulse_child_spec, spec, .id = "busy", .fn = busy_child);
	PULSE_OPTS(pulse_knob, number, .name = "size", .type = PULSE_KNOB_INT,
		   .value = 17);
	struct pulse_ws_server *server;
	struct pulse_control *control;
	struct pulse_mailbox *box;
	struct pulse_actors *actors;
	struct pulse_metrics *m;
	struct pulse_pool *pool;
	struct pulse_sup *sup;
	struct pulse_debug *d;
	struct pulse_bus *bus;
	struct dumper *u;
	struct peer p;
	pthread_t t;
	uint64_t ref;

	KT_EQ(sem_init(&let_go, 0, 0), 0);
	server = serve(&wo);
	KT_EQ(pulse_pool_create(&po, &pool), 0);
	KT_EQ(pulse_actors_create(NULL, &actors), 0);
	KT_EQ(pulse_sup_create(NULL, &sup), 0);
	KT_EQ(pulse_bus_create(NULL, &bus), 0);
	KT_EQ(pulse_mailbox_create(NULL, &box), 0);
	KT_EQ(pulse_control_create(NULL, &control), 0);
	KT_EQ(pulse_metrics_create(&m), 0);
	KT_EQ(pulse_debug_create(&d), 0);
	KT_EQ(pulse_debug_add_threads(d, "threads"), 0);
	KT_EQ(pulse_debug_add_ws(d, "ws", server), 0);
	KT_EQ(pulse_debug_add_pool(d, "pool", pool), 0);
	KT_EQ(pulse_debug_add_actors(d, "actors", actors), 0);
	KT_EQ(pulse_debug_add_sup(d, "sup", sup), 0);
	KT_EQ(pulse_debug_add_bus(d, "bus", bus), 0);
	KT_EQ(pulse_debug_add_mailbox(d, "box", box), 0);
	KT_EQ(pulse_debug_add_control(d, "control", control), 0);
	KT_CHECK(pulse_metrics_add_ws(m, "ws", server) > 0);
	KT_CHECK(pulse_metrics_add_pool(m, "pool", pool) > 0);
	KT_CHECK(pulse_metrics_add_sup(m, "sup", sup) > 0);
	KT_CHECK(pulse_metrics_add_actors(m, "actors", actors) > 0);
	KT_CHECK(pulse_metrics_add_control(m, "control", control) > 0);
	KT_EQ(pulse_debug_add_metrics(d, "metrics", m), 0);

	/* A loop, all workers, an actor, a child, a reload: all in the program. */
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "x", 1));
	for (int i = 0; i < 2; i++)
		KT_EQ(pulse_pool_submit(pool, busy_task, NULL), 0);
	KT_EQ(pulse_actor_register(actors, &type), 0);
	KT_EQ(pulse_actor_spawn(actors, &ao, &ref), 0);
	KT_EQ(pulse_actor_send(actors, ref, 1, NULL, 0), 0);
	KT_EQ(pulse_sup_start_child(sup, &spec, NULL), 0);
	KT_EQ(pulse_sup_start(sup), 0);
	KT_EQ(pulse_control_define(control, &number), 0);
	KT_CHECK(pulse_control_on_reload(control, busy_reload, NULL) > 0);
	KT_EQ(pthread_create(&t, NULL, reload_main, control), 0);
	KT_CHECKF(EVENTUALLY(ATOMIC_GET(busy) == 6), "%d busy", ATOMIC_GET(busy));

	u = start(d);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(u->done)));
	KT_EQ(ATOMIC_GET(busy), 6);
	KT_CHECKF(!strstr(u->json, "\"error\""), "%s", u->json);
	KT_CHECK(strstr(u->json, "\"messages_in\":1,"));
	KT_CHECK(strstr(u->json, "\"submitted\":2,\"completed\":0,"));
	KT_CHECK(strstr(u->json, "\"types\":{\"busy\":1}"));
	KT_CHECK(strstr(u->json, "\"status\":\"running\""));
	sem_post(&let_go);
	end(u);
	KT_EQ(pthread_join(t, NULL), 0);
	peer_close(&p);
	KT_EQ(pulse_debug_destroy(d), 0);
	KT_EQ(pulse_metrics_destroy(m), 0);
	pulse_control_destroy(control);
	pulse_mailbox_destroy(box);
	pulse_bus_destroy(bus);
	pulse_sup_destroy(sup);
	pulse_actors_destroy(actors);
	pulse_pool_destroy(pool);
	pulse_ws_server_destroy(server);
	sem_destroy(&let_go);
}

KT_MAIN()
