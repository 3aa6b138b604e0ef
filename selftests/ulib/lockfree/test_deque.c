// SPDX-License-Identifier: GPL-2.0-only
/* The work-stealing deque: each item exactly once, whoever takes it. */
#include <sys/wait.h>

#include <pulse-u/deque.h>

#include "lockfree/deque_inline.h"
#include "threads.h"

#define THIEVES 3

static void *item_of(uint64_t value)
{
	return (void *)(uintptr_t)value;
}

static uint64_t value_of(void *item)
{
	return (uintptr_t)item;
}

static struct pulse_deque *make(uint32_t capacity, uint32_t max, uint64_t start)
{
	struct pulse_deque *d = NULL;

	PULSE_OPTS(pulse_deque_opts, opts, .capacity = capacity,
		   .max_capacity = max, .start = start);
	KT_EQ(pulse_deque_create(&opts, &d), 0);
	return d;
}

/* U01 */
KT_TEST(nothing_given_is_an_error_not_a_crash)
{
	struct pulse_deque *d = make(0, 0, 0);
	void *item;

	KT_REQUIRE(d != NULL);
	KT_EQ(pulse_deque_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_deque_destroy(NULL), -EINVAL);
	KT_EQ(pulse_deque_push(NULL, &item), -EINVAL);
	KT_EQ(pulse_deque_push(d, NULL), -EINVAL);
	KT_CHECK(pulse_deque_take(NULL) == NULL);
	KT_EQ(pulse_deque_steal(NULL, &item), -EINVAL);
	KT_EQ(pulse_deque_steal(d, NULL), -EINVAL);
	KT_EQ(pulse_deque_size(NULL), 0);
	KT_EQ(pulse_deque_destroy(d), 0);
}

KT_TEST(sizes_that_cannot_be_are_refused)
{
	static const uint32_t bad[][2] = {
		{ 1, 0 }, { 3, 0 }, { 4, 2 }, { 4, 7 }, { 4, 1U << 31 },
		{ 1U << 31, 0 }, { UINT32_MAX, 0 },
	};
	struct pulse_deque *d;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		PULSE_OPTS(pulse_deque_opts, opts, .capacity = bad[i][0],
			   .max_capacity = bad[i][1]);
		KT_EQ(pulse_deque_create(&opts, &d), -EINVAL);
		KT_CHECK(d == NULL);
	}
	PULSE_OPTS(pulse_deque_opts, opts, .capacity = 4);
	opts.sz = 1;
	KT_EQ(pulse_deque_create(&opts, &d), -EINVAL);
}

KT_TEST(owner_takes_last_in_first_out_and_thief_the_oldest)
{
	struct pulse_deque *d = make(4, 4, 0);
	void *item;

	KT_REQUIRE(d != NULL);
	KT_CHECK(pulse_deque_take(d) == NULL);
	KT_EQ(pulse_deque_steal(d, &item), -ENOENT);
	for (uint64_t i = 1; i <= 4; i++)
		KT_EQ(pulse_deque_push(d, item_of(i)), 0);
	KT_EQ(pulse_deque_push(d, item_of(5)), -EAGAIN);
	KT_EQ(pulse_deque_size(d), 4);
	KT_EQ(value_of(pulse_deque_take(d)), 4);
	KT_EQ(pulse_deque_steal(d, &item), 0);
	KT_EQ(value_of(item), 1);
	KT_EQ(pulse_deque_push(d, item_of(5)), 0);
	KT_EQ(pulse_deque_push(d, item_of(6)), 0);
	KT_EQ(pulse_deque_push(d, item_of(7)), -EAGAIN);
	KT_EQ(value_of(pulse_deque_take(d)), 6);
	KT_EQ(value_of(pulse_deque_take(d)), 5);
	KT_EQ(value_of(pulse_deque_take(d)), 3);
	KT_EQ(value_of(pulse_deque_take(d)), 2);
	KT_CHECK(pulse_deque_take(d) == NULL);
	KT_EQ(pulse_deque_size(d), 0);
	pulse_deque_destroy(d);
}

KT_TEST(growing_keeps_all_and_their_order)
{
	struct pulse_deque *d = make(2, 1024, UINT64_MAX - 100);
	void *item;

	KT_REQUIRE(d != NULL);
	for (uint64_t i = 1; i <= 1024; i++)
		KT_EQ(pulse_deque_push(d, item_of(i)), 0);
	KT_EQ(pulse_deque_push(d, item_of(1)), -EAGAIN);
	for (uint64_t i = 1; i <= 512; i++) {
		KT_EQ(pulse_deque_steal(d, &item), 0);
		KT_EQ(value_of(item), i);
	}
	for (uint64_t i = 1024; i > 512; i--)
		KT_EQ(value_of(pulse_deque_take(d)), i);
	KT_CHECK(pulse_deque_take(d) == NULL);
	pulse_deque_destroy(d);
}

