// SPDX-License-Identifier: GPL-2.0-only
/* Buffers: sizes, slices, copies, limits, what is kept. */
#include "buffers.h"

/* U01 */
KT_TEST(missing_handles_are_refused)
{
	struct pulse_buffer_stats s = { .sz = sizeof(s) };
	struct pulse_buffer *out = (void *)1, *buf;

	KT_EQ(pulse_buffer_pool_create(NULL, NULL), -EINVAL);
	KT_EQ(pulse_buffer_pool_destroy(NULL), -EINVAL);
	KT_EQ(pulse_buffer_pool_get(NULL, 1, 0, &out), -EINVAL);
	KT_CHECK(!out);
	KT_EQ(pulse_buffer_wrap(NULL, &s, 1, NULL, NULL, &out), -EINVAL);
	KT_EQ(pulse_buffer_get(NULL), -EINVAL);
	pulse_buffer_put(NULL);
	KT_EQ(pulse_buffer_slice(NULL, 0, 0, &out), -EINVAL);
	KT_EQ(pulse_buffer_copy(NULL, 0, &out), -EINVAL);
	KT_CHECK(!pulse_buffer_data(NULL));
	KT_EQ(pulse_buffer_len(NULL), 0);
	KT_EQ(pulse_buffer_capacity(NULL), 0);
	KT_EQ(pulse_buffer_set_len(NULL, 0), -EINVAL);
	KT_EQ(pulse_buffer_node(NULL), -EINVAL);
	KT_EQ(pulse_buffer_pool_stats(NULL, &s), -EINVAL);
	start();
	buf = take(10);
	KT_EQ(pulse_buffer_pool_get(pool, 1, 0, NULL), -EINVAL);
	KT_EQ(pulse_buffer_pool_get(pool, 1, -2, &out), -EINVAL);
	KT_EQ(pulse_buffer_pool_get(pool, 1, 100000, &out), -EINVAL);
	KT_EQ(pulse_buffer_wrap(pool, NULL, 1, NULL, NULL, &out), -EINVAL);
	KT_EQ(pulse_buffer_wrap(pool, &s, 1, NULL, NULL, NULL), -EINVAL);
	KT_EQ(pulse_buffer_wrap(pool, &s, 1UL << 32, NULL, NULL, &out),
	      -EMSGSIZE);
	KT_EQ(pulse_buffer_slice(buf, 0, 0, NULL), -EINVAL);
	KT_EQ(pulse_buffer_copy(buf, 0, NULL), -EINVAL);
	KT_EQ(pulse_buffer_pool_stats(pool, NULL), -EINVAL);
	pulse_buffer_put(buf);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

/* U02 */
KT_TEST(options_of_any_version_are_judged)
{
	struct { struct pulse_buffer_pool_opts o; uint64_t more; } big = {
		.o.sz = sizeof(big) };
	PULSE_OPTS(pulse_buffer_pool_opts, o);

	pool = (void *)1;
	o.sz = 0;
	KT_EQ(pulse_buffer_pool_create(&o, &pool), -EINVAL);
	KT_CHECK(!pool);
	o.sz = 1;
	KT_EQ(pulse_buffer_pool_create(&o, &pool), -EINVAL);
	o.sz = SIZE_MAX;
	KT_EQ(pulse_buffer_pool_create(&o, &pool), -E2BIG);
	o.sz = sizeof(o);
	o.largest_bytes = (1UL << 30) + 1;
	KT_EQ(pulse_buffer_pool_create(&o, &pool), -EINVAL);
	o.largest_bytes = 0;
	o.flags = 2;
	KT_EQ(pulse_buffer_pool_create(&o, &pool), -EINVAL);
	o.flags = 0;
	o.keep = -2;
	KT_EQ(pulse_buffer_pool_create(&o, &pool), -EINVAL);
	o.keep = 1025;
	KT_EQ(pulse_buffer_pool_create(&o, &pool), -EINVAL);
	KT_EQ(pulse_buffer_pool_create(&big.o, &pool), 0);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
	big.more = 1;
	KT_EQ(pulse_buffer_pool_create(&big.o, &pool), -E2BIG);
}

/* All that can be done, for allocations to fail in. 0 or the first error. */
static int a_bit_of_everything(void)
{
	struct pulse_buffer *small = NULL, *large = NULL, *slice = NULL;
	struct pulse_buffer *copy = NULL, *wrapped = NULL;
	static char memory[16];
	int err;

	err = pulse_buffer_pool_create(NULL, &pool);
	if (err)
		return err;
	err = pulse_buffer_pool_get(pool, 100, PULSE_NODE_HERE, &small);
	if (!err)
		err = pulse_buffer_pool_get(pool, 100000, PULSE_NODE_HERE,
					    &large);
	if (!err)
		err = pulse_buffer_slice(small, 1, 99, &slice);
	if (!err)
		err = pulse_buffer_copy(slice, PULSE_NODE_HERE, &copy);
	if (!err)
		err = pulse_buffer_wrap(pool, memory, 16, NULL, NULL, &wrapped);
	pulse_buffer_put(small);
	pulse_buffer_put(large);
	pulse_buffer_put(slice);
	pulse_buffer_put(copy);
	pulse_buffer_put(wrapped);
	KT_EQ(stats().in_use, 0);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
	return err;
}

/* U04 */
KT_TEST(any_allocation_may_fail)
{
	int refused = 0;
	long n;

	for (n = 1; n < 1000; n++) {
		int err;

		pulse__alloc_fail_at(n);
		err = a_bit_of_everything();
		if (!pulse__alloc_failed()) {
			KT_EQ(err, 0);
			break;
		}
		/* A slab that fails once may try again elsewhere. */
		KT_CHECK(!err || err == -ENOMEM);
		refused += err != 0;
	}
	pulse__alloc_fail_at(0);
	KT_CHECK(n < 1000);
	/* Nine slabs and the pool at the least, and pages. */
	KT_CHECK(refused > 10);
}

KT_TEST(every_size_is_there_aligned_and_writable)
{
	start();
	for (size_t bytes = 0; bytes <= 1 << 20; bytes += bytes / 7 + 1) {
		struct pulse_buffer *buf = take(bytes);

		KT_REQUIRE(buf != NULL);
		KT_EQ(pulse_buffer_len(buf), bytes);
		KT_CHECK(pulse_buffer_capacity(buf) >= bytes);
		KT_CHECK(bytes <= 256 ||
			 pulse_buffer_capacity(buf) < 2 * bytes);
		KT_CHECK(pulse__is_aligned(pulse_buffer_data(buf),
					   PULSE_BUFFER_ALIGN));
		KT_CHECK(pulse_buffer_node(buf) >= 0);
		memset(pulse_buffer_data(buf), 0xa5,
		       pulse_buffer_capacity(buf));
		KT_EQ(pulse_buffer_set_len(buf, pulse_buffer_capacity(buf)), 0);
		KT_EQ(pulse_buffer_set_len(buf, pulse_buffer_capacity(buf) + 1),
		      -EINVAL);
		pulse_buffer_put(buf);
	}
	KT_EQ(stats().in_use, 0);
	KT_EQ(stats().gets, stats().puts);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

KT_TEST(a_buffer_that_is_too_large_is_no_message)
{
	PULSE_OPTS(pulse_buffer_pool_opts, o, .largest_bytes = 1000);
	struct pulse_buffer *buf = NULL;

	KT_REQUIRE(!pulse_buffer_pool_create(&o, &pool));
	KT_EQ(pulse_buffer_pool_get(pool, 1001, PULSE_NODE_HERE, &buf),
	      -EMSGSIZE);
	KT_EQ(pulse_buffer_pool_get(pool, SIZE_MAX, PULSE_NODE_HERE, &buf),
	      -EMSGSIZE);
	KT_EQ(pulse_buffer_pool_get(pool, 1000, PULSE_NODE_HERE, &buf), 0);
	pulse_buffer_put(buf);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

/* ---- slices -------------------------------------------------------------- */

KT_TEST(a_slice_shows_the_same_memory_and_keeps_it)
{
	/* Of a slab and of pages. */
	for (size_t bytes = 1000; bytes < 1000000; bytes *= 300) {
		struct pulse_buffer *buf, *slice = NULL, *inner = NULL;
		unsigned char *data;

		start();
		buf = take(bytes);
		data = pulse_buffer_data(buf);
		for (size_t i = 0; i < bytes; i++)
			data[i] = (unsigned char)i;
		KT_EQ(pulse_buffer_slice(buf, 100, 200, &slice), 0);
		KT_EQ(pulse_buffer_slice(slice, 10, 20, &inner), 0);
		KT_CHECK(pulse_buffer_data(inner) == data + 110);
		KT_EQ(pulse_buffer_len(inner), 10);
		KT_EQ(pulse_buffer_capacity(inner), 10);
		KT_EQ(pulse_buffer_node(inner), pulse_buffer_node(buf));
		KT_EQ(pulse_buffer_set_len(inner, 11), -EINVAL);
		data[115] = 99;
		/* The parent goes before the slice, and that before its own. */
		pulse_buffer_put(buf);
		pulse_buffer_put(slice);
		KT_EQ(stats().in_use, 1);
		KT_EQ(stats().views, 1);
		KT_EQ(pulse_buffer_pool_destroy(pool), -EBUSY);
		data = pulse_buffer_data(inner);
		for (int i = 0; i < 10; i++)
			KT_EQ(data[i], i == 5 ? 99 : 110 + i);
		pulse_buffer_put(inner);
		KT_EQ(stats().in_use, 0);
		KT_EQ(stats().views, 0);
		KT_EQ(pulse_buffer_pool_destroy(pool), 0);
	}
}

KT_TEST(a_slice_of_what_is_not_there_is_refused)
{
	struct pulse_buffer *buf, *slice = NULL, *out = NULL;

	start();
	buf = take(100);
	KT_EQ(pulse_buffer_slice(buf, 0, 101, &out), -EINVAL);
	KT_EQ(pulse_buffer_slice(buf, 51, 50, &out), -EINVAL);
	KT_EQ(pulse_buffer_slice(buf, SIZE_MAX, SIZE_MAX, &out), -EINVAL);
	KT_EQ(pulse_buffer_slice(buf, 100, 100, &slice), 0);
	KT_EQ(pulse_buffer_len(slice), 0);
	KT_EQ(pulse_buffer_slice(slice, 0, 1, &out), -EINVAL);
	KT_CHECK(!out);
	pulse_buffer_put(slice);
	pulse_buffer_put(buf);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

KT_TEST(a_long_row_of_slices_holds_one_buffer_and_no_more)
{
	struct pulse_buffer *at, *next = NULL;

	start();
	at = take(100);
	for (long i = kt_scale(200000); i > 0; i--) {
		if (pulse_buffer_slice(at, 0, 100, &next)) {
			KT_FAIL("slice");
			break;
		}
		pulse_buffer_put(at);
		at = next;
	}
	KT_EQ(stats().views, 1);
	KT_EQ(stats().in_use, 1);
	pulse_buffer_put(at);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

KT_TEST(a_copy_is_on_its_own)
{
	struct pulse_buffer *buf, *slice = NULL, *copy = NULL;

	start();
	buf = take(64);
	memset(pulse_buffer_data(buf), 7, 64);
	KT_EQ(pulse_buffer_slice(buf, 8, 24, &slice), 0);
	KT_EQ(pulse_buffer_copy(slice, PULSE_NODE_HERE, &copy), 0);
	memset(pulse_buffer_data(buf), 9, 64);
	KT_EQ(pulse_buffer_len(copy), 16);
	for (int i = 0; i < 16; i++)
		KT_EQ(((unsigned char *)pulse_buffer_data(copy))[i], 7);
	pulse_buffer_put(slice);
	pulse_buffer_put(buf);
	pulse_buffer_put(copy);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

static int released;

static void note_release(void *data, void *arg)
{
	KT_CHECK(data == arg);
	released++;
}

KT_TEST(wrapped_memory_is_released_after_its_last_slice)
{
	char memory[32];
	struct pulse_buffer *buf = NULL, *slice = NULL;

	start();
	released = 0;
	memset(memory, 3, sizeof(memory));
	KT_EQ(pulse_buffer_wrap(pool, memory, sizeof(memory), note_release,
				memory, &buf), 0);
	KT_EQ(pulse_buffer_node(buf), -ENOENT);
	KT_EQ(pulse_buffer_slice(buf, 4, 8, &slice), 0);
	KT_CHECK(pulse_buffer_data(slice) == memory + 4);
	KT_EQ(pulse_buffer_get(slice), 0);
	pulse_buffer_put(buf);
	pulse_buffer_put(slice);
	KT_EQ(released, 0);
	pulse_buffer_put(slice);
	KT_EQ(released, 1);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

/* ---- limits and what is kept --------------------------------------------- */

/* W04 */
KT_TEST(an_exhausted_pool_says_so_until_a_buffer_comes_back)
{
	PULSE_OPTS(pulse_buffer_pool_opts, by_nr, .limit_buffers = 3);
	PULSE_OPTS(pulse_buffer_pool_opts, by_bytes, .limit_bytes = 3 * 4096);

	for (int i = 0; i < 2; i++) {
		struct pulse_buffer *b[3], *more = NULL, *slice = NULL;

		KT_REQUIRE(!pulse_buffer_pool_create(i ? &by_bytes : &by_nr,
						     &pool));
		for (int k = 0; k < 3; k++)
			b[k] = take(4000);
		KT_EQ(pulse_buffer_pool_get(pool, 1, PULSE_NODE_HERE, &more),
		      -ENOBUFS);
		KT_EQ(pulse_buffer_copy(b[0], PULSE_NODE_HERE, &more), -ENOBUFS);
		KT_CHECK(!more);
		KT_EQ(stats().exhausted, 2);
		KT_EQ(stats().in_use, 3);
		/* A slice takes none; what it keeps is not back yet. */
		KT_EQ(pulse_buffer_slice(b[0], 0, 1, &slice), 0);
		pulse_buffer_put(b[0]);
		KT_EQ(pulse_buffer_pool_get(pool, 1, PULSE_NODE_HERE, &more),
		      -ENOBUFS);
		pulse_buffer_put(slice);
		KT_EQ(pulse_buffer_pool_get(pool, 1, PULSE_NODE_HERE, &more), 0);
		pulse_buffer_put(more);
		pulse_buffer_put(b[1]);
		pulse_buffer_put(b[2]);
		KT_EQ(pulse_buffer_pool_destroy(pool), 0);
	}
}

KT_TEST(pages_of_large_buffers_are_kept_for_the_next)
{
	PULSE_OPTS(pulse_buffer_pool_opts, o, .keep = 2,
		   .flags = PULSE_BUFFER_HUGE, .largest_bytes = 4 << 20);
	struct pulse_buffer *b[4];
	uint64_t bytes;
	int node;

	KT_REQUIRE(!pulse_buffer_pool_create(&o, &pool));
	b[0] = take(3 << 20);
	/* Each node keeps so many, and the thread may move to another. */
	node = pulse_buffer_node(b[0]);
	for (int i = 1; i < 4; i++)
		KT_EQ(pulse_buffer_pool_get(pool, 3 << 20, node, &b[i]), 0);
	bytes = stats().bytes;
	for (int i = 0; i < 4; i++)
		pulse_buffer_put(b[i]);
	KT_EQ(stats().bytes, bytes / 2);
	for (int i = 0; i < 2; i++)
		KT_EQ(pulse_buffer_pool_get(pool, 3 << 20, node, &b[i]), 0);
	KT_EQ(stats().bytes, bytes / 2);
	KT_CHECK(stats().hit_percent > 33 && stats().hit_percent < 34);
	pulse_buffer_put(b[0]);
	pulse_buffer_put(b[1]);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
	o.keep = PULSE_OFF;
	KT_REQUIRE(!pulse_buffer_pool_create(&o, &pool));
	pulse_buffer_put(take(3 << 20));
	KT_EQ(stats().bytes, 0);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

KT_TEST(a_buffer_comes_from_the_node_that_is_asked_for)
{
	struct pulse_buffer *buf = NULL;

	start();
	for (int node = 0; node < 64; node++) {
		for (size_t bytes = 100; bytes < 1000000; bytes *= 1000) {
			int err = pulse_buffer_pool_get(pool, bytes, node, &buf);

			KT_EQ(err, pulse__node_exists(node) ? 0 : -EINVAL);
			if (!err)
				KT_EQ(pulse_buffer_node(buf), node);
			pulse_buffer_put(buf);
		}
	}
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

KT_MAIN()
