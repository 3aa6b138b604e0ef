// SPDX-License-Identifier: GPL-2.0-only
/* Actors: messages, calls, routing, state, time, what is refused. */
#include "actor/actor.h"
#include "helpers.h"

/* U01 */
KT_TEST(missing_handles_are_refused)
{
	struct pulse_actors_stats s = { .sz = sizeof(s) };
	struct pulse_actors *sys = actors_of(1);
	PULSE_OPTS(pulse_actor_type, t, .name = "t", .receive = count_msg);
	PULSE_OPTS(pulse_actor_opts, o, .type = "none");
	size_t bytes = 4;
	uint64_t ref;
	long n = 0;

	KT_EQ(pulse_actors_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_actors_destroy(NULL), -EINVAL);
	KT_EQ(pulse_actor_register(NULL, &t), -EINVAL);
	KT_EQ(pulse_actor_register(sys, NULL), -EINVAL);
	KT_EQ(pulse_actor_register(sys, &t), 0);
	KT_EQ(pulse_actor_register(sys, &t), -EEXIST);
	t.name = "";
	KT_EQ(pulse_actor_register(sys, &t), -EINVAL);
	t.name = "u";
	t.routing = 9;
	KT_EQ(pulse_actor_register(sys, &t), -EINVAL);
	t.sz = 3;
	KT_EQ(pulse_actor_register(sys, &t), -EINVAL);
	KT_EQ(pulse_actor_spawn(sys, NULL, &ref), -EINVAL);
	KT_EQ(pulse_actor_spawn(sys, &o, &ref), -ENOENT);
	o.type = "t";
	o.thread = PULSE_ACTOR_ON(0);
	KT_EQ(pulse_actor_spawn(sys, &o, &ref), -ENOENT);
	o.thread = 0;
	o.link = 77;
	KT_EQ(pulse_actor_spawn(sys, &o, &ref), -ESRCH);
	KT_EQ(seen_of(sys).alive, 0);
	KT_EQ(pulse_actor_send(sys, 0, 0, NULL, 0), -ESRCH);
	KT_EQ(pulse_actor_send(sys, UINT64_MAX, 0, NULL, 0), -ESRCH);
	KT_EQ(pulse_actor_send(NULL, 1, 0, NULL, 0), -EINVAL);
	ref = spawn_of(sys, "t", &n);
	KT_EQ(pulse_actor_send(sys, ref, 0, NULL, 1), -EINVAL);
	KT_EQ(pulse_actor_send(sys, ref, 0, &n, (size_t)1 << 31), -EMSGSIZE);
	KT_EQ(pulse_actor_call(sys, ref, 0, NULL, 0, -1, NULL, NULL), -EINVAL);
	KT_EQ(pulse_actor_call(sys, ref, 0, NULL, 0, 0, NULL, &bytes), -EINVAL);
	KT_EQ(pulse_actor_send_type(sys, "none", 0, NULL, 0), -ENOENT);
	KT_EQ(pulse_actor_broadcast(sys, "none", 0, NULL, 0), -ENOENT);
	KT_EQ(pulse_actor_stop(sys, ref, 1), -EINVAL);
	KT_EQ(pulse_actor_stop(sys, ref + 1, 0), -ESRCH);
	KT_EQ(pulse_actor_reply(NULL, NULL, 0), -EINVAL);
	KT_EQ(pulse_actor_answer(NULL, 0, NULL, 0), -EINVAL);
	KT_EQ(pulse_actor_monitor(NULL, ref, NULL), -EINVAL);
	KT_EQ(pulse_actor_link(NULL, ref), -EINVAL);
	KT_EQ(pulse_actor_timer_cancel(NULL), -EINVAL);
	KT_EQ(pulse_actors_stats(sys, NULL), -EINVAL);
	KT_CHECK(!pulse_actor_alloc(NULL, 1) && !pulse_actor_state(NULL));
	KT_EQ(pulse_actor_self(NULL), PULSE_ACTOR_NONE);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

/* ---- messages ---------------------------------------------------------------- */

struct seen {
	long nr, wrong, last[8];
	size_t bytes;
};

static void in_order(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct seen *s = pulse_actor_state(self);
	const unsigned char *p = m->data;

	if (m->tag >> 32 >= 8 || (long)(uint32_t)m->tag != s->last[m->tag >> 32] + 1)
		s->wrong++;
	else
		s->last[m->tag >> 32]++;
	for (uint32_t i = 0; i < m->bytes; i++)
		s->wrong += p[i] != (unsigned char)m->tag;
	s->bytes += m->bytes;
	ATOMIC_INC(s->nr);
}

struct sender {
	struct pulse_actors *sys;
	uint64_t ref;
	long id, nr;
	size_t most;
	pthread_t thread;
};

static void *send_main(void *arg)
{
	struct sender *s = arg;
	unsigned char data[600];

	for (long i = 1; i <= s->nr; i++) {
		memset(data, (int)i, sizeof(data));
		KT_EQ(pulse_actor_send(s->sys, s->ref, (uint64_t)s->id << 32 | (uint64_t)i,
				       data, (size_t)i * 37 % (s->most + 1)), 0);
	}
	return NULL;
}

static void order_test(int thread)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "t", .receive = in_order,
		   .init = keep_arg);
	struct pulse_actors *sys = actors_of(2);
	struct seen seen = { 0 };
	struct sender s[4];
	size_t bytes = 0;

	KT_EQ(pulse_actor_register(sys, &t), 0);
	if (thread)
		KT_EQ(pulse_actors_thread_add(sys, NULL), thread - 1);
	for (int i = 0; i < 4; i++) {
		s[i] = (struct sender){ .sys = sys, .id = i, .nr = kt_scale(20000),
					.most = i & 1 ? 500 : 30 };
		s[i].ref = i ? s[0].ref : spawn_on(sys, "t", &seen, thread);
		for (long k = 1; k <= s[i].nr; k++)
			bytes += (size_t)k * 37 % (s[i].most + 1);
	}
	for (int i = 0; i < 4; i++)
		pthread_create(&s[i].thread, NULL, send_main, &s[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(s[i].thread, NULL);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(seen.nr) == 4 * s[0].nr));
	KT_EQ(pulse_actors_destroy(sys), 0);
	KT_EQ(seen.wrong, 0);
	KT_EQ(seen.bytes, bytes);
}