/* U04 */
KT_TEST(a_failed_allocation_leaves_it_as_it_was)
{
	struct pulse_deque *d;
	long n;
	int err;

	for (n = 1; n < 10; n++) {
		pulse__alloc_fail_at(n);
		err = pulse_deque_create(NULL, &d);
		if (!pulse__alloc_failed())
			break;
		KT_EQ(err, -ENOMEM);
		KT_CHECK(d == NULL);
	}
	pulse__alloc_fail_at(0);
	KT_EQ(n, 3);
	KT_EQ(err, 0);
	pulse_deque_destroy(d);

	d = make(2, 4, 0);
	KT_REQUIRE(d != NULL);
	KT_EQ(pulse_deque_push(d, item_of(1)), 0);
	KT_EQ(pulse_deque_push(d, item_of(2)), 0);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_deque_push(d, item_of(3)), -ENOMEM);
	KT_EQ(pulse_deque_size(d), 2);
	KT_EQ(pulse_deque_push(d, item_of(3)), 0);
	KT_EQ(value_of(pulse_deque_take(d)), 3);
	KT_EQ(value_of(pulse_deque_take(d)), 2);
	KT_EQ(value_of(pulse_deque_take(d)), 1);
	pulse_deque_destroy(d);
}

/* ---- thieves ----------------------------------------------------------- */

struct heist {
	struct pulse__deque d;
	struct pulse_deque *handle;	/* in place of it, where not NULL */
	bool over;
	struct checksum loot[THIEVES];
	pthread_t thread[THIEVES];
	int next;
};

/* The exported twins, as another language calls them. */
static int (*volatile push_twin)(struct pulse_deque *deque, void *item) =
	pulse_deque_push;
static void *(*volatile take_twin)(struct pulse_deque *deque) =
	pulse_deque_take;

/* Of a handle: inline and not, as it comes. */
static int heist_push(struct heist *h, uint64_t value)
{
	if (!h->handle)
		return pulse__deque_push(&h->d, item_of(value));
	return value & 4 ? pulse_deque_push(h->handle, item_of(value)) :
			   push_twin(h->handle, item_of(value));
}

static void *heist_take(struct heist *h, bool twin)
{
	if (!h->handle)
		return pulse__deque_take(&h->d);
	return twin ? take_twin(h->handle) : pulse_deque_take(h->handle);
}

static uint64_t heist_size(const struct heist *h)
{
	return h->handle ? pulse_deque_size(h->handle) :
			   pulse__deque_size(&h->d);
}

static void *thief(void *arg)
{
	struct heist *h = arg;
	struct checksum *mine = &h->loot[__atomic_fetch_add(&h->next, 1,
							    __ATOMIC_RELAXED)];
	unsigned int misses = 0;

	for (;;) {
		bool over = pulse__load_acquire(&h->over);
		void *item;
		int err = h->handle ? pulse_deque_steal(h->handle, &item) :
				      pulse__deque_steal(&h->d, &item);

		if (!err)
			checksum_add(mine, value_of(item));
		else if (err == -ENOENT && over)
			return NULL;
		else
			give_way(&misses);
	}
}

static bool heist_asym;		/* the thieves pay */

static void heist_begin(struct heist *h, uint64_t capacity, uint64_t max,
			uint64_t start)
{
	PULSE_OPTS(pulse_deque_opts, opts, .capacity = (uint32_t)capacity,
		   .max_capacity = (uint32_t)max, .start = start,
		   .flags = PULSE_DEQUE_ASYMMETRIC);

	memset(h, 0, sizeof(*h));
	if (heist_asym)
		KT_EQ(pulse_deque_create(&opts, &h->handle), 0);
	else
		KT_EQ(pulse__deque_init(&h->d, capacity, max, start), 0);
	for (int i = 0; i < THIEVES; i++)
		KT_EQ(pthread_create(&h->thread[i], NULL, thief, h), 0);
	/* A head start for nobody. */
	while (READ_ONCE(h->next) < THIEVES)
		sched_yield();
}

static void heist_end(struct heist *h, const struct checksum *in,
		      struct checksum *owner)
{
	uint64_t stolen = 0;
	void *item;

