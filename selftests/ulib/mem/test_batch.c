// SPDX-License-Identifier: GPL-2.0-only
/* Batches: appending, and views that alias and never write past their end. */
#include "base/base.h"
#include "ktap.h"

#include <pulse-u/batch.h>

struct item {
	uint16_t a;
	uint8_t b[5];
};

/* U01 */
KT_TEST(missing_handles_are_refused)
{
	struct pulse_batch b, out, none;
	int array[4] = { 0 };

	memset(&none, 0, sizeof(none));
	KT_EQ(pulse_batch_init(NULL, array, 4, 4), -EINVAL);
	KT_EQ(pulse_batch_init(&b, NULL, 4, 4), -EINVAL);
	KT_EQ(pulse_batch_init(&b, array, 0, 4), -EINVAL);
	KT_EQ(pulse_batch_init(&b, array, SIZE_MAX, 4), -EINVAL);
	KT_EQ(pulse_batch_init(&b, NULL, 4, 0), 0);
	KT_EQ(pulse_batch_append(&b, array), -ENOBUFS);
	KT_EQ(pulse_batch_init(&b, array, 4, 4), 0);
	KT_EQ(pulse_batch_append(NULL, array), -EINVAL);
	KT_EQ(pulse_batch_append(&none, array), -EINVAL);
	KT_EQ(pulse_batch_append(&b, NULL), -EINVAL);
	KT_EQ(pulse_batch_append_ptr(NULL, NULL), -EINVAL);
	/* Not a batch of pointers. */
	KT_EQ(pulse_batch_append_ptr(&b, NULL), -EINVAL);
	KT_EQ(pulse_batch_append(&b, array), 0);
	KT_CHECK(!pulse_batch_get(NULL, 0));
	KT_CHECK(!pulse_batch_get_ptr(NULL, 0));
	KT_CHECK(!pulse_batch_get_ptr(&b, 0));
	KT_EQ(pulse_batch_len(NULL), 0);
	KT_EQ(pulse_batch_slice(NULL, 0, 0, &out), -EINVAL);
	KT_EQ(pulse_batch_slice(&b, 0, 0, NULL), -EINVAL);
	KT_EQ(pulse_batch_split(NULL, 0, &out, NULL), -EINVAL);
	KT_EQ(pulse_batch_split(&b, 0, &out, &out), -EINVAL);
	KT_EQ(pulse_batch_reset(NULL), -EINVAL);
	KT_EQ(pulse_batch_reset(&none), -EINVAL);
	KT_CHECK(!pulse_batch_underlying(NULL));
	KT_EQ(pulse_batch_each(NULL, NULL, NULL), -EINVAL);
	KT_EQ(pulse_batch_each(&b, NULL, NULL), -EINVAL);
}

KT_TEST(what_is_appended_is_there_in_order)
{
	struct item array[3], it, *pos;
	struct pulse_batch b = PULSE_BATCH_ON(array);
	int n = 0;

	memset(&it, 0, sizeof(it));
	KT_EQ(b.capacity, 3);
	KT_CHECK(!pulse_batch_get(&b, 0));
	for (int i = 0; i < 3; i++) {
		it.a = (uint16_t)(100 + i);
		KT_EQ(pulse_batch_append(&b, &it), 0);
		KT_EQ(pulse_batch_len(&b), i + 1);
	}
	KT_EQ(pulse_batch_append(&b, &it), -ENOBUFS);
	KT_EQ(pulse_batch_len(&b), 3);
	pulse_batch_for_each(pos, &b)
		KT_EQ(pos->a, 100 + n++);
	KT_EQ(n, 3);
	KT_CHECK(pulse_batch_get(&b, 2) == &array[2]);
	KT_CHECK(!pulse_batch_get(&b, 3));
	KT_CHECK(!pulse_batch_get(&b, SIZE_MAX));
	KT_CHECK(pulse_batch_underlying(&b) == array);
	KT_EQ(pulse_batch_reset(&b), 0);
	KT_EQ(pulse_batch_len(&b), 0);
	pulse_batch_for_each(pos, &b)
		n++;
	KT_EQ(n, 3);
	KT_EQ(pulse_batch_append(&b, &it), 0);
}

KT_TEST(pointers_come_back_as_they_went_in)
{
	void *array[2];
	struct pulse_batch b = PULSE_BATCH_ON(array);

	KT_EQ(pulse_batch_append_ptr(&b, &b), 0);
	KT_EQ(pulse_batch_append_ptr(&b, NULL), 0);
	KT_EQ(pulse_batch_append_ptr(&b, &b), -ENOBUFS);
	KT_CHECK(pulse_batch_get_ptr(&b, 0) == &b);
	KT_CHECK(!pulse_batch_get_ptr(&b, 1));
	KT_CHECK(!pulse_batch_get_ptr(&b, 2));
}