KT_TEST(each_senders_messages_come_whole_and_in_order)
{
	order_test(0);
}

KT_TEST(likewise_on_a_thread_of_the_system)
{
	order_test(PULSE_ACTOR_ON(0));
}

static void batch_in_order(struct pulse_actor *self,
			   const struct pulse_actor_msg *const *msgs,
			   unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		in_order(self, msgs[i]);
}

static void only_calls(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	KT_EQ(m->kind, PULSE_ACTOR_CALL);
	pulse_actor_reply(self, NULL, 0);
}

KT_TEST(messages_come_in_batches)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "t", .receive = only_calls,
		   .receive_batch = batch_in_order, .init = keep_arg);
	struct pulse_actors *sys = actors_of(1);
	struct seen seen = { 0 };
	uint64_t ref;

	KT_EQ(pulse_actor_register(sys, &t), 0);
	ref = spawn_of(sys, "t", &seen);
	for (uint64_t i = 1; i <= 1000; i++)
		KT_EQ(pulse_actor_send(sys, ref, i, NULL, 0), 0);
	KT_EQ(pulse_actor_call(sys, ref, 0, NULL, 0, LATE(), NULL, NULL), 0);
	KT_EQ(seen.nr, 1000);
	KT_EQ(seen.wrong, 0);
	KT_CHECK(EVENTUALLY(seen_of(sys).handled == 1001));
	KT_EQ(pulse_actors_destroy(sys), 0);
}