	while ((item = heist_take(h, false)))
		checksum_add(owner, value_of(item));
	pulse__store_release(&h->over, true);
	for (int i = 0; i < THIEVES; i++)
		pthread_join(h->thread[i], NULL);
	for (int i = 0; i < THIEVES; i++) {
		stolen += h->loot[i].nr;
		checksum_merge(owner, &h->loot[i]);
	}
	checksum_equal(owner, in);
	if (in->nr >= 100000)
		kt_note("%llu items, %.1f %% stolen",
			(unsigned long long)in->nr,
			100.0 * (double)stolen / (double)in->nr);
	if (h->handle)
		KT_EQ(pulse_deque_destroy(h->handle), 0);
	else
		pulse__deque_fini(&h->d);
}

/* U10: pushes and takes in bursts, three thieves. */
static void owner_and_thieves(uint64_t items, uint64_t capacity, uint64_t max,
			      uint64_t start)
{
	struct checksum in = { 0 }, owner = { 0 };
	uint64_t random = 88172645463325252ULL, value = 0;
	unsigned int misses = 0;
	static struct heist h;

	heist_begin(&h, capacity, max, start);
	while (value < items) {
		unsigned int pushes, takes;
		void *item;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		pushes = random & 15;
		takes = (random >> 8) & 15;
		if (!(random >> 54))	/* now and then, and no oftener */
			sched_yield();
		while (pushes-- && value < items) {
			if (heist_push(&h, value + 1)) {
				give_way(&misses);
				break;
			}
			checksum_add(&in, ++value);
		}
		while (takes-- && (item = heist_take(&h, takes & 1)))
			checksum_add(&owner, value_of(item));
	}
	heist_end(&h, &in, &owner);
}

KT_TEST(each_item_once_with_three_thieves)
{
	owner_and_thieves(scaled(1000000), 256, 65536, 0);
}

KT_TEST(each_item_once_while_it_grows)
{
	for (int i = 0; i < 20; i++)
		owner_and_thieves(scaled(20000), 2, 1U << 20, 0);
}

KT_TEST(each_item_once_when_it_is_full_all_the_time)
{
	owner_and_thieves(scaled(200000), 4, 4, 0);
}

KT_TEST(each_item_once_over_the_wrap_of_32_bits)
{
	owner_and_thieves(scaled(200000), 16, 1024, (1ULL << 32) - 1000);
}

KT_TEST(each_item_once_over_the_wrap_of_64_bits)
{
	owner_and_thieves(scaled(200000), 16, 1024, UINT64_MAX - 1000);
}

/* There is never more than one item: every take is a race. */
static void race_for_the_last(uint64_t items)
{
	struct checksum in = { 0 }, owner = { 0 };
	unsigned int misses = 0;
	static struct heist h;

	heist_begin(&h, 2, 2, 0);
	for (uint64_t value = 1; value <= items; value++) {
		void *item;

		if (heist_push(&h, value)) {
			KT_FAIL("an empty deque was full");
			break;
		}
		checksum_add(&in, value);
		/* Now and then wait for a thief: then one is really running. */
		while (!(value & 255) && heist_size(&h))
			give_way(&misses);
		for (uint64_t i = 0; i < (value & 31); i++)
			cpu_relax();
		item = heist_take(&h, value & 8);
		if (item)
			checksum_add(&owner, value_of(item));
	}
	heist_end(&h, &in, &owner);
}

/* U10 */
KT_TEST(the_last_item_goes_to_one_only)
{
	race_for_the_last(scaled(1000000));
}

/* U10: without an exchange, as long as no thief says that it is about. */
KT_TEST(the_last_item_goes_to_one_only_where_the_thief_pays)
{
	if (!pulse__asym_local())
		KT_SKIP("membarrier is refused");
	heist_asym = true;
	race_for_the_last(scaled(300000));
	heist_asym = false;
}

KT_TEST(each_item_once_where_the_thief_pays_for_the_fence)
{
	if (!pulse__asym_local())
		KT_SKIP("membarrier is refused");
	heist_asym = true;
	owner_and_thieves(scaled(300000), 256, 65536, 0);
	owner_and_thieves(scaled(50000), 4, 4, UINT64_MAX - 1000);
	for (int i = 0; i < 5; i++)
		owner_and_thieves(scaled(20000), 2, 1U << 20, 0);
	heist_asym = false;
}