static void fill(struct pulse_batch *b, int nr)
{
	for (int i = 0; i < nr; i++)
		KT_EQ(pulse_batch_append(b, &i), 0);
}

KT_TEST(views_alias_and_allocate_nothing)
{
	int array[10], value = 77;
	struct pulse_batch b = PULSE_BATCH_ON(array), head, tail, part, inner;

	fill(&b, 8);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_batch_split(&b, 3, &head, &tail), 0);
	KT_EQ(pulse_batch_slice(&b, 2, 6, &part), 0);
	KT_EQ(pulse_batch_slice(&part, 1, 3, &inner), 0);
	KT_CHECK(!pulse__alloc_failed());
	pulse__alloc_fail_at(0);
	KT_EQ(head.len, 3);
	KT_EQ(tail.len, 5);
	KT_EQ(part.len, 4);
	KT_EQ(*(int *)pulse_batch_get(&tail, 0), 3);
	KT_EQ(*(int *)pulse_batch_get(&inner, 0), 3);
	*(int *)pulse_batch_get(&inner, 0) = value;
	KT_EQ(*(int *)pulse_batch_get(&tail, 0), value);
	KT_EQ(*(int *)pulse_batch_get(&part, 1), value);
	KT_EQ(array[3], value);
	/* The batch has room behind it, its views have not. */
	KT_EQ(pulse_batch_append(&head, &value), -ENOBUFS);
	KT_EQ(pulse_batch_append(&tail, &value), -ENOBUFS);
	KT_EQ(pulse_batch_append(&b, &value), 0);
	KT_EQ(array[8], value);
	KT_EQ(tail.len, 5);
}

KT_TEST(every_cut_is_exact_and_wrong_ones_are_refused)
{
	int array[5];
	struct pulse_batch b = PULSE_BATCH_ON(array), head, tail, out;

	fill(&b, 5);
	for (size_t at = 0; at <= 5; at++) {
		KT_EQ(pulse_batch_split(&b, at, &head, &tail), 0);
		KT_EQ(head.len, at);
		KT_EQ(tail.len, 5 - at);
		KT_EQ(head.capacity, at);
		KT_EQ(tail.capacity, 5 - at);
		if (at)
			KT_EQ(*(int *)pulse_batch_get(&head, at - 1), at - 1);
		if (at < 5)
			KT_EQ(*(int *)pulse_batch_get(&tail, 0), at);
		for (size_t to = at; to <= 5; to++) {
			KT_EQ(pulse_batch_slice(&b, at, to, &out), 0);
			KT_EQ(out.len, to - at);
		}
	}
	memset(&out, 1, sizeof(out));
	head = out;
	KT_EQ(pulse_batch_split(&b, 6, &head, &tail), -EINVAL);
	KT_EQ(pulse_batch_slice(&b, 0, 6, &out), -EINVAL);
	KT_EQ(pulse_batch_slice(&b, 3, 2, &out), -EINVAL);
	KT_EQ(pulse_batch_slice(&b, SIZE_MAX, SIZE_MAX, &out), -EINVAL);
	KT_CHECK(!memcmp(&head, &out, sizeof(out)));
	/* A view may take the place of its batch; one half may be unwanted. */
	KT_EQ(pulse_batch_split(&b, 2, NULL, &b), 0);
	KT_EQ(b.len, 3);
	KT_EQ(*(int *)pulse_batch_get(&b, 0), 2);
	KT_EQ(pulse_batch_split(&b, 1, &b, &tail), 0);
	KT_EQ(b.len, 1);
	KT_EQ(tail.len, 2);
	KT_EQ(*(int *)pulse_batch_get(&tail, 1), 4);
}

static int add(void *item, size_t index, void *arg)
{
	int *sum = arg;

	*sum += *(int *)item;
	return index == 3 ? 42 : 0;
}

KT_TEST(each_goes_over_all_until_it_is_told_to_stop)
{
	int array[8], sum = 0;
	struct pulse_batch b = PULSE_BATCH_ON(array);

	KT_EQ(pulse_batch_each(&b, add, &sum), 0);
	fill(&b, 3);
	KT_EQ(pulse_batch_each(&b, add, &sum), 0);
	KT_EQ(sum, 3);
	fill(&b, 5);
	sum = 0;
	KT_EQ(pulse_batch_each(&b, add, &sum), 42);
	KT_EQ(sum, 3);
}

KT_MAIN()