/* ---- calls --------------------------------------------------------------------- */

enum { ADD, NOTHING, FAIL, LATER, SELF, EXIT, SLEEP, RELAY, STUCK };

struct calculator {
	struct pulse_actor_later *later;
	uint64_t other;
	sem_t inside, go;
	int err;
};

static void calculate(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct calculator *c = pulse_actor_state(self);
	const int *v = m->data;
	int sum = v ? v[0] + v[1] : 0;
	size_t bytes = sizeof(sum);

	switch (m->tag) {
	case ADD:
		KT_EQ(pulse_actor_reply(self, &sum, sizeof(sum)), 0);
		KT_EQ(pulse_actor_reply(self, &sum, sizeof(sum)), -ENOTCONN);
		break;
	case FAIL:
		pulse_actor_reply_error(self, -EDOM);
		break;
	case LATER:
		KT_EQ(pulse_actor_defer(self, &c->later), 0);
		sem_post(&c->inside);
		break;
	case SELF:
		sum = pulse_actor_call(pulse_actor_system(self),
				       pulse_actor_self(self), ADD, NULL, 0,
				       PULSE_FOREVER, NULL, NULL);
		pulse_actor_reply(self, &sum, sizeof(sum));
		break;
	case EXIT:
		pulse_actor_exit(self, -EIO);
		break;
	case SLEEP:
		sem_post(&c->inside);
		sem_wait_all(&c->go, 1);
		pulse_actor_reply(self, NULL, 0);
		break;
	case RELAY:
		c->err = pulse_actor_call(pulse_actor_system(self), c->other,
					  m->bytes ? ADD : RELAY, m->data,
					  m->bytes, LATE(), &sum, &bytes);
		pulse_actor_reply(self, &sum, sizeof(sum));
		break;
	case STUCK:
		sem_post(&c->inside);
		sem_wait_all(&c->go, 1);
		break;
	}
}

static struct pulse_actors *calculators(uint32_t workers, struct calculator *c,
					uint64_t *ref)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "calc", .receive = calculate,
		   .init = keep_arg);
	struct pulse_actors *sys = actors_of(workers);

	memset(c, 0, sizeof(*c));
	sem_init(&c->inside, 0, 0);
	sem_init(&c->go, 0, 0);
	KT_EQ(pulse_actor_register(sys, &t), 0);
	*ref = spawn_of(sys, "calc", c);
	return sys;
}

static int call(struct pulse_actors *sys, uint64_t ref, uint64_t tag,
		int64_t deadline, int *sum)
{
	int v[2] = { 10, 5 };
	size_t bytes = sizeof(*sum);

	return pulse_actor_call(sys, ref, tag, v, sizeof(v), deadline, sum,
				&bytes);
}

