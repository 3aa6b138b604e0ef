// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has threads or descriptors of its own, where they are not to be had: the
 * n-th thread cannot be started, there is no room for the n-th descriptor. It is
 * told, what was begun is undone, and with enough of both it works. U05
 *
 * Pools: selftests/ulib/pool/test_pool_start.c.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include <pulse-u/actor.h>
#include <pulse-u/backend.h>
#include <pulse-u/events.h>
#include <pulse-u/mailbox_shared.h>
#include <pulse-u/mesh.h>
#include <pulse-u/poller.h>
#include <pulse-u/queue.h>
#include <pulse-u/supervisor.h>
#include <pulse-u/timer.h>
#include <pulse-u/ws.h>

#include "base/base.h"
#include "ktap.h"

/* Stands before libc's; the library's calls come here too. */
static int thread_fails_at;	/* 1 = the next one; 0 = never */

int pthread_create(pthread_t *t, const pthread_attr_t *attr,
		   void *(*fn)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *,
			   void *(*)(void *), void *);

	if (!real) {
		void *sym = dlsym(RTLD_NEXT, "pthread_create");

		memcpy(&real, &sym, sizeof(sym));
	}
	if (__atomic_load_n(&thread_fails_at, __ATOMIC_SEQ_CST) &&
	    !__atomic_sub_fetch(&thread_fails_at, 1, __ATOMIC_SEQ_CST))
		return EAGAIN;
	return real(t, attr, fn, arg);
}

static int entries_of(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* A thread that was joined may still be counted for a moment. */
static bool comes_down_to(const char *path, int n)
{
	int64_t end = pulse_now_ns() + 20000000000LL;
	const struct timespec nap = { .tv_nsec = 200000 };

	while (entries_of(path) > n && pulse_now_ns() < end)
		nanosleep(&nap, NULL);
	return entries_of(path) <= n;
}

/* ---- a life of each: made, used, ended; 0 or why there was none --------------- */

static void nothing(struct pulse_poller *poller, void *arg)
{
	(void)poller;
	(void)arg;
}

static int life_of_timers(void)
{
	struct pulse_timer_service *svc;
	int err = pulse_timer_service_create(NULL, &svc);

	return err ? err : pulse_timer_service_destroy(svc);
}

static int life_of_actors(void)
{
	PULSE_OPTS(pulse_actors_opts, o, .num_workers = 3);
	struct pulse_actors *sys;
	int err = pulse_actors_create(&o, &sys);

	return err ? err : pulse_actors_destroy(sys);
}

static int life_of_actor_threads(void)
{
	struct pulse_actors *sys;
	int err = pulse_actors_create(NULL, &sys);

	for (int i = 0; i < 3 && err >= 0; i++)
		err = pulse_actors_thread_add(sys, NULL);
	if (sys)
		KT_EQ(pulse_actors_destroy(sys), 0);
	return err < 0 ? err : 0;
}

static int life_of_a_mesh(void)
{
	struct pulse_actors *sys = NULL;
	struct pulse_mesh *mesh = NULL;
	int err = pulse_actors_create(NULL, &sys);

	if (!err)
		err = pulse_mesh_create(NULL, &mesh);
	if (!err)
		err = pulse_mesh_join(mesh, sys, 0);
	if (!err)
		err = pulse_mesh_start(mesh);
	if (mesh)
		KT_EQ(pulse_mesh_destroy(mesh), 0);
	if (sys)
		KT_EQ(pulse_actors_destroy(sys), 0);
	return err;
}

static int life_of_a_supervisor(void)
{
	struct pulse_sup *sup = NULL;
	int err = pulse_sup_create(NULL, &sup);

	if (!err)
		err = pulse_sup_start(sup);
	if (sup)
		KT_EQ(pulse_sup_destroy(sup), 0);
	return err;
}

static int life_of_a_server(void)
{
	PULSE_OPTS(pulse_ws_handlers, h);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .threads = 3);
	struct pulse_ws_server *server = NULL;
	int err = pulse_ws_server_create(&o, &server);

	if (!err)
		err = pulse_ws_server_start(server);
	if (server)
		KT_EQ(pulse_ws_server_destroy(server), 0);
	return err;
}

static int life_of_a_poller(void)
{
	struct pulse_poller *p;
	int err = pulse_poller_create(NULL, &p);

	if (err)
		return err;
	err = pulse_poller_post(p, nothing, NULL);
	KT_EQ(pulse_poller_destroy(p), 0);
	return err;
}