KT_TEST(half_is_stolen_oldest_first)
{
	struct pulse_deque *d = make(16, 16, 0);
	void *items[16];

	KT_REQUIRE(d != NULL);
	KT_EQ(pulse_deque_steal_half(NULL, items, 1), -EINVAL);
	KT_EQ(pulse_deque_steal_half(d, NULL, 1), -EINVAL);
	KT_EQ(pulse_deque_steal_half(d, items, 0), -EINVAL);
	KT_EQ(pulse_deque_steal_half(d, items, 16), -ENOENT);
	for (uint64_t i = 1; i <= 11; i++)
		KT_EQ(pulse_deque_push(d, item_of(i)), 0);
	KT_EQ(pulse_deque_steal_half(d, items, 16), 6);
	for (uint64_t i = 1; i <= 6; i++)
		KT_EQ(value_of(items[i - 1]), i);
	KT_EQ(pulse_deque_steal_half(d, items, 2), 2);
	KT_EQ(value_of(items[1]), 8);
	KT_EQ(pulse_deque_size(d), 3);
	KT_EQ(value_of(pulse_deque_take(d)), 11);
	pulse_deque_destroy(d);
}

KT_TEST(asymmetric_is_asked_for_by_a_flag)
{
	PULSE_OPTS(pulse_deque_opts, opts, .flags = PULSE_DEQUE_ASYMMETRIC);
	struct pulse_deque *d;
	void *item;

	KT_EQ(pulse_deque_create(&opts, &d), 0);
	KT_EQ(pulse_deque_asymmetric(d), pulse__asym_local());
	KT_EQ(pulse_deque_push(d, item_of(1)), 0);
	KT_EQ(pulse_deque_push(d, item_of(2)), 0);
	KT_EQ(pulse_deque_steal(d, &item), 0);
	KT_EQ(value_of(item), 1);
	KT_EQ(value_of(pulse_deque_take(d)), 2);
	KT_EQ(pulse_deque_destroy(d), 0);
	KT_EQ(pulse_deque_asymmetric(NULL), false);
	/* A caller of the first version, which had no flags. */
	opts.sz = offsetof(struct pulse_deque_opts, flags);
	KT_EQ(pulse_deque_create(&opts, &d), 0);
	KT_EQ(pulse_deque_asymmetric(d), false);
	KT_EQ(pulse_deque_destroy(d), 0);
	opts.sz = sizeof(opts);
	opts.flags = 2;
	KT_EQ(pulse_deque_create(&opts, &d), -EINVAL);
}

/* What the item points to must be visible to the thief; TSan watches. */
struct parcel {
	uint64_t content;
};

static void *open_parcels(void *arg)
{
	struct heist *h = arg;
	uint64_t *sum = calloc(1, sizeof(*sum));
	unsigned int misses = 0;
	void *item;

	while (!pulse__load_acquire(&h->over) || pulse__deque_size(&h->d)) {
		if (pulse__deque_steal(&h->d, &item)) {
			give_way(&misses);
			continue;
		}
		*sum += ((struct parcel *)item)->content;
		((struct parcel *)item)->content = 0;
	}
	return sum;
}

KT_TEST(what_was_written_before_a_push_is_seen_after_the_steal)
{
	uint64_t nr = scaled(100000), want = 0, got = 0;
	struct parcel *parcels = calloc(nr, sizeof(*parcels));
	static struct heist h;
	pthread_t t[THIEVES];
	unsigned int misses = 0;

	KT_REQUIRE(parcels != NULL);
	memset(&h, 0, sizeof(h));
	KT_EQ(pulse__deque_init(&h.d, 16, 64, 0), 0);
	for (int i = 0; i < THIEVES; i++)
		KT_EQ(pthread_create(&t[i], NULL, open_parcels, &h), 0);
	for (uint64_t i = 0; i < nr; i++) {
		parcels[i].content = i;
		want += i;
		while (pulse__deque_push(&h.d, &parcels[i]))
			give_way(&misses);
	}
	pulse__store_release(&h.over, true);
	for (int i = 0; i < THIEVES; i++) {
		void *sum;

		pthread_join(t[i], &sum);
		got += *(uint64_t *)sum;
		free(sum);
	}
	KT_EQ(got, want);
	pulse__deque_fini(&h.d);
	free(parcels);
}

/* U09 */
KT_TEST(a_forked_child_is_told)
{
	struct pulse_deque *d = make(4, 4, 0);
	int status = 0;
	pid_t pid;

	KT_REQUIRE(d != NULL);
	pulse_deque_push(d, item_of(1));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		void *item;
		int bad = pulse_deque_push(d, item_of(2)) != -EOWNERDEAD;

		bad |= pulse_deque_take(d) != NULL;
		bad |= pulse_deque_steal(d, &item) != -EOWNERDEAD;
		bad |= pulse_deque_destroy(d) != 0;
		_exit(bad);
	}
	waitpid(pid, &status, 0);
	KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	KT_EQ(value_of(pulse_deque_take(d)), 1);
	pulse_deque_destroy(d);
}

KT_MAIN()