/* V14: a call to itself */
KT_TEST(calls_and_all_their_ends)
{
	struct calculator c;
	struct pulse_actors *sys;
	uint64_t ref;
	size_t small = 2, none = 0;
	int sum = 0;

	sys = calculators(1, &c, &ref);
	KT_EQ(call(sys, ref, ADD, PULSE_FOREVER, &sum), 0);
	KT_EQ(sum, 15);
	KT_EQ(pulse_actor_call_type(sys, "calc", ADD, NULL, 0, LATE(), NULL, NULL), 0);
	KT_EQ(pulse_actor_call(sys, ref, ADD, NULL, 0, LATE(), &sum, &small), -EMSGSIZE);
	KT_EQ(small, sizeof(int));
	KT_EQ(pulse_actor_call(sys, ref, ADD, NULL, 0, LATE(), NULL, &none), -EMSGSIZE);
	KT_EQ(call(sys, ref, NOTHING, LATE(), &sum), -ENOMSG);
	KT_EQ(call(sys, ref, FAIL, LATE(), &sum), -EDOM);
	KT_EQ(call(sys, ref, SELF, LATE(), &sum), 0);
	KT_EQ(sum, -EDEADLK);
	/* Given up, and answered after that. */
	KT_EQ(call(sys, ref, LATER, SOON(), &sum), -ETIMEDOUT);
	sem_wait_all(&c.inside, 1);
	KT_EQ(pulse_actor_answer(c.later, 0, &sum, sizeof(sum)), -ECANCELED);
	KT_EQ(call(sys, ref, EXIT, LATE(), &sum), -ESRCH);
	KT_EQ(call(sys, ref, ADD, LATE(), &sum), -ESRCH);
	KT_EQ(pulse_actor_alive(sys, ref), 0);
	KT_EQ(pulse_actor_call_type(sys, "calc", ADD, NULL, 0, LATE(), NULL, NULL), -ESRCH);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

static void *answer_main(void *arg)
{
	struct calculator *c = arg;
	int v = 77;

	sem_wait_all(&c->inside, 1);
	nap_us(1000);
	KT_EQ(pulse_actor_answer(c->later, 0, &v, sizeof(v)), 0);
	return NULL;
}

KT_TEST(a_call_may_be_answered_by_another_thread_later)
{
	struct calculator c;
	struct pulse_actors *sys;
	pthread_t t;
	uint64_t ref;
	int sum;

	sys = calculators(1, &c, &ref);
	for (int i = 0; i < 20; i++) {
		pthread_create(&t, NULL, answer_main, &c);
		KT_EQ(call(sys, ref, LATER, LATE(), &sum), 0);
		KT_EQ(sum, 77);
		pthread_join(t, NULL);
	}
	KT_EQ(pulse_actors_destroy(sys), 0);
}

struct caller {
	struct pulse_actors *sys;
	uint64_t ref, tag;
	int ret;
	pthread_t thread;
};

static void *call_main(void *arg)
{
	struct caller *c = arg;
	int sum;

	c->ret = call(c->sys, c->ref, c->tag, LATE(), &sum);
	return NULL;
}

KT_TEST(who_calls_one_that_dies_is_told)
{
	struct calculator c;
	struct caller callers[3];
	uint64_t ref;
	struct pulse_actors *sys = calculators(2, &c, &ref);

	for (int i = 0; i < 3; i++) {
		callers[i] = (struct caller){ .sys = sys, .ref = ref,
					      .tag = i ? ADD : STUCK };
		pthread_create(&callers[i].thread, NULL, call_main, &callers[i]);
		if (!i)
			sem_wait_all(&c.inside, 1);
	}
	nap_us(2000);
	KT_EQ(pulse_actor_stop(sys, ref, -EPERM), 0);
	KT_EQ(pulse_actor_stop(sys, ref, -EPERM), -EALREADY);
	sem_post(&c.go);
	for (int i = 0; i < 3; i++) {
		pthread_join(callers[i].thread, NULL);
		KT_EQ(callers[i].ret, -ESRCH);
	}
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_TEST(actors_call_each_other_on_one_worker)
{
	PULSE_OPTS(pulse_actor_opts, o, .type = "calc");
	struct calculator c[4];
	uint64_t ref[4];
	struct pulse_actors *sys = calculators(1, &c[0], &ref[0]);
	int sum;

	for (int i = 1; i < 4; i++) {
		memset(&c[i], 0, sizeof(c[i]));
		o.arg = &c[i];
		KT_EQ(pulse_actor_spawn(sys, &o, &ref[i]), 0);
		c[i - 1].other = ref[i];
	}
	for (int i = 0; i < kt_scale(1000); i++) {
		KT_EQ(call(sys, ref[2], RELAY, LATE(), &sum), 0);
		KT_EQ(sum, 15);
	}
	KT_EQ(c[2].err, 0);
	/* A circle: 0 -> 1 -> 0. Who closes it is told. */
	c[1].other = ref[0];
	KT_EQ(pulse_actor_call(sys, ref[0], RELAY, NULL, 0, LATE(), NULL, NULL), 0);
	KT_EQ(c[0].err, 0);
	KT_EQ(c[1].err, -EDEADLK);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

/* ---- types and threads -------------------------------------------------------------- */

static int routes, last_option, last_options, last_thread;

static void note_route(const struct pulse_actor_route *r, void *arg)
{
	KT_STREQ(r->type, arg);
	routes++;
	last_option = (int)r->option;
	last_options = (int)r->options;
	last_thread = r->thread;
}

static void report_thread(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct pulse_actor_context c = { .sz = sizeof(c) };
	long *count = pulse_actor_state(self);

	KT_EQ(pulse_actor_context(self, &c), 0);
	KT_EQ(c.ref, pulse_actor_self(self));
	KT_EQ(c.ref, pulse_actor_self(NULL));
	KT_STREQ(c.type, "w");
	if (m->kind == PULSE_ACTOR_CALL)
		pulse_actor_reply(self, &c.thread_id, sizeof(c.thread_id));
	ATOMIC_INC(*count);
}

KT_TEST(round_robin_over_threads_registry_and_trace)
{
	PULSE_OPTS(pulse_actors_opts, o, .num_workers = 1, .trace = note_route,
		   .trace_arg = (void *)"w");
	PULSE_OPTS(pulse_actor_type, t, .name = "w", .receive = report_thread,
		   .init = keep_arg);
	struct pulse_actor_info info[8] = { { .sz = sizeof(info[0]) } };
	const char *names[4];
	struct pulse_actors *sys;
	long count[5] = { 0 };
	size_t bytes;
	int thread;

	routes = 0;
	KT_EQ(pulse_actors_create(&o, &sys), 0);
	KT_EQ(pulse_actor_register(sys, &t), 0);
	for (int i = 0; i < 4; i++) {
		PULSE_OPTS(pulse_actor_thread, how, .name = "host", .cpu = -1);

		KT_EQ(pulse_actors_thread_add(sys, &how), i);
		spawn_on(sys, "w", &count[i], PULSE_ACTOR_ON(i));
	}
	spawn_of(sys, "w", &count[4]);
	for (int i = 0; i < 50; i++) {
		bytes = sizeof(thread);
		KT_EQ(pulse_actor_call_type(sys, "w", 0, NULL, 0, LATE(),
					    &thread, &bytes), 0);
		KT_EQ(last_option, i % 5);
		KT_EQ(last_options, 5);
		KT_EQ(last_thread, i % 5 < 4 ? i % 5 : -1);
		if (i % 5 < 4)
			KT_EQ(thread, i % 5);
		else
			KT_CHECK(thread >= PULSE__ACTOR_THREADS);
	}
	KT_EQ(routes, 50);
	for (int i = 0; i < 5; i++)
		KT_CHECK(EVENTUALLY(ATOMIC_GET(count[i]) == 10));
	KT_EQ(pulse_actor_broadcast(sys, "w", 0, NULL, 0), 5);
	for (int i = 0; i < 5; i++)
		KT_CHECK(EVENTUALLY(ATOMIC_GET(count[i]) == 11));
	KT_EQ(pulse_actor_types(sys, names, 4), 1);
	KT_STREQ(names[0], "w");
	KT_EQ(pulse_actor_list(sys, "w", NULL, 0), 5);
	KT_EQ(pulse_actor_list(sys, "w", info, 8), 5);
	for (int i = 0; i < 5; i++)
		KT_EQ(info[i].thread, i < 4 ? i : -1);
	KT_EQ(pulse_actor_list(sys, "none", NULL, 0), -ENOENT);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_TEST(a_key_stays_with_its_instance)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "h", .receive = count_msg,
		   .init = keep_arg, .routing = PULSE_ROUTE_HASH);
	struct pulse_actors *sys = actors_of(1);
	uint64_t refs[8], before[1000], now;
	long count = 0, moved = 0, per[8] = { 0 };

	KT_EQ(pulse_actor_register(sys, &t), 0);
	for (int i = 0; i < 8; i++)
		refs[i] = spawn_of(sys, "h", &count);
	for (uint64_t k = 0; k < 1000; k++) {
		KT_EQ(pulse_actor_find(sys, "h", k, &before[k]), 0);
		KT_EQ(pulse_actor_find(sys, "h", k, &now), 0);
		KT_EQ(now, before[k]);
		for (int i = 0; i < 8; i++)
			per[i] += refs[i] == now;
	}
	for (int i = 0; i < 8; i++)
		KT_CHECKF(per[i] > 60 && per[i] < 250, "%ld of 1000", per[i]);
	KT_EQ(pulse_actor_stop(sys, refs[3], 0), 0);
	KT_CHECK(EVENTUALLY(pulse_actor_list(sys, "h", NULL, 0) == 7));
	for (uint64_t k = 0; k < 1000; k++) {
		KT_EQ(pulse_actor_find(sys, "h", k, &now), 0);
		moved += now != before[k];
		if (before[k] != refs[3])
			KT_EQ(now, before[k]);
	}
	KT_EQ(moved, per[3]);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

static void wait_at_gate(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	struct gate *g = pulse_actor_state(self);

	(void)m;
	sem_post(&g->inside);
	sem_wait_all(&g->open, 1);
}

KT_TEST(the_least_loaded_one_gets_it)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "l", .receive = wait_at_gate,
		   .init = keep_arg, .routing = PULSE_ROUTE_LEAST_LOADED);
	struct pulse_actor_info info[2] = { { .sz = sizeof(info[0]) } };
	struct pulse_actors *sys = actors_of(2);
	struct gate g;

	gate_init(&g);
	KT_EQ(pulse_actor_register(sys, &t), 0);
	for (int i = 0; i < 2; i++)
		KT_EQ(pulse_actors_thread_add(sys, NULL), i);
	spawn_on(sys, "l", &g, PULSE_ACTOR_ON(0));
	spawn_on(sys, "l", &g, PULSE_ACTOR_ON(1));
	KT_EQ(pulse_actor_list(sys, "l", info, 2), 2);
	for (int i = 0; i < 6; i++)
		KT_EQ(pulse_actor_send(sys, info[0].ref, 0, NULL, 0), 0);
	for (int i = 0; i < 6; i++)
		KT_EQ(pulse_actor_send_type(sys, "l", 0, NULL, 0), 0);
	KT_EQ(pulse_actor_list(sys, "l", info, 2), 2);
	KT_CHECK(info[0].queued >= 6 && info[1].queued >= 6);
	for (int i = 0; i < 20; i++)
		sem_post(&g.open);
	sem_wait_all(&g.inside, 12);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_TEST(node_local_finds_one_here_or_any)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "n", .receive = count_msg,
		   .init = keep_arg, .routing = PULSE_ROUTE_NODE);
	struct pulse_actors *sys = actors_of(1);
	PULSE_OPTS(pulse_actor_opts, o, .type = "n", .node = 900);
	long count = 0;
	uint64_t far, here, ref;

	o.arg = &count;
	KT_EQ(pulse_actor_register(sys, &t), 0);
	KT_EQ(pulse_actor_spawn(sys, &o, &far), 0);
	KT_EQ(pulse_actor_find(sys, "n", 0, &ref), 0);
	KT_EQ(ref, far);
	here = spawn_of(sys, "n", &count);
	for (int i = 0; i < 10; i++) {
		KT_EQ(pulse_actor_find(sys, "n", 0, &ref), 0);
		/* The test may be moved to another node meanwhile. */
		KT_CHECK(ref == here || ref == far);
	}
	KT_EQ(pulse_actors_destroy(sys), 0);
}