static int life_of_events(void)
{
	PULSE_OPTS(pulse_ctx_opts, o, .event_bytes = 4096);
	struct pulse_ctx *ctx = NULL;
	int err = pulse_ctx_create(&o, &ctx);

	if (!err)
		err = pulse_ctx_events_fd(ctx);
	if (err >= 0)
		err = pulse_ctx_watch_process(ctx, getpid(), NULL);
	if (ctx)
		KT_EQ(pulse_ctx_destroy(ctx), 0);
	return err < 0 ? err : 0;
}

static int life_of_a_shared_mailbox(void)
{
	struct pulse_shmbox *box = NULL, *other = NULL;
	int err = pulse_shmbox_create(NULL, &box);

	if (!err)
		err = pulse_shmbox_open(pulse_shmbox_fd(box), &other);
	if (other)
		KT_EQ(pulse_shmbox_destroy(other), 0);
	if (box)
		KT_EQ(pulse_shmbox_destroy(box), 0);
	return err;
}

static int life_of_a_queue(void)
{
	struct pulse_queue_rx *rx = NULL;
	struct pulse_queue *q = NULL;
	int err = pulse_queue_create(NULL, &q);

	if (!err)
		err = pulse_queue_rx_open(q, &rx);
	if (!err)
		err = pulse_queue_fd(q);
	if (rx)
		pulse_queue_rx_close(rx);
	if (q)
		KT_EQ(pulse_queue_destroy(q), 0);
	return err < 0 ? err : 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} lives[] = {
	{ "timers", life_of_timers },
	{ "actors", life_of_actors },
	{ "threads of actors", life_of_actor_threads },
	{ "a mesh", life_of_a_mesh },
	{ "a supervisor", life_of_a_supervisor },
	{ "a server", life_of_a_server },
	{ "a poller", life_of_a_poller },
	{ "events", life_of_events },
	{ "a shared mailbox", life_of_a_shared_mailbox },
	{ "a queue", life_of_a_queue },
};

KT_TEST(each_thread_may_be_refused)
{
	for (size_t k = 0; k < ARRAY_SIZE(lives); k++) {
		int threads, files, refused = 0, n;
		bool hit = true;

		KT_CHECKF(!lives[k].run(), "%s", lives[k].name);
		threads = entries_of("/proc/self/task");
		files = entries_of("/proc/self/fd");
		for (n = 1; n < 100 && hit; n++) {
			int err;

			__atomic_store_n(&thread_fails_at, n, __ATOMIC_SEQ_CST);
			err = lives[k].run();
			hit = !__atomic_exchange_n(&thread_fails_at, 0,
						   __ATOMIC_SEQ_CST);
			KT_CHECKF(!err || (hit && err == -EAGAIN),
				  "%s, thread %d: %d", lives[k].name, n, err);
			refused += err != 0;
			KT_CHECKF(comes_down_to("/proc/self/task", threads),
				  "%s, thread %d", lives[k].name, n);
			KT_CHECKF(comes_down_to("/proc/self/fd", files),
				  "%s, thread %d", lives[k].name, n);
		}
		KT_CHECK(!hit);
		kt_note("%s: %d threads, %d that cannot be done without",
			lives[k].name, n - 2, refused);
	}
}

KT_TEST(each_descriptor_may_be_refused)
{
	struct rlimit was, low;

	KT_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = was;
	for (size_t k = 0; k < ARRAY_SIZE(lives); k++) {
		int threads, files, refused = 0, done = 0;

		KT_CHECKF(!lives[k].run(), "%s", lives[k].name);
		threads = entries_of("/proc/self/task");
		files = entries_of("/proc/self/fd");
		/* A few more than it needs: the first that works may do without. */
		for (low.rlim_cur = 0; low.rlim_cur < 200 && done < 8;
		     low.rlim_cur++) {
			int err;

			KT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
			err = lives[k].run();
			KT_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
			KT_CHECKF(!err || err == -EMFILE, "%s, room for %d: %d",
				  lives[k].name, (int)low.rlim_cur, err);
			refused += err != 0;
			done += !err;
			KT_CHECKF(comes_down_to("/proc/self/task", threads),
				  "%s, room for %d", lives[k].name,
				  (int)low.rlim_cur);
			KT_CHECKF(comes_down_to("/proc/self/fd", files),
				  "%s, room for %d", lives[k].name,
				  (int)low.rlim_cur);
		}
		KT_EQ(done, 8);
		kt_note("%s: refused %d times", lives[k].name, refused);
	}
}

KT_MAIN()