/* ---- state, memory, time --------------------------------------------------------------- */

static int destroyed;

static void destroy_state(void *p)
{
	KT_EQ(*(int *)p, 5);
	destroyed++;
}

static void use_state(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	int *state = pulse_actor_state(self), found = state ? *state : -1;
	void *big;

	switch (m->tag) {
	case 0:
		state = pulse_actor_alloc(self, sizeof(*state));
		*state = 5;
		KT_EQ((uintptr_t)state % 16, 0);
		pulse_actor_set_state(self, state, destroy_state);
		break;
	case 1:
		pulse_actor_reset_state(self);
		break;
	case 2:
		KT_CHECK(!pulse_actor_alloc(self, 2000));
		big = pulse_actor_alloc(self, 900);
		KT_CHECK(big);
		KT_CHECK(!pulse_actor_alloc(self, 900));
		pulse_actor_free(self, big);
		KT_CHECK(pulse_actor_alloc(self, 900));
		break;
	}
	pulse_actor_reply(self, &found, sizeof(found));
}

KT_TEST(state_and_memory_end_with_their_actor)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "s", .receive = use_state,
		   .memory_limit = 1000);
	struct pulse_actors *sys = actors_of(1);
	static const struct { uint64_t tag; int found, destroyed; } steps[] = {
		{ 3, -1, 0 }, { 0, -1, 0 }, { 3, 5, 0 }, { 0, 5, 1 },
		{ 1, 5, 2 }, { 3, -1, 2 }, { 2, -1, 2 }, { 0, -1, 2 },
	};
	uint64_t ref;
	size_t bytes;
	int found;

	destroyed = 0;
	KT_EQ(pulse_actor_register(sys, &t), 0);
	ref = spawn_of(sys, "s", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		bytes = sizeof(found);
		KT_EQ(pulse_actor_call(sys, ref, steps[i].tag, NULL, 0, LATE(),
				       &found, &bytes), 0);
		KT_EQ(found, steps[i].found);
		KT_EQ(destroyed, steps[i].destroyed);
	}
	KT_EQ(pulse_actor_stop(sys, ref, 0), 0);
	KT_CHECK(EVENTUALLY(!seen_of(sys).alive));
	KT_EQ(destroyed, 3);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

static void idle_count(struct pulse_actor *self, const struct pulse_actor_msg *m)
{
	long *n = pulse_actor_state(self);

	if (m->kind == PULSE_ACTOR_TIMEOUT) {
		nap_us(5000);	/* meanwhile the next ones are due */
		if (ATOMIC_INC(*n) == 2)
			pulse_actor_set_timeout(self, 0);
	} else {
		KT_EQ(pulse_actor_set_timeout(self, 2000000), 0);
	}
}

KT_TEST(timers_and_timeouts)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "c", .receive = count_msg,
		   .init = keep_arg);
	PULSE_OPTS(pulse_actor_type, i, .name = "i", .receive = idle_count,
		   .init = keep_arg);
	struct pulse_actors *sys = actors_of(1);
	struct pulse_actor_timer *once, *often, *never, *dead;
	long count = 0, idle = 0;
	uint64_t ref, other;
	char big[257];

	KT_EQ(pulse_actor_register(sys, &t), 0);
	KT_EQ(pulse_actor_register(sys, &i), 0);
	ref = spawn_of(sys, "c", &count);
	KT_EQ(pulse_actor_send_at(sys, ref, SOON(), 1, 0, NULL, 0, NULL), -EINVAL);
	KT_EQ(pulse_actor_send_at(sys, ref, SOON(), 0, 0, big, sizeof(big), NULL), -EMSGSIZE);
	KT_EQ(pulse_actor_send_at(sys, 99, SOON(), 0, 0, NULL, 0, NULL), -ESRCH);
	KT_EQ(pulse_actor_send_at(sys, ref, SOON(), 0, 0, "x", 2, NULL), 0);
	KT_EQ(pulse_actor_send_at(sys, ref, SOON(), 0, 0, NULL, 0, &once), 0);
	KT_EQ(pulse_actor_send_at(sys, ref, LATE() * 2, 0, 0, NULL, 0, &never), 0);
	KT_EQ(pulse_actor_send_at(sys, ref, LATE() * 2, 0, 0, NULL, 0, NULL), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(count) == 2));
	KT_EQ(pulse_actor_timer_cancel(once), 0);
	KT_EQ(pulse_actor_timer_cancel(never), 1);
	KT_EQ(pulse_actor_send_at(sys, ref, SOON(), 1000000, 0, NULL, 0, &often), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(count) >= 7));
	KT_EQ(pulse_actor_timer_cancel(often), 1);
	/* One whose actor ends meanwhile. */
	other = spawn_of(sys, "c", &idle);
	KT_EQ(pulse_actor_send_at(sys, other, SOON(), 1000000, 0, NULL, 0, &dead), 0);
	KT_EQ(pulse_actor_stop(sys, other, 0), 0);
	KT_CHECK(EVENTUALLY(!pulse_actor_alive(sys, other)));
	nap_us(5000);
	KT_CHECK(pulse_actor_timer_cancel(dead) >= 0);
	ATOMIC_SET(idle, 0);
	ref = spawn_of(sys, "i", &idle);
	KT_EQ(pulse_actor_send(sys, ref, 0, NULL, 0), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(idle) == 3));
	nap_us(10000);
	KT_EQ(ATOMIC_GET(idle), 3);
	KT_EQ(pulse_actor_send(sys, ref, 0, NULL, 0), 0);
	KT_CHECK(EVENTUALLY(ATOMIC_GET(idle) > 3));
	KT_EQ(pulse_actors_destroy(sys), 0);
}

/* U04 */
KT_TEST(each_allocation_may_fail)
{
	PULSE_OPTS(pulse_actor_type, t, .name = "calc", .receive = calculate,
		   .init = keep_arg);
	struct calculator c = { 0 };
	long n;

	for (n = 1; n < 1000; n++) {
		struct pulse_actors *sys = NULL;
		uint64_t ref = 0, other;
		bool failed;
		int err, sum;

		pulse__alloc_fail_at(n);
		err = pulse_actors_create(NULL, &sys);
		if (!err)
			err = pulse_actor_register(sys, &t);
		for (int i = 0; i < 2 && !err; i++) {
			PULSE_OPTS(pulse_actor_opts, o, .type = "calc", .arg = &c,
				   .link = ref);

			err = pulse_actor_spawn(sys, &o, &other);
			ref = other;
		}
		if (!err)
			err = call(sys, ref, ADD, LATE(), &sum);
		if (!err)
			err = pulse_actor_send_type(sys, "calc", NOTHING, NULL, 0);
		if (!err)
			err = pulse_actor_broadcast(sys, "calc", NOTHING, NULL, 0);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_CHECKF(err >= 0 || err == -ENOMEM, "%ld: %d", n, err);
		if (sys)
			KT_EQ(pulse_actors_destroy(sys), 0);
		if (!failed)
			break;
	}
	KT_CHECK(n > 10 && n < 1000);
	kt_note("%ld allocations", n - 1);
}

static int use_in_child(void *arg)
{
	struct pulse_actors *sys = arg;

	if (pulse_actor_send(sys, 1, 0, NULL, 0) != -EOWNERDEAD)
		return 1;
	return pulse_actors_destroy(sys) == -EOWNERDEAD ? 0 : 2;
}

KT_TEST(a_forked_child_is_told)
{
	struct calculator c;
	uint64_t ref;
	struct pulse_actors *sys = calculators(1, &c, &ref);
	int sum;

	KT_EQ(in_child(use_in_child, sys), 0);
	KT_EQ(call(sys, ref, ADD, LATE(), &sum), 0);
	KT_EQ(pulse_actors_destroy(sys), 0);
}

KT_MAIN()
